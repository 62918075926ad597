"""What training never shows, so that a figure about it is a figure about generalising.

Three things are held out: colour x shape pairs, numbers above four, and some arrangements of two shapes. One more, the
swap of two objects' colours, is held out only in the regimes that ask for it. Seeds of the splits never meet because
the name of the split is part of the seed.
"""

import zlib

SEEN_COUNTS = (1, 2, 3, 4)
UNSEEN_COUNTS = (5, 6)

# One tenth of the pairs, each colour once, chosen so that none is the emblem of its shape (no red heart).
UNSEEN_PAIRS = frozenset(
    {
        ("purple", "circle"),
        ("orange", "square"),
        ("pink", "triangle"),
        ("blue", "star"),
        ("green", "heart"),
        ("yellow", "cross"),
        ("red", "ring"),
        ("gray", "diamond"),
        ("black", "moon"),
    }
)


def pair_is_seen(colour: str, shape: str) -> bool:
    """Whether training draws this colour on this shape."""
    return (colour, shape) not in UNSEEN_PAIRS


def swap_is_kept(first: tuple[str, str], second: tuple[str, str]) -> bool:
    """Whether two (colour, shape) objects may share a scene when one of each swap pair is withheld.

    Of {red circle, blue square} and {blue circle, red square} exactly one is kept. Objects that agree in colour or
    shape have no swap and always may.
    """
    (colour_a, shape_a), (colour_b, shape_b) = sorted((first, second))
    if colour_a == colour_b or shape_a == shape_b:
        return True
    # Sorted by colour, the two members of a swap pair differ in the order of their shapes only.
    low, high = sorted((shape_a, shape_b))
    coin = zlib.crc32(f"swap {colour_a} {colour_b} {low} {high}".encode()) & 1
    return (shape_a == low) == bool(coin)


def arrangement_is_seen(relation: str, shape: str, other: str) -> bool:
    """Whether training shows `shape` in this relation to `other`; a tenth of left/right and above/below is not.

    This holds for scenes of two things; scenes of three or more are free, and name no relations in their captions.
    """
    if relation in ("right", "below"):
        relation, shape, other = {"right": "left", "below": "above"}[relation], other, shape
    if relation not in ("left", "above"):
        return True
    return zlib.crc32(f"arrangement {relation} {shape} {other}".encode()) % 10 != 0
