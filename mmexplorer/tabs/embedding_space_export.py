"""What leaves the embedding tab: a region of the map as a file, or its pictures into the zero-shot tab."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio as gr

from mmexplorer.errors import Refusal
from mmexplorer.explore import selection
from mmexplorer.explore.zero_shot import MAX_PICTURES
from mmexplorer.tabs.embedding_space_map import row_of
from mmexplorer.tabs.embedding_space_session import Shown
from mmexplorer.tabs.shell import Page
from mmexplorer.tabs.status import message, toast
from mmexplorer.tabs.take_file import take_file

PYTHON = """\
import mmexplorer

space = mmexplorer.Collection.open("toy-world")  # or a folder, a zip, a CSV or Parquet file, "hf:owner/name"
found = space.search("a red circle", minus="red", k=5)
for point, cosine in zip(found.indices[0], found.cosines[0]):
    print(space.point_name(point), round(float(cosine), 3))

places = mmexplorer.project(space.vectors, method="umap", dimensions=2, seed=0)
near = mmexplorer.neighbours(space.images, space.images[:1], k=6)
print(places.coordinates.shape, near.indices)
"""


def wire(send: gr.Button, as_csv: gr.Button, as_parquet: gr.Button, chosen, shown, status, page: Page) -> None:
    """Connects the buttons below a region."""
    private = {"api_visibility": "private", "show_progress": "hidden"}
    file = gr.File(visible="hidden", elem_id="es-file")
    for button, write in ((as_csv, _as_csv), (as_parquet, _as_parquet)):
        written = button.click(write, [chosen, shown], [file, status], **private)
        take_file(written, file)
    components, fill = page.pictures_go_to["zero-shot"]

    def hand_over(chosen, shown) -> Iterator[tuple]:
        with TemporaryDirectory() as folder:  # Gradio copies the files before it asks for the next update
            try:
                files, note = pictures_of(chosen, shown, Path(folder))
                yield *fill(files), gr.Tabs(selected="zero-shot"), message(note)
            except Refusal as refusal:
                yield *(gr.skip() for _ in components), gr.skip(), toast(refusal)

    send.click(hand_over, [chosen, shown], [*components, page.tabs, status], **private)


def pictures_of(chosen: Sequence[int], shown: Shown, folder: Path) -> tuple[list[str], str]:
    """The region's first pictures as files in a folder, and a sentence on how many there are."""
    rows = list(dict.fromkeys(row_of(shown.collection, point) for point in chosen))
    files = []
    for row in rows[:MAX_PICTURES]:
        name = Path(shown.collection.table["name"][row].as_py()).stem[:60] or "picture"
        file = folder / f"{name}.png"
        if file.exists():
            file = folder / f"{name} {row}.png"
        shown.collection.picture(row).save(file)
        files.append(str(file))
    fewer = f", the first of {len(rows):,}" if len(rows) > MAX_PICTURES else ""
    return files, f"{len(files)} picture{'s' if len(files) > 1 else ''} sent to the zero-shot tab{fewer}."


def _as_csv(chosen, shown: Shown | None) -> Iterator[tuple]:
    yield from _written(chosen, shown, "selection.csv", selection.write_csv, vectors=False)


def _as_parquet(chosen, shown: Shown | None) -> Iterator[tuple]:
    yield from _written(chosen, shown, "selection.parquet", selection.write_parquet, vectors=True)


def _written(chosen, shown: Shown | None, name: str, write: Callable, *, vectors: bool) -> Iterator[tuple]:
    if shown is None or not chosen:
        raise Refusal("Nothing is chosen; draw around some points first.")
    table = selection.selection_table(shown.collection, chosen, shown.projection.coordinates, vectors=vectors)
    with TemporaryDirectory() as folder:
        write(table, Path(folder) / name)
        yield str(Path(folder) / name), message(f"{len(chosen):,} points written to {name}.")
