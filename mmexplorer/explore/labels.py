"""Label lists and templates: what people type or upload, and ready-made ones.

Only splits text into labels; whether they can be scored is the business of `zero_shot`.
"""

import csv
import io
from pathlib import Path

from mmexplorer.errors import Refusal
from mmexplorer.toyworld import captions
from mmexplorer.toyworld import vocabulary as words

MAX_CSV_BYTES = 1_000_000


def _named(colour: str, shape: str) -> str:
    return f"{'an' if colour[0] in 'aeiou' else 'a'} {colour} {shape}"


LABEL_SETS: dict[str, tuple[str, ...]] = {
    "Shapes": tuple(f"{'an' if shape[0] in 'aeiou' else 'a'} {shape}" for shape in words.SHAPES),
    "Colours": tuple(f"{'an' if colour[0] in 'aeiou' else 'a'} {colour} shape" for colour in words.COLOURS),
    "Colours x shapes (90)": tuple(_named(colour, shape) for colour in words.COLOURS for shape in words.SHAPES),
    "How many circles": ("one circle", "two circles", "three circles", "four circles"),
    "Everyday things (for real checkpoints)": (
        "a cat", "a dog", "a bird", "a person", "a car", "a bicycle", "a tree", "a flower", "a house", "food",
    ),
}  # fmt: skip

TEMPLATE_SETS: dict[str, tuple[str, ...]] = {
    "The label alone": ("{}",),
    "A photo of": ("a photo of {}",),
    "A drawing of": ("a drawing of {}",),
    "Ensemble of 8 templates": captions.TEMPLATES,
}


def labels_from_text(text: str) -> list[str]:
    """Labels typed one a line, or separated by commas or semicolons where they all stand on one line."""
    lines = [line for line in (text or "").splitlines() if line.strip()]
    if len(lines) == 1:
        lines = lines[0].replace(";", ",").split(",")
    return [line.strip() for line in lines if line.strip()]


def labels_from_csv(path: str | Path) -> list[str]:
    """The column "label" (or "labels", "name", "class") of a CSV file, or its first column if none has such a name.

    Reads UTF-8, with or without a byte order mark, and commas, semicolons or tabs. Raises Refusal for a file that is
    too large, is not text, or holds no labels.
    """
    path = Path(path)
    if path.stat().st_size > MAX_CSV_BYTES:
        raise Refusal(
            f"{path.name} is larger than {MAX_CSV_BYTES // 1_000_000} MB; a list of labels is a small text file."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Refusal(f"{path.name} is not UTF-8 text; save the labels as CSV in UTF-8.") from None
    if "\0" in text:
        raise Refusal(f"{path.name} is not a text file; save the labels as CSV in UTF-8.")
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise Refusal(f"{path.name} cannot be read as CSV: {error}.") from None
    if not rows:
        raise Refusal(f"{path.name} holds no labels; put one in each row.")
    header = [cell.strip().lower() for cell in rows[0]]
    column = next((header.index(name) for name in ("label", "labels", "name", "class") if name in header), None)
    cells = [row[column or 0] for row in rows[column is not None :] if len(row) > (column or 0)]
    labels = [cell.strip() for cell in cells if cell.strip()]
    if not labels:
        raise Refusal(f"{path.name} holds no labels; put one in each row.")
    return labels
