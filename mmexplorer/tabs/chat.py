"""The chat tab: talk with a LLaVA about pictures, and see what every word of its answers looked at.

Only the layout and the wiring are here; what happens is in the `chat_*` modules beside it.
"""

from types import SimpleNamespace

import gradio as gr

from mmexplorer.components.chat_style import style
from mmexplorer.components.examples import examples
from mmexplorer.components.lens import lens
from mmexplorer.components.model_views import model_views
from mmexplorer.components.picture_input import drawing_input
from mmexplorer.components.tokens import tokens
from mmexplorer.components.viewer import grounding_viewer
from mmexplorer.explore import chat, experiments
from mmexplorer.figures.examples import examples_payload
from mmexplorer.tabs import chat_api, model_choice, model_facts
from mmexplorer.tabs import chat_downloads as downloads
from mmexplorer.tabs import chat_inputs as inputs
from mmexplorer.tabs import chat_look as look
from mmexplorer.tabs import chat_probe as probe
from mmexplorer.tabs import chat_run as run
from mmexplorer.tabs import chat_session as session
from mmexplorer.tabs.event_numbers import number_of
from mmexplorer.tabs.model_facts import about
from mmexplorer.tabs.shell import Page
from mmexplorer.tabs.status import IDLE

SUGGESTIONS = (
    "what is this?",
    "what colour is the circle?",
    "how many shapes are there?",
    "is the red circle to the left of the blue square?",
    "describe the picture",
)
MEANING = """\
**What this shows.** A LLaVA turns the picture into image tokens, which its language model reads among the words. The
maps are exact rows of its attention, layer by layer: how the step that wrote a word of the answer, or that read a word
of the question, shared it out. The share on the picture is often small, and patches that draw attention whatever is
said (sinks) are ringed.

**Which layers.** A model has many, and they do not look at the same. The map begins with those that point best at what
words name, where that was measured on drawn scenes; the note under the picture has the figures, and what one gets with
no model at all. Elsewhere it begins in the middle. Move the range and see what changes.

**What it does not prove.** Attention is not cause: hiding what a word looked at may change nothing, and what mattered
may have been read earlier. The check below hides patches and asks again, against as many random ones. A likely answer
is not a true one: ask for something that is not there. Figures of the toy models hold for the toy world.
"""
LENS = """\
After each layer the states of the image tokens are read as the last one is: by the model's own last norm and output
layer, which give every word a probability. No model is trained to name patches, so a word says what a state resembles;
early layers often say nothing sensible.
"""
TOWER = """\
The vision tower turns the picture into patches before the language model sees them; its last layer here is the one
whose patches the language model gets. *Class token* and *average over patches* are where those look; *norm* is how
large a patch's state is, and patches far above all others are often ones that the tower uses as scratch paper.
"""
# On a phone the answer is below the inputs.
SHOW_STATUS = "() => document.getElementById('chat-status').scrollIntoView({ block: 'nearest' })"
# A view of one word comes anew from the server; the others only have to show another of their words.
SHOW_WORD = (
    "(word, view, value) => view === 'gradient' || !value ? value : JSON.stringify({ ...JSON.parse(value), word })"
)


def build(page: Page) -> None:
    """Lays the tab out and wires it up; called inside the tab's own gr.Tab."""
    parts = SimpleNamespace(
        talk=gr.State((), time_to_live=7200, delete_callback=session.forget),
        truths=gr.State({}, time_to_live=7200),
        written=gr.State(False),
        filling=gr.State({}, time_to_live=7200),
    )
    style()
    _top(parts, page)
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            _given(parts)
        with gr.Column(scale=8, min_width=320):
            _conversation(parts)
            _views(parts)
            _folds(parts)
    _wire(parts, page)
    chat_api.add()


def _top(parts: SimpleNamespace, page: Page) -> None:
    cards = {card.title: card.key for card in experiments.cards("chat")}
    first = model_choice.default("chats", "toy-llava")
    with gr.Row(elem_classes="mmx-top"):
        parts.model = model_choice.dropdown(
            "chats", first, local=page.local, label="Model", elem_id="chat-model", info="The next answer comes from it."
        )
        parts.card = gr.Dropdown(
            [("None", ""), *cards.items()], value="", label="Experiment", scale=2, min_width=280, elem_id="chat-card",
            info="Fills the inputs and says what to predict.",
        )  # fmt: skip
    parts.about = gr.HTML(about(first), elem_id="chat-about", apply_default_css=False)
    parts.brief = gr.Markdown(visible=False, elem_id="chat-brief", elem_classes="mmx-card")


