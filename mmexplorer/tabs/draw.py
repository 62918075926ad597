"""The text-to-image tab: watch a prompt become a picture, and see which word painted what.

Only the layout and the wiring are here; what happens is in the `draw_*` modules beside it.
"""

from types import SimpleNamespace

import gradio as gr

from mmexplorer.components.examples import examples
from mmexplorer.components.film_strip import film_strip
from mmexplorer.components.picture_row import picture_row
from mmexplorer.components.stages import stages
from mmexplorer.components.viewer import grounding_viewer
from mmexplorer.explore import experiments
from mmexplorer.figures.examples import examples_payload
from mmexplorer.tabs import draw_api, draw_facts, draw_grids, draw_scores, draw_send, model_choice, model_facts
from mmexplorer.tabs import draw_downloads as downloads
from mmexplorer.tabs import draw_inputs as inputs
from mmexplorer.tabs import draw_look as look
from mmexplorer.tabs import draw_run as run
from mmexplorer.tabs import draw_session as session
from mmexplorer.tabs import draw_show as show
from mmexplorer.tabs.event_numbers import number_of
from mmexplorer.tabs.model_facts import about
from mmexplorer.tabs.shell import Page
from mmexplorer.tabs.status import IDLE

DEFAULT = "toy-diffusion"
PROMPT = "a red circle to the left of a blue square"
MEANING = """\
**What this shows.** A text-to-image model begins with noise and takes a part of it away at every step, led by the
prompt. The film strip has each step as the network saw it, and the finished picture that it would have guessed from
there. The maps are the model's cross-attention: how much each place of the latent read each word, by layer and by
step.

**What it does not prove.** That a word was read somewhere is not yet that it painted there; change the word, keep the
seed, and see what moves. The guess at step 10 of 50 is not what 10 steps draw: those take longer strides from the same
noise. Guidance follows the prompt more closely at the price of variety, and high values of it overdo contrast and
colour. A toy model knows drawn shapes and nothing else, and figures of it hold for the toy world.
"""
# On a phone the picture is below the inputs.
SHOW_PICTURE = """() => {
    const { top, bottom } = document.getElementById('draw-picture').getBoundingClientRect();
    if (top < 0 || bottom > innerHeight) document.getElementById('draw-status').scrollIntoView();
}"""
RANDOM_SEED = "() => Math.floor(Math.random() * 2 ** 32)"
COPY_SEED = "(seed) => { navigator.clipboard?.writeText(String(seed)); }"
DOWNLOADS = {
    "png": "PNG, opens here again",
    "gif": "GIF of the steps",
    "npz": "Word maps (NPZ)",
    "json": "Settings and numbers (JSON)",
}
SENDS = {"zero-shot": "Send to Zero-shot", "chat": "Send to Chat"}


def build(page: Page) -> None:
    """Lays the tab out and wires it up; called inside the tab's own gr.Tab."""
    parts = SimpleNamespace(drawing=gr.State(None, time_to_live=7200), history=gr.State((), time_to_live=7200))
    parts.step, parts.drawn = gr.State(None), gr.State(False)
    _top(parts, page)
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            _given(parts)
        with gr.Column(scale=8, min_width=320):
            _result(parts)
            _folds(parts)
    draw_api.add()  # before the listeners whose functions have its name, which Gradio would number it after
    _wire(parts, page)


def _top(parts: SimpleNamespace, page: Page) -> None:
    cards = {card.title: card.key for card in experiments.cards("draw")}
    first = model_choice.default("draws", DEFAULT)
    with gr.Row(elem_classes="mmx-top"):
        parts.model = model_choice.dropdown(
            "draws",
            first,
            local=page.local,
            label="Model",
            elem_id="draw-model",
            info="The next picture comes from it.",
        )
        parts.card = gr.Dropdown(
            [("None", ""), *cards.items()], value="", label="Experiment", scale=2, min_width=280, elem_id="draw-card",
            info="Fills the inputs and says what to predict.",
        )  # fmt: skip
    parts.about = gr.HTML(about(first), elem_id="draw-about", apply_default_css=False)
    parts.brief = gr.Markdown(visible=False, elem_id="draw-brief", elem_classes="mmx-card")


