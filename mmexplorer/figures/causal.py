"""A causal check as markup: a sentence, the word's probability with and without patches, the answers and the patches.

Bars and tables are the browser's own, so that there is neither script nor style here. Words are escaped.
"""

import html
import math

import numpy as np
from PIL import Image, ImageDraw

from mmexplorer.figures.inline import picture_uri

SHOWN_SIDE = 256
CLEAR_LOSS = 0.1  # natural log; a probability of 90 % instead of 100 %


def causal_html(
    *,
    word: str,
    log_probability: float,
    without: float,
    random: np.ndarray,
    answers: tuple[str, str, str],
    pictures: tuple[Image.Image, Image.Image],
    covered: bool = False,
) -> str:
    """The markup of one check.

    Log probabilities are natural: with everything, without the k patches, and (draws,) without k random ones. answers
    are the model's own, without the patches and without the first random ones; pictures show which patches those were.
    """
    kind = "painted over" if covered else "hidden"
    rows = [
        ("Whole picture", [log_probability], answers[0]),
        (f"{kind.capitalize()}: what it looked at", [without], answers[1]),
        (f"{kind.capitalize()}: random patches, {len(random)} draws", list(random), answers[2]),
    ]
    body = "".join(_row(name, values, answer) for name, values, answer in rows)
    figures = "".join(
        f'<figure><img src="{picture_uri(picture)}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'
        for picture, caption in zip(pictures, ("what it looked at", "random, first draw"), strict=True)
    )
    return (
        f"<p>{html.escape(verdict(word, log_probability, without, random))}</p><table><thead><tr><th></th>"
        f"<th>probability of “{html.escape(word)}”</th><th>log p (natural)</th><th>answer written anew</th></tr>"
        f'</thead><tbody>{body}</tbody></table><div class="pictures">{figures}</div>'
    )


def verdict(word: str, before: float, without: float, random: np.ndarray) -> str:
    """What the patches that were looked at cost, beside what random ones cost."""
    lost, usual = before - without, before - float(np.mean(random))
    more = int((before - np.asarray(random) >= lost).sum())
    costs = f"Without what it looked at, “{word}” {_change(lost)} of log p; without random patches it {_change(usual)}"
    costs += " on average."
    if more == 0 and lost > CLEAR_LOSS:
        return f"{costs} No random draw cost as much: here these patches mattered."
    if lost <= CLEAR_LOSS:
        return f"{costs} It hardly needed them: that it looked there does not show why it was written."
    return f"{costs} {more} of {len(random)} random draws cost at least as much, so other patches would do as well."


def hidden_picture(image: Image.Image, boxes: np.ndarray) -> Image.Image:
    """The picture at most 256 pixels large, with the boxes (k, 4) of some patches in its pixels crossed out in grey."""
    shrink = min(1.0, SHOWN_SIDE / max(image.size))
    size = tuple(max(1, round(side * shrink)) for side in image.size)
    shown = image.convert("RGB").resize(size)
    pen = ImageDraw.Draw(shown)
    for left, top, right, bottom in np.asarray(boxes) * np.tile(np.array(size) / image.size, 2):
        if right > left and bottom > top:
            box = (left, top, max(left, right - 1), max(top, bottom - 1))
            pen.rectangle(box, fill=(128, 128, 128))
            pen.line(box, fill=(90, 90, 90))
    return shown


def _row(name: str, values: list[float], answer: str) -> str:
    mean = float(np.mean(values))
    probabilities = [math.exp(value) for value in values]
    middle = float(np.mean(probabilities))
    spread = f" ({min(probabilities):.1%} to {max(probabilities):.1%})" if len(values) > 1 else ""
    return (
        f"<tr><th>{html.escape(name)}</th><td><progress max=1 value={middle:.4f}>{middle:.1%}</progress> "
        f"{middle:.1%}{spread}</td><td>{_plain(mean)}</td><td>{html.escape(answer)}</td></tr>"
    )


def _change(lost: float) -> str:
    return f"{'loses' if round(lost, 2) >= 0 else 'gains'} {_plain(abs(lost))}"


def _plain(value: float) -> str:
    """Two decimals, and no minus before a zero."""
    return f"{round(value, 2) + 0.0:.2f}"
