"""An answer's tokens as the payload of the tokens component: how likely each was, and what else was likely.

Knows how to write a token so that nothing in it stays invisible; knows no tokenizer, and nothing of how it is drawn.
"""

import unicodedata

from mmexplorer.figures.inline import payload_text
from mmexplorer.replies import Reply, TokenChoice

MARKS = {"\n": "↵", "\r": "␍", "\t": "⇥"}


def tokens_payload(reply: Reply) -> str:
    """JSON for `components.tokens`: every token with probability, rank among its alternatives, and the alternatives.

    rank is None for a token that is not one of its alternatives. forced says that the visitor put a token there, as
    `reply.settings["forced"]` ({position: id}) has it.
    """
    forced = {int(position) for position in reply.settings.get("forced") or {}}
    end = reply.tokens[-1].id if reply.tokens and reply.ended == "end" else None
    return payload_text(
        {
            "model": reply.model,
            "temperature": float(reply.settings.get("temperature") or 0.0),
            "tokens": [_token(token, position in forced, end) for position, token in enumerate(reply.tokens)],
        }
    )


def visible(text: str) -> str:
    """Text with a mark for each line break and tab, and the code point of every other character that draws nothing."""
    return "".join(MARKS.get(c) or (f"‹U+{ord(c):04X}›" if _draws_nothing(c) else c) for c in text)


def _draws_nothing(character: str) -> bool:
    """Control, format, lone surrogate, private and unassigned characters, and Unicode's own line breaks."""
    category = unicodedata.category(character)
    return category[0] == "C" or category in ("Zl", "Zp")


def _token(token: TokenChoice, forced: bool, end: int | None) -> dict:
    names = {other: name for other, name, _ in token.alternatives}
    ids = list(names)
    text = token.text or names.get(token.id) or f"token {token.id}"
    return {
        **_written(token.id, text, end, special=not token.text),
        "breaks": token.text.count("\n"),
        "probability": float(token.probability),
        "rank": ids.index(token.id) + 1 if token.id in ids else None,
        "forced": forced,
        "alternatives": [
            {
                **_written(other, name, end, special=other == token.id and not token.text),
                "probability": float(probability),
            }
            for other, name, probability in token.alternatives
        ],
    }


def _written(token: int, text: str, end: int | None, *, special: bool) -> dict:
    """A token's text without the spaces before it, and whether there are any; kind "end", "special" or "text"."""
    rest = text.lstrip(" ")
    return {
        "id": int(token),
        "space": bool(rest) and rest != text,
        "text": visible(rest) or "␣" * len(text),
        "kind": "end" if token == end else "special" if special else "text",
    }