def _given(parts: SimpleNamespace) -> None:
    """Left: the pictures of the next question, the settings and the examples."""
    with gr.Tabs(elem_id="chat-input") as parts.sources:
        with gr.Tab("Pictures", id="pictures"):
            gr.Markdown("For the next question; earlier ones stay in the conversation.", elem_classes="mmx-caption")
            parts.strip = gr.Gallery(
                type="filepath", format="png", show_label=False, label="Pictures for the next question",
                interactive=True, columns=3, height=240, object_fit="contain", file_types=["image"],
                sources=["upload", "clipboard", "webcam"], buttons=[], elem_id="chat-strip",
            )  # fmt: skip
            parts.scene = gr.Button("Draw me a toy scene", size="sm", elem_id="chat-scene")
        with gr.Tab("Draw", id="draw") as tab:
            parts.drawing = drawing_input(tab, elem_id="chat-drawing")
            parts.draw = gr.Button("Add the drawing to the pictures", size="sm", elem_id="chat-draw")
    with gr.Accordion("Settings", open=False, elem_id="chat-settings"):
        parts.temperature = gr.Slider(
            0, 2, 0, step=0.05, label="Temperature", info="0 always takes the likeliest token.",
            elem_id="chat-temperature",
        )  # fmt: skip
        parts.top_p = gr.Slider(
            0.05, 1, 1, step=0.05, label="Top-p", info="Draws among the likeliest tokens that make up this much.",
            elem_id="chat-top-p",
        )  # fmt: skip
        parts.most = gr.Slider(1, chat.MAX_NEW_TOKENS, 128, step=1, label="Most new tokens", elem_id="chat-most")
        parts.seed = gr.Number(
            0, label="Seed", precision=0, minimum=0, elem_id="chat-seed",
            info="The same seed draws the same tokens; asking again takes the next.",
        )  # fmt: skip
    gr.Markdown("Examples: one click asks", elem_classes="mmx-caption")
    titles = [question for _, question in inputs.EXAMPLES]
    parts.shelf = examples(examples_payload(titles, inputs.pictures()), elem_id="chat-examples")


def _conversation(parts: SimpleNamespace) -> None:
    parts.status = gr.HTML(IDLE, elem_id="chat-status", apply_default_css=False)
    parts.chatbot = gr.Chatbot(
        height=380, editable="user", buttons=["copy", "copy_all"], render_markdown=False, latex_delimiters=[],
        show_label=False, label="Conversation", elem_id="chat-talk", feedback_options=None,
        group_consecutive_messages=False, allow_file_downloads=False,
        placeholder="Add a picture, then ask about it, or press an example.",
    )  # fmt: skip
    parts.question = gr.Textbox(
        show_label=False, label="Question", placeholder="Ask about the picture; Enter sends", lines=1, max_lines=6,
        elem_id="chat-question", container=False,
    )  # fmt: skip
    with gr.Row(elem_classes="mmx-tight"):
        parts.ask = gr.Button("Ask", variant="primary", scale=3, elem_id="chat-ask", min_width=120)
        parts.stop = gr.Button("Stop", scale=1, elem_id="chat-stop", min_width=70)
    with gr.Row(elem_classes="mmx-tight", elem_id="chat-suggestions"):
        parts.suggestions = [gr.Button(text, size="sm", min_width=80, scale=0) for text in SUGGESTIONS]
    parts.meta = gr.HTML("", elem_id="chat-meta", apply_default_css=False)


