"""A picked point with its neighbours, ranked results or a selection, as the payload of the gallery.

Knows how many cards and classes fit on a page and how small their pictures must be; does not know why these points
were chosen, and nothing of how they are drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

from PIL import Image

from mmexplorer.figures.inline import data_uri, payload_text

MAX_CARDS = 60
CARD_PIXELS, LEAD_PIXELS = 128, 384
COUNTS_SHOWN = 12
# Scenes of the toy world have 64 pixels a side: few enough to send, and every one of them visible on the page.
TINY = 64


@dataclass(frozen=True)
class Card:
    """One point: a picture or, without one, a caption.

    klass is its class. score is a similarity, or a count if it is an integer. same says whether its class is the
    lead's; None where there is nothing to compare.
    """

    point: int
    picture: Image.Image | None
    title: str
    caption: str = ""
    klass: str = ""
    score: float | None = None
    same: bool | None = None


@dataclass(frozen=True)
class Lead:
    """The point that the cards belong to, drawn large; text is a picture's caption, or the caption itself."""

    point: int
    picture: Image.Image | None
    title: str
    text: str = ""
    facts: tuple[tuple[str, str], ...] = ()


def gallery_payload(
    cards: Sequence[Card],
    *,
    heading: str = "",
    note: str = "",
    lead: Lead | None = None,
    counts: Sequence[tuple[str, int]] = (),
    total: int | None = None,
    score_name: str = "cosine",
    class_name: str = "class",
) -> str:
    """JSON for `components.gallery`; the cards keep their order.

    counts: (class, number of points) pairs, of which the most frequent are shown, the others together. total: how many
    points there are of which the cards show the first. score_name and class_name say what scores and classes are.
    Raises ValueError for more than MAX_CARDS cards, and for a total below the number of cards.
    """
    if len(cards) > MAX_CARDS:
        raise ValueError(f"A gallery shows at most {MAX_CARDS} cards, got {len(cards)}; pass total for the rest.")
    if total is not None and total < len(cards):
        raise ValueError(f"A total of {total} is less than the {len(cards)} cards.")
    ranked = sorted(counts, key=lambda pair: -pair[1])
    shown, others = ranked[:COUNTS_SHOWN], ranked[COUNTS_SHOWN:]
    scores = [card.score for card in cards if card.score is not None]
    return payload_text(
        {
            "heading": heading,
            "note": note,
            "lead": _lead(lead) if lead is not None else None,
            "counts": [[name, int(count)] for name, count in shown],
            "others": {"classes": len(others), "count": int(sum(count for _, count in others))},
            "total": total,
            "class_name": class_name,
            "score": {
                "name": score_name,
                "digits": 0 if scores and all(isinstance(score, Integral) for score in scores) else 3,
                # A full bar is 1, so that cosines can be compared between galleries; counts are compared within one.
                "full": float(max([1, *scores])),
            },
            "cards": [_card(card) for card in cards],
        }
    )


def _card(card: Card) -> dict:
    return {
        "point": int(card.point),
        "picture": _uri(card.picture, CARD_PIXELS) if card.picture is not None else None,
        "title": card.title,
        "caption": card.caption,
        "class": card.klass,
        "score": float(card.score) if card.score is not None else None,
        "same": bool(card.same) if card.same is not None else None,
    }


def _lead(lead: Lead) -> dict:
    return {
        "point": int(lead.point),
        "picture": _uri(lead.picture, LEAD_PIXELS) if lead.picture is not None else None,
        "title": lead.title,
        "text": lead.text,
        "facts": [[name, value] for name, value in lead.facts],
    }


def _uri(picture: Image.Image, longest: int) -> str:
    """A data URI: WebP of the picture within `longest` pixels, without transparent margins; tiny ones are exact."""
    picture = picture.crop(picture.getbbox()) if picture.mode == "RGBA" else picture.convert("RGB")
    if max(picture.size) > longest:
        picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return data_uri(picture, "webp", lossless=max(picture.size) <= TINY, quality=80)
