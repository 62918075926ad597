"""The words for what the world holds: shapes, colours, sizes, fills, numbers, and the words that are written in it.

Canonical names come first in each list of synonyms. Which word a caption uses is the business of `captions`.
"""

SHAPES = ("circle", "square", "triangle", "star", "heart", "cross", "ring", "diamond", "moon", "arrow")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black", "gray")
SIZES = ("small", "medium", "large")
FILLS = ("solid", "striped", "outline")
STYLES = ("plain", "dark", "textured", "noisy")
RELATIONS = ("left", "right", "above", "below", "inside", "touching")
DIRECTIONS = ("right", "down", "left", "up")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six")

SYNONYMS = {
    "circle": ("circle", "disc"),
    "cross": ("cross", "plus"),
    "ring": ("ring", "donut"),
    "diamond": ("diamond", "rhombus"),
    "moon": ("moon", "crescent"),
    "gray": ("gray", "grey"),
    "purple": ("purple", "violet"),
    "small": ("small", "little", "tiny"),
    "large": ("large", "big", "huge"),
    "outline": ("outlined", "hollow"),
    "striped": ("striped", "stripy"),
    "solid": ("solid", "filled"),
}
PLURALS = {name: name + ("es" if name.endswith("s") else "s") for name in (*SHAPES, "shape", "object", "person")}
PLURALS |= {word: word + ("es" if word.endswith("s") else "s") for words in SYNONYMS.values() for word in words}
PLURALS |= {"person": "people", "plus": "pluses"}

# Words that appear written in pictures: the names above, so that a word can contradict an object, and neutral ones.
WRITTEN = (*SHAPES, *COLOURS, "cat", "dog", "sun", "hat", "car", "cup", "box", "fish", "tree", "bird", "house", "apple")
WRITTEN = tuple(word for word in WRITTEN if len(word) <= 6)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"

# Several reference colours for each name, so that other programs' idea of "green" is covered too (0-255 RGB).
COLOUR_REFERENCES = {
    "red": ((255, 0, 0), (220, 20, 50), (200, 35, 35), (235, 60, 50)),
    "orange": ((255, 165, 0), (255, 140, 0), (245, 130, 30), (255, 120, 10)),
    "yellow": ((255, 255, 0), (255, 215, 0), (245, 220, 60), (250, 240, 90)),
    "green": ((0, 128, 0), (0, 200, 40), (50, 160, 70), (0, 255, 0), (40, 190, 110)),
    "blue": ((0, 0, 255), (30, 90, 220), (60, 120, 240), (20, 50, 160), (50, 150, 250)),
    "purple": ((128, 0, 128), (140, 50, 190), (110, 40, 160), (150, 80, 210)),
    "pink": ((255, 192, 203), (255, 105, 180), (245, 140, 185), (255, 170, 210)),
    "black": ((0, 0, 0), (25, 25, 30), (45, 40, 45)),
    "gray": ((128, 128, 128), (150, 150, 155), (110, 112, 118), (170, 170, 170)),
}
