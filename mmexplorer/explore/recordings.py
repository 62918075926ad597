"""Results recorded from the shipped models, which the examples show before any model is loaded.

A recording holds the very payloads that the page's components draw. `python -m mmexplorer.training.record` makes
them; a test compares them with a fresh computation.
"""

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from mmexplorer.explore.experiments import ASSETS


@dataclass(frozen=True)
class Recording:
    """An example and its recorded results; picture is a file name in assets/images/<tab>."""

    title: str
    tab: str
    picture: str
    labels: tuple[str, ...]
    templates: tuple[str, ...]
    models: tuple[str, ...]
    payloads: dict[str, str]

    @property
    def path(self) -> Path:
        """The picture's file."""
        return ASSETS / "images" / self.tab / self.picture

    def save(self, name: str) -> None:
        """Writes assets/recordings/<tab>/<name>.json."""
        file = ASSETS / "recordings" / self.tab / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


@cache
def recordings(tab: str) -> tuple[Recording, ...]:
    """All recordings of a tab, in the order of their file names."""
    loaded = []
    for file in sorted((ASSETS / "recordings" / tab).glob("*.json")):
        data = json.loads(file.read_text(encoding="utf-8"))
        for field in ("labels", "templates", "models"):
            data[field] = tuple(data[field])
        loaded.append(Recording(**data))
    return tuple(loaded)
