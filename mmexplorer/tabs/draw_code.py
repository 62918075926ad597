"""The Python that draws a picture of the tab again, for exactly its settings."""

from mmexplorer.drawings import Drawing


def python_code(drawing: Drawing) -> str:
    """A program that leaves the drawing as `drawing`."""
    settings = dict(drawing.settings)
    prompt = settings.pop("prompt")
    given = "".join(
        f"    {name}={value!r},\n" for name, value in settings.items() if name != "revision" and value not in ("", None)
    )
    return f"""\
import mmexplorer

for event in mmexplorer.draw(
    {prompt!r},
{given}):
    print(f"step {{event.number}} of {{event.total}}", end="\\r")
drawing = event.drawing
print()
drawing.image.save("drawing.png")
for step, preview in zip(drawing.steps, drawing.previews):  # what the network saw, and what it made of it
    print(step.number, f"{{step.noise_level:.2f}}", step.latent.shape, step.clean.shape, preview.size)
if drawing.grounding:  # maps of every word over the picture, for each layer and all together
    print(drawing.grounding.words, drawing.grounding.layers, drawing.grounding.maps.shape)
"""
