"""How people word a question, whatever its answer: sentences, spelling, capitals and final punctuation.

The sentences have slots; what goes into them, and whether it is true of a picture, is the business of `questions`.
"""

import random

from mmexplorer.toyworld import vocabulary as words

# What people type, before spelling, case and final punctuation vary. {is}, {does} follow the number of {it}.
PHRASINGS = {
    "colour": (
        "what {colour} {is} {it}?", "which {colour} {is} {it}?", "what {colour} {does} {it} have?",
        "which {colour} {does} {it} have?", "what is the {colour} of {it}?", "tell me the {colour} of {it}.",
    ),
    "shape": ("what shape {is} {it}?", "which shape {is} {it}?", "what is the shape of {it}?",
              "what kind of shape {is} {it}?"),
    "size": ("what size is {it}?", "how big is {it}?", "how large is {it}?", "is {it} small, medium or large?"),
    "is size": ("is {it} {size}?", "does {it} look {size}?"),
    "compare": ("which is {more}, {it} or {other}?", "which one is {more}: {it} or {other}?"),
    "count": ("how many {names} are there?", "how many {names} do you see?", "how many {names} are in the picture?",
              "count the {names}.", "what is the number of {names}?"),
    "relation": ("where is {it} relative to {other}?", "where is {it} compared to {other}?"),
    "is relation": ("is {it} {relation} {other}?", "can you see {it} {relation} {other}?"),
    "place": ("where is {it}?", "where in the picture is {it}?", "where do you see {it}?"),
    "beside": ("is {it} left or right of {other}?", "is {it} to the left or to the right of {other}?"),
    "stacked": ("is {it} above or below {other}?", "is {it} over or under {other}?"),
    "what relation": ("what is {relation} {other}?", "what do you see {relation} {other}?"),
    "existence": ("is there {a}?", "is there {a} in the picture?", "do you see {a}?", "can you see {a} in the image?",
                  "does the picture show {a}?", "are there any {names}?", "are there any {names} in the picture?"),
    "text existence": ("is there any text?", "is there any text in the picture?", "do you see any text?",
                       "can you see any writing?", "is anything written here?"),
    "reading": ("what is written here?", "what does the text say?", "what does it say?", "read the text.",
                "what {glyph} is this?", "which {glyph} is written here?", "which {glyph} do you see?"),
    "is readable": ("is the text readable?", "can you read the text?", "is the text large enough to read?"),
    "figure": ("is {it} on the person's left or right?", "on which side of the person is {it}, as the person sees it?",
               "from the person's view, is {it} on the left or on the right?"),
    "is figure": ("is {it} on the person's {side}?", "does the person have {it} on the {side}?"),
    "facing": ("which way is the person facing?", "is the person facing us or facing away?",
               "which way does the person face?"),
    "describe": ("describe the picture.", "describe this image.", "what is in the picture?", "what do you see?",
                 "what does the image show?", "list everything in the picture."),
}  # fmt: skip


def typed(phrasing: str, rng: random.Random, **slots: str) -> str:
    """One of the sentences of a phrasing with its slots filled, as somebody might type it; other slots are ignored."""
    text = rng.choice(PHRASINGS[phrasing]).format(colour=rng.choice(("color", "colour")), **slots)
    if rng.random() < 0.25:
        text = text[:-1]
    case = rng.random()
    return text if case < 0.45 else text[0].upper() + text[1:] if case < 0.95 else text.upper()


def said(name: str, rng: random.Random) -> str:
    """A word for a canonical name: itself or a synonym."""
    return rng.choice(words.SYNONYMS.get(name, (name,)))


def article(word: str) -> str:
    """The indefinite article before a word."""
    return "an" if word[0] in "aeiou" else "a"
