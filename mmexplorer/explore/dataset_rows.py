"""Streams the rows of a data set of the Hugging Face Hub: a picture's bytes, its name, and what else the row says.

The one place that touches the optional package `datasets`. Code that comes with a data set is never run; nothing is
kept here.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from mmexplorer.errors import Refusal
from mmexplorer.explore.picture_listing import is_text, listed
from mmexplorer.explore.picture_locations import MAX_BYTES
from mmexplorer.explore.picture_tables import named_class

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_SPLIT = "train"
CONNECTIONS = 16  # for pictures that lie in files of their own


@dataclass(frozen=True)
class DatasetRows:
    """An opened split of a data set and its rows in order.

    schema has the columns of texts, numbers and class names, others names the rest but for the pictures. total counts
    the rows, None where that is not known.
    """

    repository: str
    split: str
    splits: tuple[str, ...]
    total: int | None
    schema: "pa.Schema"
    others: tuple[str, ...]
    _data: Any
    _image: str
    _classes: dict[str, list[str]]
    _token: bool | None

    def __iter__(self) -> Iterator[tuple[str, bytes | None, dict]]:
        """Each row's picture name, empty if it has none, its bytes, None if there are none, and its other values."""
        pool = ThreadPoolExecutor(CONNECTIONS)
        ahead = deque()
        try:
            for example in self._data:
                picture = example.pop(self._image) or {}
                for column, names in self._classes.items():
                    example[column] = named_class(example[column], names)
                path = picture.get("path") or ""
                name = PurePosixPath(path.partition("::")[0]).name  # in an archive the member's
                ahead.append((name, pool.submit(self._bytes, picture.get("bytes"), path), example))
                if len(ahead) > 2 * CONNECTIONS:
                    name, data, values = ahead.popleft()
                    yield name, data.result(), values
            for name, data, values in ahead:
                yield name, data.result(), values
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _bytes(self, data: bytes | None, path: str) -> bytes | None:
        """The bytes that a row holds or points at; None where it points outside its own repository."""
        import fsspec

        # A row could name any file of this machine, or of a repository that only the token's owner may see. In a chain
        # "inner::outer" any part may, for a protocol that is no archive's takes no notice of the parts after it.
        *inner, outer = path.split("::")
        own = outer.startswith(f"hf://datasets/{self.repository}@") and all(part.startswith("zip://") for part in inner)
        if data or not own:
            return data
        with fsspec.open(path, "rb", hf={"token": self._token}) as file:
            return file.read(MAX_BYTES + 1)


def open_rows(path: str, *, repository: str, revision: str | None, split: str, token: bool | None) -> DatasetRows:
    """The rows of a split, by default of "train", else of the first; Refusal where it has no pictures.

    path is what `datasets.load_dataset` takes, and its other errors pass through. The pictures are in the first column
    of the type Image.
    """
    try:
        import datasets
    except ImportError:
        raise Refusal("Data sets of the Hub need the package datasets; install it by: pip install datasets.") from None
    import pyarrow as pa

    data = datasets.load_dataset(path, split=split or None, streaming=True, revision=revision, token=token)
    splits = tuple(data) if isinstance(data, dict) else (split,)
    if isinstance(data, dict):
        split = DEFAULT_SPLIT if DEFAULT_SPLIT in data else splits[0]
        data = data[split]
    features = data.features or {}
    image = next((name for name, feature in features.items() if isinstance(feature, datasets.Image)), None)
    if image is None:
        raise Refusal(f"{repository} has no column of pictures; its columns are {listed(list(features), 12)}.")
    classes = {name: feature.names for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)}
    schema = pa.schema(
        pa.field(column.name, pa.string() if column.name in classes else column.type)
        for column in features.arrow_schema
        if column.name != image and _is_shown(column.type)
    )
    known = (data.info.splits or {}).get(split)
    return DatasetRows(
        repository=repository,
        split=split,
        splits=splits,
        total=known.num_examples if known else None,
        schema=schema,
        others=tuple(name for name in features if name not in (image, *schema.names)),
        _data=data.decode(False).select_columns([image, *schema.names]),
        _image=image,
        _classes=classes,
        _token=token,
    )


def _is_shown(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    is_list_of_texts = pa.types.is_list(kind) and is_text(kind.value_type)
    return is_list_of_texts or not (
        pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    )