def _views(parts: SimpleNamespace) -> None:
    """The answer's tokens and what its words looked at, with the controls of the view."""
    parts.which = gr.Dropdown([], label="Answer to", visible=False, elem_id="chat-which")
    parts.tokens = tokens(elem_id="chat-tokens")
    with gr.Row(elem_classes="mmx-tight", elem_id="chat-controls"):
        parts.picture = gr.Dropdown([], label="Picture", visible=False, min_width=110, elem_id="chat-picture")
        parts.view = gr.Dropdown(
            [(name, key) for key, (name, _) in look.VIEWS.items()], value="attention", label="View", min_width=180,
            elem_id="chat-view",
        )  # fmt: skip
        parts.heads = gr.Dropdown(look.HEADS, value="mean", label="Heads", min_width=130, elem_id="chat-heads")
        parts.part = gr.Dropdown(
            look.PARTS, value="both", label="Part", visible=False, min_width=120, elem_id="chat-part"
        )
        parts.word = gr.Dropdown([], label="Answer's word", min_width=120, elem_id="chat-word")
        parts.sinks = gr.Checkbox(False, label="Hide sinks", min_width=110, elem_id="chat-sinks")
    with gr.Row(visible=False, elem_classes="mmx-tight") as parts.one_head:
        parts.layer = gr.Slider(1, 6, 1, step=1, label="Layer of the head", elem_id="chat-layer")
        parts.head = gr.Slider(1, 6, 1, step=1, label="Head", elem_id="chat-head")
    parts.viewer = grounding_viewer(elem_id="chat-viewer", empty="Ask about a picture to see what each word looked at.")


def _folds(parts: SimpleNamespace) -> None:
    gr.Markdown(MEANING, elem_classes="mmx-meaning")
    with gr.Accordion("Causal check: hide what a word looked at, and ask again", open=False, elem_id="chat-check"):
        with gr.Row(elem_classes="mmx-tight"):
            parts.hidden = gr.Slider(
                1, 32, 6, step=1, label="Patches to hide", elem_id="chat-hidden",
                info="Those that the word attended to most, as the mean over all layers and heads.",
            )  # fmt: skip
            parts.cover = gr.Checkbox(
                False, label="Paint over instead", elem_id="chat-cover",
                info="In the picture, so that the vision tower does not see them either.",
            )  # fmt: skip
        parts.check = gr.Button("Hide what this word looked at, and ask again", size="sm", elem_id="chat-run-check")
        parts.causal = gr.HTML("", elem_id="chat-causal", apply_default_css=False)
    with gr.Accordion("What the model sees", open=False):
        parts.views = model_views(elem_id="chat-views")
    with gr.Accordion("What each patch says (logit lens)", open=False):
        gr.Markdown(LENS, elem_classes="mmx-caption")
        parts.read = gr.Button("Read the patches", size="sm", elem_id="chat-read")
        parts.lens = lens(elem_id="chat-lens")
    with gr.Accordion("The vision tower's own attention", open=False):
        gr.Markdown(TOWER, elem_classes="mmx-caption")
        parts.see = gr.Button("Show where the tower looks", size="sm", elem_id="chat-see")
        parts.tower = grounding_viewer(elem_id="chat-tower", empty="Press the button above.")
    with gr.Accordion("The same in Python", open=False):
        parts.code = gr.Code(language="python", show_label=False, interactive=False, elem_id="chat-code")
    with gr.Accordion("Downloads", open=False), gr.Row(elem_classes="mmx-tight"):
        parts.as_json = gr.Button("JSON", size="sm", min_width=80, elem_id="chat-json")
        parts.as_markdown = gr.Button("Markdown", size="sm", min_width=100, elem_id="chat-markdown")
        parts.as_zip = gr.Button("ZIP with pictures and maps", size="sm", min_width=180, elem_id="chat-zip")


