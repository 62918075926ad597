"""A conversation as files to keep: JSON with every token's probabilities, Markdown to read, and a ZIP with everything.

An exchange is a question's text, the pictures that came with it, and the Reply. Nothing here is pickled, and no text
of a visitor or a model can become markup. Knows neither tabs nor models.
"""

import io
import json
import re
import zipfile
from collections.abc import Sequence

import numpy as np
from PIL import Image

from mmexplorer.figures.tokens import visible
from mmexplorer.replies import ROLES, Attention, Reply, TokenChoice

Exchange = tuple[str, Sequence[Image.Image], Reply]
ENDS = {
    "end": "ended by the model",
    "length": "cut at the most new tokens",
    "context": "cut where the model's context was full",
    "stopped": "stopped",
}
# What Markdown or HTML would act on: inside a line, and at its beginning.
MARKUP = re.compile(r"[\\`*_\[\]<>&#|~!$]|^\s*[-+=]|^\s*\d+[.)]")


def conversation_json(exchanges: Sequence[Exchange]) -> str:
    """The exchanges as indented JSON; pictures and maps are named as the files of `conversation_zip`."""
    return json.dumps(
        {"exchanges": [_exchange(number, *exchange) for number, exchange in enumerate(exchanges, 1)]},
        ensure_ascii=False,
        allow_nan=False,
        indent=1,
    )


def conversation_markdown(exchanges: Sequence[Exchange], *, linked: bool = False) -> str:
    """The exchanges as Markdown; linked shows the pictures, which then lie beside it as in `conversation_zip`."""
    parts = ["# Conversation"]
    for number, (question, pictures, reply) in enumerate(exchanges, 1):
        parts.append(f"## Question {number}")
        for index, picture in enumerate(pictures, 1):
            size = f"{picture.width} × {picture.height} pixels"
            link = f"![Picture {index}]({picture_name(number, index)}) " if linked else f"Picture {index}, "
            parts.append(f"{link}{size}")
        parts += [_quoted(question), f"## Answer {number}", _quoted(reply.text), _figures(reply)]
        if reply.tokens:
            parts.append("Probabilities: " + " · ".join(f"{_name(t)} {t.probability:.1%}" for t in reply.tokens))
        parts += [f"- {_escaped(remark)}" for remark in reply.remarks]
    return "\n\n".join(parts) + "\n"


def conversation_zip(exchanges: Sequence[Exchange]) -> bytes:
    """A ZIP archive of the JSON, the Markdown, the pictures as PNG and an NPZ of each answer's maps, if it has any."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversation.json", conversation_json(exchanges))
        archive.writestr("conversation.md", conversation_markdown(exchanges, linked=True))
        for number, (_, pictures, reply) in enumerate(exchanges, 1):
            for index, picture in enumerate(pictures, 1):
                archive.writestr(picture_name(number, index), _png(picture), zipfile.ZIP_STORED)
            if reply.attention is not None:
                archive.writestr(_maps_name(number), attention_npz(reply.attention), zipfile.ZIP_STORED)
    return buffer.getvalue()


def attention_npz(attention: Attention) -> bytes:
    """A compressed NumPy archive of an answer's attention; it opens with `numpy.load(file)` and needs no pickle.

    mean and max (layers, R, I) float16 and shares (layers, heads, R, 4) float32 are those of `replies.Attention`.
    words and word_roles (W,) are texts; word_rows (n, 2) are pairs of a word's number and one of its rows. Of each
    image token: boxes (I, 4), kinds (I,), positions (I,) and pictures (I,), its picture's number from 0. Of each
    picture: sizes (width, height), base_grids and tile_grids (rows, columns), zeros for a picture without tiles.
    """
    layouts = attention.layouts
    arrays = {
        "mean": attention.mean,
        "max": attention.max,
        "shares": attention.shares,
        "share_names": np.array(ROLES),
        "words": np.array([word.text for word in attention.words], dtype=str),
        "word_roles": np.array([word.role for word in attention.words], dtype=str),
        "word_rows": np.array(
            [(number, row) for number, word in enumerate(attention.words) for row in word.rows], dtype=np.int64
        ).reshape(-1, 2),
        "boxes": np.concatenate([layout.boxes for layout in layouts]),
        "kinds": np.concatenate([layout.kind for layout in layouts]).astype(str),
        "positions": np.concatenate([layout.positions for layout in layouts]),
        "pictures": np.repeat(np.arange(len(layouts)), [len(layout.positions) for layout in layouts]),
        "sizes": np.array([layout.size for layout in layouts]),
        "base_grids": np.array([layout.base_grid for layout in layouts]),
        "tile_grids": np.array([layout.tile_grid or (0, 0) for layout in layouts]),
        "model": np.array(attention.model),
    }
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _exchange(number: int, question: str, pictures: Sequence[Image.Image], reply: Reply) -> dict:
    return {
        "question": question,
        "pictures": [
            {"file": picture_name(number, index), "width": picture.width, "height": picture.height}
            for index, picture in enumerate(pictures, 1)
        ],
        "answer": {
            "text": reply.text,
            "model": reply.model,
            "ended": reply.ended,
            "settings": reply.settings,
            "remarks": list(reply.remarks),
            "text_tokens": reply.text_tokens,
            "image_tokens": reply.image_tokens,
            "seconds": reply.seconds,
            "attention_seconds": reply.attention_seconds,
            "maps": _maps_name(number) if reply.attention is not None else None,
            "tokens": [
                {
                    **_token(token.id, token.text, token.probability),
                    "alternatives": [_token(*o) for o in token.alternatives],
                }
                for token in reply.tokens
            ],
        },
    }


def _token(token: int, text: str, probability: float) -> dict:
    return {"id": int(token), "text": text, "probability": float(probability)}


def _figures(reply: Reply) -> str:
    """One line: who answered, how much was read and written, and the settings."""
    count = len(reply.tokens)
    settings = [f"{key} {value}" for key, value in reply.settings.items() if value not in (None, {}, ())]
    parts = [
        reply.model,
        f"read {reply.text_tokens} text tokens and {reply.image_tokens} image tokens",
        f"wrote {count} token{'' if count == 1 else 's'}, {ENDS.get(reply.ended, reply.ended)}",
        *settings,
    ]
    return _escaped(", ".join(part for part in parts if part))


def _name(token: TokenChoice) -> str:
    """A token between backticks, as many as its own text needs; its name where it adds nothing to the answer."""
    names = {other: name for other, name, _ in token.alternatives}
    text = visible((token.text or names.get(token.id) or f"token {token.id}").strip(" ")) or "␣"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"


def _quoted(text: str) -> str:
    """A text as Markdown's quotation that keeps its lines."""
    return "  \n".join(f"> {_escaped(line)}" for line in text.splitlines() or [""])


def _escaped(line: str) -> str:
    """One line of text in which nothing acts as markup."""
    return MARKUP.sub(lambda match: f"{match[0][:-1]}\\{match[0][-1]}", line)


def picture_name(exchange: int, picture: int) -> str:
    """The file of a picture in `conversation_zip`; both numbers count from 1."""
    return f"pictures/{exchange}-{picture}.png"


def _maps_name(exchange: int) -> str:
    return f"maps/{exchange}.npz"


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.convert("RGB").save(file, "png")
    return file.getvalue()
