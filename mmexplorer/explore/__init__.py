"""The public questions, one verb per question; importable without torch."""