def _wire(parts: SimpleNamespace, page: Page) -> None:
    private = {"api_visibility": "private"}
    quick = {"queue": False, "show_progress": "hidden", **private}
    slow = {"show_progress": "hidden", **private}
    shown, streamed, views = (
        [getattr(parts, name) for name in names] for names in (run.OUTPUTS, run.STREAMED, run.SHOWN)
    )
    settings = [parts.model, parts.temperature, parts.top_p, parts.most, parts.seed]
    said = [parts.talk, parts.truths]
    whole = [parts.question, parts.strip, *settings, *said]

    # Before what streams, after whose end it would run otherwise.
    gr.on([parts.ask.click, parts.shelf.select], None, js=SHOW_STATUS, **private)
    asked = gr.on([parts.ask.click, parts.question.submit], run.ask, whole, streamed, trigger_mode="once", **slow)
    example = parts.shelf.select(_example, said, [*shown, parts.truths], **slow).success(
        run.ask, whole, streamed, **slow
    )
    answered = (
        asked,
        example,
        parts.chatbot.retry(run.retry, [*settings, *said], streamed, **slow),
        parts.chatbot.edit(run.edit, [*settings, *said], streamed, **slow),
        parts.tokens.force(run.force, [parts.which, *said], streamed, **slow),
    )
    for event in answered:
        drawn = event.then(run.show_written, [parts.written, *said], views, **slow)
        drawn.then(lambda key: (page.refresh(), about(key)), parts.model, [page.status, parts.about], **quick)
    parts.filling.change(run.filled, parts.filling, [getattr(parts, name) for name in run.FILLED], **quick)
    parts.stop.click(session.stop_of, None, None, **quick)
    parts.chatbot.undo(run.undo, said, shown, **slow)
    parts.chatbot.clear(_clear, parts.talk, shown, **slow)
    for button, text in zip(parts.suggestions, SUGGESTIONS, strict=True):
        button.click(None, None, parts.question, js=f"() => {text!r}", **private)

    controls = [parts.picture, parts.view, parts.heads, parts.layer, parts.head, parts.part, parts.sinks, parts.word]
    for control in (*controls[:3], *controls[5:7]):
        control.input(look.again, [parts.which, *said, *controls], [parts.status, parts.viewer], **slow)
    gr.on(
        [parts.layer.release, parts.head.release], look.again, [parts.which, *said, *controls],
        [parts.status, parts.viewer], **slow,
    )  # fmt: skip
    parts.viewer.word(look.pressed, [parts.which, parts.talk, parts.view], parts.word, **quick)
    parts.word.input(None, [parts.word, parts.view, parts.viewer], parts.viewer, js=SHOW_WORD, **private)
    parts.word.input(look.word_chosen, [parts.which, *said, *controls], [parts.status, parts.viewer], **slow)
    parts.heads.change(lambda heads: gr.Row(visible=heads == "one"), parts.heads, parts.one_head, **quick)
    parts.which.input(run.show_other, [parts.which, *said], shown, **slow)

    parts.check.click(
        probe.causal, [parts.which, parts.picture, parts.word, parts.hidden, parts.cover, parts.talk],
        [parts.status, parts.causal], **slow,
    )  # fmt: skip
    parts.read.click(probe.lens, [parts.which, parts.picture, parts.talk], [parts.status, parts.lens], **slow)
    parts.see.click(probe.tower, [parts.which, parts.picture, parts.talk], [parts.status, parts.tower], **slow)
    downloads.wire(parts.as_json, parts.as_markdown, parts.as_zip, parts.talk, parts.status)

    model_facts.wire(parts.model, parts.about, "chats", local=page.local)
    parts.scene.click(inputs.new_scene, [parts.strip, parts.truths, parts.model], [parts.strip, parts.truths], **slow)
    parts.draw.click(inputs.drawn, [parts.strip, parts.drawing], [parts.strip, parts.sources], **slow)
    inputs_of_card = [getattr(parts, name) for name in inputs.CONTROLS]
    filled = [*shown, parts.brief, parts.truths, *inputs_of_card]
    parts.card.input(_open_card, [parts.card, *said], filled, **slow)
    page.pictures_go_to["chat"] = ([parts.strip, parts.sources], inputs.fill_pictures)


def _clear(talk, request: gr.Request) -> tuple:
    return run.clear(talk, request)


def _example(talk, truths: dict, request: gr.Request, event: gr.SelectData) -> tuple:
    """An example begins a conversation anew: its picture and question in the inputs, then it is asked."""
    strip, question, truths = inputs.example(number_of(event, "index", len(inputs.EXAMPLES)), truths)
    return *run.clear(talk, request, strip=strip, question=question), truths


def _open_card(key: str, talk, truths: dict, request: gr.Request) -> tuple:
    """A card fills the inputs and begins anew, since it asks the visitor to predict; no card leaves all as it is."""
    about_card, truths, values, controls = inputs.fill_card(key, truths)
    return *(run.clear(talk, request, **values) if key else run.only()), about_card, truths, *controls
