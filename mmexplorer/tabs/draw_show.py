"""What the drawing tab shows of a picture that is there, from its Drawing alone; no model is asked."""

import html

import gradio as gr
import numpy as np
from PIL import Image

from mmexplorer.drawings import Drawing
from mmexplorer.figures.film_strip import film_strip_payload
from mmexplorer.figures.inline import picture_uri
from mmexplorer.figures.stages import stages_payload
from mmexplorer.presets import preset
from mmexplorer.tabs import draw_look as look
from mmexplorer.tabs.draw_code import python_code
from mmexplorer.tabs.shelf import Shelved
from mmexplorer.tabs.status import message
from mmexplorer.toyworld.grade import grade

OUTPUTS = ("picture", "meta", "sending", "strip", "steps_shown", "step", "viewer", "stages", "code", "drawing")
EXACT_SIDE = 128  # up to this side a picture is drawn with every pixel as a square
# The place of a picture is kept before there is one, so that nothing jumps.
EDGE = "border:1px solid var(--border-color-primary);border-radius:4px;box-sizing:border-box"
PLACE = f"width:100%;max-width:360px;{EDGE}"
PICTURE = f'<img src="{{}}" alt="{{}}" style="{PLACE};display:block;aspect-ratio:{{}}{{}}">'
STALE = "<style>#draw-meta, #draw-steps-shown, #draw-viewer { opacity: .35 }</style>"
READ_BACK = (
    '<div class="mmx-status" style="margin-top:8px">Read back from the picture:'
    '<ul style="list-style:none;margin:0;padding:0">{}</ul></div>'
)
MOST_STATEMENTS = 12
EMPTY = (
    f'<div style="{PLACE};aspect-ratio:1;display:grid;place-items:center;border-style:dashed">'
    '<p style="margin:0;padding:16px;text-align:center;color:var(--body-text-color-subdued)">'
    "Type what to draw and press Draw, or press an example.</p></div>"
)


def shown(kept: Shelved[Drawing] | None) -> dict:
    """Values of OUTPUTS for a drawing, or before there is one."""
    if kept is None:
        empty = {"picture": EMPTY, "meta": "", "sending": gr.Row(visible=False), "code": ""}
        return dict.fromkeys(OUTPUTS) | empty | {"steps_shown": gr.Radio(visible=False)}
    drawing = kept.value
    return {
        "picture": picture(drawing.image, drawing.settings["prompt"]),
        "meta": facts(drawing),
        "sending": gr.Row(visible=True),
        "strip": strip(drawing),
        "steps_shown": gr.Radio(value=look.first_steps(drawing.model), visible=drawing.word_maps is not None),
        "step": None,
        "viewer": look.payload(drawing, look.first_steps(drawing.model), first=True),
        "stages": stages_payload(drawing, to_rgb=latent_colours(drawing)),
        "code": python_code(drawing),
        "drawing": kept,
    }


def picture(image: Image.Image, prompt: str) -> str:
    """A picture, or the guess at one that a step made, as markup at most 360 pixels wide."""
    exact = ";image-rendering:pixelated" if max(image.size) <= EXACT_SIDE else ""
    return PICTURE.format(picture_uri(image), html.escape(prompt[:200]), image.width / image.height, exact)


def guess(image: Image.Image, prompt: str) -> str:
    """The same while a drawing is made: what is on the page beside it belongs to another picture and is dimmed."""
    return STALE + picture(image, prompt)


def strip(drawing: Drawing) -> str:
    """The film strip's value."""
    return film_strip_payload(drawing, to_rgb=latent_colours(drawing))


def summary(drawing: Drawing) -> str:
    """The status line of a finished drawing."""
    row, steps = preset(drawing.model), len(drawing.steps)
    toy = " A toy model: it knows drawn shapes only." if row.tier == "toy" else ""
    done = f"{row.label} drew {steps} step{'' if steps == 1 else 's'} in {max(drawing.seconds, 0.01):.2f} s."
    if drawing.ended == "stopped":
        done = f"Stopped after step {steps}; this is the picture that was predicted then. {done}"
    return f"{done}{toy}"


def facts(drawing: Drawing) -> str:
    """The prompt, how it was drawn, and the remarks, as markup."""
    said = drawing.settings
    guidance = f"guidance {said['guidance']:g}" if drawing.steps and drawing.steps[0].guidance is not None else ""
    numbers = [
        preset(drawing.model).label,
        f"seed {said['seed']}",
        f"{said['steps']} step{'' if said['steps'] == 1 else 's'}",
        guidance or "no guidance",
        said["scheduler"],
        f"{said['width']} × {said['height']}",
    ]
    prompts = f"“{_short(said['prompt'])}”"
    if said["negative_prompt"]:
        prompts += f", not “{_short(said['negative_prompt'])}”"
    lines = [message(prompts), message(" · ".join(numbers)), *(message(r, "note") for r in drawing.remarks)]
    return f'<div style="overflow-wrap:anywhere">{"".join([*lines, verdict(drawing)])}</div>'


def verdict(drawing: Drawing) -> str:
    """What of the prompt an exact parser finds in a toy model's picture, as markup; empty for other models' pictures.

    Also where the prompt asks for nothing that the parser knows.
    """
    if preset(drawing.model).tier != "toy":
        return ""
    found = grade(drawing.settings["prompt"], drawing.image)
    if not found.lines:
        return ""
    more = len(found.seen) - sum(map(len, found.match))
    lines = [*found.lines, ("nothing else is there", more <= 0)]
    items = [f"✓ {html.escape(what)}" if true else f"<b>✗ {html.escape(what)}</b>" for what, true in lines]
    if len(items) > MOST_STATEMENTS:
        items[MOST_STATEMENTS:] = [f"and {len(items) - MOST_STATEMENTS} more statements"]
    return READ_BACK.format("".join(f"<li>{item}</li>" for item in items))


def latent_colours(drawing: Drawing) -> np.ndarray | None:
    """The affine map (channels + 1, 3) from clean latents to previews that fits best; None without steps.

    Previews of a pixel for each position are such a map's; of others the mean over each position's pixels is taken.
    """
    if not drawing.steps:
        return None
    rows, columns = drawing.steps[0].clean.shape[1:]
    latents = np.stack([step.clean for step in drawing.steps]).astype(np.float32)
    known = np.moveaxis(latents, 1, -1).reshape(-1, latents.shape[1])
    small = [preview.convert("RGB").resize((columns, rows), Image.Resampling.BOX) for preview in drawing.previews]
    colours = np.stack([np.asarray(one, np.float32) for one in small]).reshape(-1, 3) / 255
    inside = ((colours > 0) & (colours < 1)).all(axis=1) & np.isfinite(known).all(axis=1)  # others were clipped
    if inside.sum() <= known.shape[1]:
        return None
    rows_of = np.column_stack([known[inside], np.ones(inside.sum(), np.float32)])
    return np.linalg.lstsq(rows_of, colours[inside], rcond=None)[0]


def _short(text: str, most: int = 120) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[:most]}…"
