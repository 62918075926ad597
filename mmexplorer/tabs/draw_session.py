"""What one visitor has drawn in this visit, and how the drawing under way is stopped.

Knows drawings as results only: neither how they are made nor how they are shown.
"""

import gradio as gr

from mmexplorer.drawings import Drawing
from mmexplorer.tabs.jobs import Jobs

MOST_DRAWINGS = 16
MOST_BYTES = 2**28  # of pictures, latents and maps; the newest drawing stays, however large
JOBS = Jobs()

History = tuple[Drawing, ...]


def remembered(history: History, drawing: Drawing) -> History:
    """The drawings of this visit with one more at the end; the oldest are forgotten."""
    kept, room = [drawing], MOST_BYTES - weight(drawing)
    for older in reversed(history[-(MOST_DRAWINGS - 1) :]):
        room -= weight(older)
        if room < 0:
            break
        kept.append(older)
    return tuple(reversed(kept))


def weight(drawing: Drawing) -> int:
    """About how many bytes a drawing takes."""
    latents = (array for step in drawing.steps for array in (step.latent, step.clean, step.guidance))
    arrays = [array for array in latents if array is not None]
    arrays += drawing.word_maps.maps if drawing.word_maps else ()
    arrays += [drawing.grounding.maps] if drawing.grounding else []
    pictures = (drawing.image, *drawing.previews)
    return sum(array.nbytes for array in arrays) + sum(3 * p.width * p.height for p in pictures)


def stop_of(request: gr.Request) -> None:
    """Asks the visitor's running drawing to end with the step under way."""
    for job in JOBS.running(request.session_hash, ("drawing", "settings")):
        job.set()
