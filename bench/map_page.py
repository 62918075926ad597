"""A page with the embedding map alone and a button for each of two payloads, flat and solid: --port says where."""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import gradio as gr
import numpy as np
from PIL import Image

from mmexplorer.components.embedding_map import embedding_map
from mmexplorer.components.plotly_source import plotly_url
from mmexplorer.figures.embedding_map import map_payload
from mmexplorer.results import Projection

PICTURES = 25_000  # and as many captions
GROUPS, SHEET = 12, 256  # thumbnails on a sheet


def payload(dimensions: int, sheet: str) -> str:
    """Two islands of twelve overlapping groups, with names, captions, two columns, clusters and thumbnails."""
    random = np.random.default_rng(0)
    group = np.arange(PICTURES) % GROUPS
    middles = random.normal(scale=6, size=(GROUPS, dimensions))
    pictures = middles[group] + random.normal(size=(PICTURES, dimensions))
    captions = middles[group] + random.normal(size=(PICTURES, dimensions)) + 20
    return map_payload(
        Projection(np.concatenate([pictures, captions]).astype(np.float32), "umap", 0),
        [f"picture-{row:05}.png" for row in range(PICTURES)],
        [f"a drawing of kind {kind}, number {row}" for row, kind in enumerate(group)],
        range(PICTURES),
        {"kind": [f"kind {kind}" for kind in group], "size": random.random(PICTURES).tolist()},
        clusters=[*group, *group],
        sheet_urls=[sheet] * -(-PICTURES // SHEET),
    )


def page(folder: Path) -> gr.Blocks:
    """The page; its sheet of thumbnails lies in the folder."""
    sheet = folder / "sheet.webp"
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    Image.fromarray(noise).resize((16 * 96, 16 * 96)).save(sheet)
    gr.set_static_paths(sheet)
    payloads = {name: payload(n, f"gradio_api/file={sheet}") for name, n in (("flat", 2), ("solid", 3))}
    with gr.Blocks(analytics_enabled=False) as demo:
        shown = embedding_map(plotly_url=plotly_url(), elem_id="map")
        said = gr.Textbox(elem_id="said")
        for name, value in payloads.items():
            gr.Button(name, elem_id=name).click(lambda value=value: value, None, shown, api_visibility="private")

        def chosen(event: gr.SelectData) -> str:
            return f"{event.index} {event.value}"

        shown.select(chosen, None, said, queue=False, api_visibility="private")
    return demo


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    with tempfile.TemporaryDirectory() as folder:
        page(Path(folder)).launch(server_name="127.0.0.1", server_port=parser.parse_args().port, quiet=True)
