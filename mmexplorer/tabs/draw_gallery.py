"""The pictures of one visit as the drawing tab's gallery shows them, each named by what it differs in from others."""

from mmexplorer.figures.picture_row import picture_row_payload
from mmexplorer.presets import preset
from mmexplorer.tabs.draw_session import Drawn, History

MOST = 60  # characters of a prompt


def gallery(history: History) -> str:
    """The pictures for `picture_row`, the newest first; what all of them have in common is in no caption."""
    facts = [_facts(drawn) for drawn in history]
    shown = []
    for drawn, own in zip(history, facts, strict=True):
        differing = [fact for name, fact in own.items() if len({other[name] for other in facts}) > 1]
        shown.append((drawn.thumbnail, _short(drawn.settings["prompt"]), ", ".join(differing)))
    return picture_row_payload(shown[::-1])


def _facts(drawn: Drawn) -> dict[str, str]:
    """What a picture came from; long texts come last, as captions are cut where they are too long."""
    said, steps = drawn.settings, drawn.steps
    negative = said["negative_prompt"]
    return {
        "steps": f"{steps} step{'' if steps == 1 else 's'}",
        "guidance": f"guidance {said['guidance']:g}",
        "scheduler": said["scheduler"],
        "seed": f"seed {said['seed']}",
        "size": f"{said['width']} × {said['height']}",
        "model": preset(drawn.model).label,
        "prompt": f"“{_short(said['prompt'])}”",
        "negative": f"not “{_short(negative)}”" if negative else "no negative prompt",
    }


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MOST else f"{text[:MOST]}…"
