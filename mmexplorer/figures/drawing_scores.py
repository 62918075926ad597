"""The scores of a drawn picture as markup: CLIP's judgement of the prompt and of its twin, and the exact grade.

Bars and tables are the browser's own, so that there is neither script nor style here. Words are escaped. Takes plain
numbers and knows no model.
"""

import html
from collections.abc import Sequence

FULL = 2.5  # the score of a cosine of one
PANEL = '<div class="mm-panel mm-drawing-scores">{}</div>'
EMPTY = PANEL.format('<p class="empty">Score the picture above: whether CLIP finds the prompt in it appears here.</p>')


def scores_html(
    *,
    judge: str,
    captions: Sequence[tuple[str, str, float, float]],
    lines: Sequence[tuple[str, bool]] | None,
    exact: bool,
    seen: Sequence[str],
    remarks: Sequence[str],
) -> str:
    """The markup: captions are (what it is, caption, cosine, score), the prompt first, its twin second if it has one.

    lines are the statements of the prompt and whether each is true of the picture, None without a grade; seen is what
    the picture shows, in words.
    """
    said = verdict(judge, [score for *_, score in captions])
    rows = "".join(_row(*caption) for caption in captions)
    parts = [
        f'<p class="verdict">{html.escape(said)}</p><table><thead><tr><th>caption</th><th>CLIP score</th>'
        f"<th>cosine</th></tr></thead><tbody>{rows}</tbody></table>"
    ]
    if lines is not None:
        parts.append(_grade(lines, exact, seen))
    parts += [f'<p class="quiet">{html.escape(remark)}</p>' for remark in remarks]
    return PANEL.format("".join(parts))


def verdict(judge: str, scores: Sequence[float]) -> str:
    """What the scores of the prompt and of its twin say together."""
    judge = f"“{judge}”"
    if len(scores) < 2:
        return f"{judge} gives this picture and its prompt {scores[0]:.2f} of at most {FULL}."
    gap = scores[0] - scores[1]
    if max(scores) == 0:
        return f"{judge} finds neither the prompt nor its twin in this picture."
    if gap < 0:
        return f"{judge} finds that the twin fits better, by {-gap:.2f}."
    if gap < 0.1 * scores[0]:
        return f"{judge} hardly tells the prompt from its twin: {gap:.2f} apart, although they mean different pictures."
    return f"{judge} finds that the prompt fits better than its twin, by {gap:.2f}."


def _row(what: str, caption: str, cosine: float, score: float) -> str:
    return (
        f"<tr><td><small>{html.escape(what)}</small>{html.escape(caption)}</td>"
        f"<td><progress max={FULL} value={score:.4f}>{score:.2f}</progress> {score:.2f}</td>"
        f"<td>{round(cosine, 3) + 0.0:.3f}</td></tr>"
    )


def _grade(lines: Sequence[tuple[str, bool]], exact: bool, seen: Sequence[str]) -> str:
    right = sum(found for _, found in lines)
    rows = "".join(
        f"<tr><td>{html.escape(what)}</td><td>{'✓ yes' if found else '<b>✗ no</b>'}</td></tr>" for what, found in lines
    )
    sentence = (
        f"Read by rules, without any model: {right} of {len(lines)} statements of the prompt are true of the picture"
    )
    sentence += ", and nothing else is in it." if exact else "."
    listed = ", ".join(seen) or "nothing"
    return (
        f'<p class="verdict">{html.escape(sentence)}</p><table><thead><tr><th>statement</th><th>true</th></tr>'
        f'</thead><tbody>{rows}</tbody></table><p class="quiet">{html.escape(f"Seen in the picture: {listed}.")}</p>'
    )
