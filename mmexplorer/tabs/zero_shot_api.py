"""The tab's public endpoints, /classify and /ground_labels, for gradio_client and plain HTTP.

They go through hidden components rather than `gr.api`, so that Gradio checks that files are uploads of the caller.
"""

import base64

import gradio as gr

from mmexplorer import methods
from mmexplorer.errors import Refusal
from mmexplorer.explore import zero_shot
from mmexplorer.figures.viewer import grounding_npz
from mmexplorer.results import Classification, Grounding


def add() -> None:
    """Adds the hidden inputs, outputs and listeners of both endpoints to the page that is being built."""
    with gr.Group(visible=False):
        files = gr.File(file_count="multiple", label="images")
        file = gr.File(label="image")
        labels = gr.JSON(label="labels")
        model = gr.Textbox("toy-clip", label="model")
        templates = gr.JSON(["{}"], label="templates")
        method = gr.Textbox(methods.DEFAULT, label="method")
        answer = gr.JSON(label="classification")
        grounding = gr.JSON(label="grounding")
        ask, ground = gr.Button(), gr.Button()
    ask.click(_classify, [files, labels, model, templates], answer, api_name="classify", concurrency_limit=8)
    ground.click(
        _ground_labels,
        [file, labels, model, method, templates],
        grounding,
        api_name="ground_labels",
        concurrency_limit=8,
    )


def _classify(images, labels, model, templates) -> dict:
    """`mmexplorer.classify` over the wire: pictures are uploaded files, arrays come back as nested lists."""
    wanted = {"model": str(model), "templates": _texts(templates, "templates")}
    return _plain(zero_shot.classify(images or [], _texts(labels, "labels"), **wanted))


def _ground_labels(image, labels, model, method, templates) -> dict:
    """`mmexplorer.ground_labels` over the wire: numbers as nested lists, and everything as a base64 NPZ archive."""
    if not image:
        raise Refusal("There is no picture yet; pass one as `image`.")
    wanted = {"model": str(model), "method": str(method), "templates": _texts(templates, "templates")}
    return _plain_grounding(zero_shot.ground_labels(image, _texts(labels, "labels"), **wanted))


def _texts(value, name: str) -> list[str]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise Refusal(f"{name} must be a list of texts.")
    return list(value)


def _plain(result: Classification) -> dict:
    return {
        "labels": list(result.labels),
        "cosines": result.cosines.tolist(),
        "probabilities": result.probabilities.tolist(),
        "logit_scale": result.logit_scale,
        "logit_bias": result.logit_bias,
        "activation": result.activation,
        "templates": list(result.templates),
        "unknown_words": list(result.unknown_words),
        "model": result.model,
    }


def _plain_grounding(result: Grounding) -> dict:
    return {
        "words": list(result.words),
        "layers": list(result.layers),
        "box": list(result.box),
        "scores": result.scores.tolist(),
        "method": result.method,
        "model": result.model,
        "npz": base64.b64encode(grounding_npz(result)).decode("ascii"),
    }