def _given(parts: SimpleNamespace) -> None:
    """Left: the prompt, the settings, the examples, and where an old picture is opened again."""
    parts.prompt = gr.Textbox(
        PROMPT, label="Prompt", placeholder="a red circle", lines=1, max_lines=6, elem_id="draw-prompt",
        info="Enter draws.",
    )  # fmt: skip
    parts.negative = gr.Textbox(
        label="Negative prompt", info=draw_facts.NEGATIVE, lines=1, max_lines=4, elem_id="draw-negative"
    )
    with gr.Row(elem_classes="mmx-tight"):
        parts.draw = gr.Button("Draw", variant="primary", scale=3, elem_id="draw-run", min_width=120)
        parts.stop = gr.Button("Stop", scale=1, elem_id="draw-stop", min_width=70)
    with gr.Row(elem_classes="mmx-tight"):
        parts.seed = gr.Number(
            0, label="Seed", precision=0, elem_id="draw-seed", min_width=150, scale=4,
            info="The same seed and settings draw the same picture.",
        )  # fmt: skip
        parts.random = gr.Button("Random", size="sm", min_width=70, scale=1, elem_id="draw-random")
        parts.copy = gr.Button("Copy", size="sm", min_width=60, scale=1, elem_id="draw-copy")
    with gr.Accordion("Settings", open=False, elem_id="draw-settings") as parts.settings:
        own = draw_facts.OWN.lower()
        with gr.Row(elem_classes="mmx-tight"):
            parts.steps = gr.Number(label="Steps", placeholder=own, min_width=120, elem_id="draw-steps")
            parts.guidance = gr.Number(label="Guidance scale", placeholder=own, min_width=120, elem_id="draw-guidance")
        parts.scheduler = gr.Dropdown(
            [(draw_facts.OWN, "")], value="", label="Scheduler", elem_id="draw-scheduler",
            info="Others are listed once the model is loaded.",
        )  # fmt: skip
        with gr.Row(elem_classes="mmx-tight"):
            parts.width = gr.Number(label="Width", placeholder=own, min_width=120, elem_id="draw-width")
            parts.height = gr.Number(label="Height", placeholder=own, min_width=120, elem_id="draw-height")
        parts.pictures = gr.Slider(
            1, run.MOST_PICTURES, 1, step=1, label="Pictures", elem_id="draw-pictures",
            info="One after another, each with the next seed.",
        )  # fmt: skip
    drawn = inputs.examples()
    with gr.Column(visible=bool(drawn)):
        gr.Markdown("Examples: one click draws", elem_classes="mmx-caption")
        titles = [settings["prompt"] for _, settings in drawn]
        parts.shelf = examples(examples_payload(titles, [image for image, _ in drawn]), elem_id="draw-examples")
    parts.file = gr.File(label="Open a picture that was drawn here", height=180, elem_id="draw-file", file_types=None)


def _result(parts: SimpleNamespace) -> None:
    parts.status = gr.HTML(IDLE, elem_id="draw-status", apply_default_css=False)
    with gr.Row(elem_id="draw-result"):
        with gr.Column(scale=1, min_width=260):
            parts.picture = gr.HTML(show.EMPTY, elem_id="draw-picture", apply_default_css=False)
        with gr.Column(scale=1, min_width=260):
            parts.meta = gr.HTML("", elem_id="draw-meta", apply_default_css=False)
            with gr.Row(elem_classes="mmx-tight", visible=False) as parts.sending:
                parts.sends = {
                    key: gr.Button(text, size="sm", min_width=120, elem_id=f"draw-send-{key}")
                    for key, text in SENDS.items()
                }
    with gr.Column(visible=False, elem_id="draw-earlier") as parts.earlier:
        gr.Markdown("Drawn in this visit; a click shows one again", elem_classes="mmx-caption")
        parts.gallery = picture_row(elem_id="draw-gallery")
    parts.strip = film_strip(elem_id="draw-strip")
    parts.steps_shown = gr.Radio(
        look.STEPS, value="all", label="Word maps of", elem_id="draw-steps-shown", min_width=240, visible=False
    )
    parts.viewer = grounding_viewer(elem_id="draw-viewer", empty="Draw a picture to see which word was read where.")


