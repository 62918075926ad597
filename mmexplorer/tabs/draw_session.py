"""What one visitor has drawn in this visit, and how the drawing under way is stopped.

Knows drawings as results only: neither how they are made nor how they are shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import gradio as gr
from PIL import Image

from mmexplorer.drawings import Drawing
from mmexplorer.figures.picture_row import THUMBNAIL
from mmexplorer.tabs.jobs import Jobs
from mmexplorer.tabs.shelf import Shelved

MOST_DRAWINGS = 16
MOST_BYTES = 2**28  # on the disk; the newest drawing stays, however large
JOBS = Jobs()


@dataclass(frozen=True, eq=False)
class Drawn:
    """A drawing of this visit: in memory what is told of it among others, and all of it on the disk."""

    thumbnail: Image.Image
    settings: Mapping
    steps: int
    model: str
    whole: Shelved[Drawing]

    @classmethod
    def of(cls, drawing: Drawing) -> "Drawn":
        """The drawing, put on the disk."""
        thumbnail = drawing.image.copy()
        thumbnail.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        return cls(thumbnail, drawing.settings, len(drawing.steps), drawing.model, Shelved(drawing))


History = tuple[Drawn, ...]


def remembered(history: History, drawing: Drawing) -> History:
    """The drawings of this visit with one more at the end; the oldest are forgotten."""
    newest = Drawn.of(drawing)
    kept, room = [newest], MOST_BYTES - newest.whole.bytes
    for older in reversed(history[-(MOST_DRAWINGS - 1) :]):
        room -= older.whole.bytes
        if room < 0:
            break
        kept.append(older)
    return tuple(reversed(kept))


def stop_of(request: gr.Request) -> None:
    """Asks the visitor's running drawing to end with the step under way."""
    for job in JOBS.running(request.session_hash, ("drawing", "settings")):
        job.set()