def _folds(parts: SimpleNamespace) -> None:
    gr.Markdown(MEANING, elem_classes="mmx-meaning")
    draw_grids.fold(parts)
    draw_scores.fold(parts)
    with gr.Accordion("From prompt to picture, with this picture's numbers", open=False, elem_id="draw-way"):
        parts.stages = stages(elem_id="draw-stages")
    with gr.Accordion("The same in Python", open=False):
        parts.code = gr.Code(language="python", show_label=False, interactive=False, elem_id="draw-code")
    with gr.Accordion("Downloads", open=False, elem_id="draw-downloads"), gr.Row(elem_classes="mmx-tight"):
        parts.downloads = {
            kind: gr.Button(text, size="sm", min_width=140, elem_id=f"draw-{kind}") for kind, text in DOWNLOADS.items()
        }


def _wire(parts: SimpleNamespace, page: Page) -> None:
    private = {"api_visibility": "private"}
    quick = {"queue": False, "show_progress": "hidden", **private}
    slow = {"show_progress": "hidden", **private}
    shown = [getattr(parts, name) for name in run.OUTPUTS]
    streamed = [getattr(parts, name) for name in run.STREAMED]
    whole = [getattr(parts, name) for name in run.INPUTS]
    filled = [getattr(parts, name) for name in inputs.FILLED]

    # Before the drawing itself: what is registered after it would wait until it is done.
    gr.on([parts.draw.click, parts.prompt.submit, parts.shelf.select], None, js=SHOW_PICTURE, **private)
    drawn = gr.on([parts.draw.click, parts.prompt.submit], run.draw, whole, streamed, trigger_mode="once", **slow)
    example = parts.shelf.select(_example, None, filled, **slow).success(run.draw, whole, streamed, **slow)
    for event in (drawn, example):
        seen = event.then(run.show_drawn, [parts.drawn, parts.drawing, parts.history], shown, **slow)
        seen.then(lambda key: (page.refresh(), about(key)), parts.model, [page.status, parts.about], **quick)
    parts.stop.click(session.stop_of, None, None, **quick)
    parts.gallery.select(run.show_other, parts.history, shown, **slow)

    watched = [parts.steps_shown, parts.step, parts.drawing]
    parts.strip.step(
        look.stepped, [parts.steps_shown, parts.drawing], [parts.step, parts.viewer], trigger_mode="always_last", **slow
    )
    parts.steps_shown.input(look.switched, watched, parts.viewer, trigger_mode="always_last", **slow)

    parts.random.click(None, None, parts.seed, js=RANDOM_SEED, **private)
    parts.copy.click(None, parts.seed, None, js=COPY_SEED, **private)
    offered = [getattr(parts, name) for name in draw_facts.OUTPUTS]
    parts.model.input(_chosen, parts.model, offered, **quick)
    gr.on(
        None, lambda: _chosen(model_choice.default("draws", DEFAULT)), None, offered, **quick
    )  # as the page loads: an empty box begins as 0
    parts.settings.expand(run.learn, parts.model, [parts.status, *offered], **slow)
    model_facts.wire(parts.model, parts.about, "draws", local=page.local)
    parts.file.upload(_reopened, parts.file, [*filled, parts.status, parts.file], **slow)
    plain = [getattr(parts, name) for name in inputs.PLAIN]
    parts.card.input(_open_card, parts.card, [parts.brief, *plain, *shown], **slow)

    downloads.wire(parts.downloads, parts.drawing, parts.status)
    for tab, button in parts.sends.items():
        draw_send.wire(button, tab, parts.drawing, parts.status, page)
    draw_grids.wire(parts, page)
    draw_scores.wire(parts, page)


def _chosen(model: str) -> tuple:
    controls = draw_facts.defaults(model)
    return tuple(controls[name] for name in draw_facts.OUTPUTS)


def _example(event: gr.SelectData) -> tuple:
    drawn = inputs.examples()
    _, settings = drawn[number_of(event, "index", len(drawn))]
    return _listed(inputs.filled(settings))


def _reopened(file: str) -> tuple:
    values, status = inputs.reopened(file)
    return *_listed(values), status, None


def _open_card(key: str, request: gr.Request) -> tuple:
    """A card fills the inputs and clears the page, since it asks to predict; no card leaves all as it is."""
    brief, settings = inputs.card_settings(key)
    if settings is None:
        return brief, *(gr.skip() for _ in inputs.PLAIN), *run.only()
    values = inputs.filled(settings)
    return brief, *(values.pop(name) for name in inputs.PLAIN), *run.clear(request, **values)


def _listed(values: dict) -> tuple:
    return tuple(values[name] for name in inputs.FILLED)
