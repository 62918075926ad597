"""The zero-shot tab: a picture and labels in; probabilities, cosines and a heatmap for every label out.

Only the layout and the wiring are here; what happens on a click is in `zero_shot_run`.
"""

import gradio as gr
from PIL import Image

from mmexplorer import methods
from mmexplorer.components.examples import examples
from mmexplorer.components.picture_input import drawing_input, picture_input
from mmexplorer.components.scores import score_chart
from mmexplorer.components.steps import steps
from mmexplorer.components.viewer import grounding_viewer
from mmexplorer.explore import experiments, recordings
from mmexplorer.explore.labels import LABEL_SETS, TEMPLATE_SETS
from mmexplorer.figures.examples import examples_payload
from mmexplorer.presets import preset
from mmexplorer.tabs import model_choice, model_facts, zero_shot_api, zero_shot_inputs
from mmexplorer.tabs import zero_shot_run as run
from mmexplorer.tabs.model_facts import about
from mmexplorer.tabs.shell import Page
from mmexplorer.tabs.status import IDLE, STOPPED, message

# On a phone the answer is below the inputs.
SHOW_STATUS = "() => document.getElementById('zs-status').scrollIntoView({ block: 'nearest' })"
MEANING = """\
**What this shows.** CLIP turns the picture and every label into unit vectors of the same space; the cosine is how well
they agree. The softmax compares the labels you gave and nothing else: with one label it is always 100 %.

**What it does not prove.** A high probability does not mean that the label is true, only that it fits better than the
others. A heatmap shows which patches moved the score in one approximation; only covering them and asking again
(the method *Occlusion*) tests it. Figures of the toy models hold for the toy world.
"""


def build(page: Page) -> None:
    """Lays the tab out and wires it up; called inside the tab's own gr.Tab."""
    cards = {card.title: card.key for card in experiments.cards("zero_shot")}
    first = model_choice.default("embeds", "toy-clip")
    mode = gr.State("picture")
    truths = gr.State({}, time_to_live=7200)
    asked = gr.State(None, time_to_live=7200)

    with gr.Row(elem_classes="mmx-top"):
        models = model_choice.dropdown(
            "embeds", [first], local=page.local, multiselect=True, max_choices=4, label="Models", elem_id="zs-models",
            info="Several are shown side by side; heatmaps and steps come from the first.",
        )  # fmt: skip
        card = gr.Dropdown(
            [("None", ""), *cards.items()], value="", label="Experiment", scale=2, elem_id="zs-card", min_width=280,
            info="Fills the inputs and says what to predict.",
        )  # fmt: skip
    facts = gr.HTML(about(first), elem_id="zs-about", apply_default_css=False)
    brief = gr.Markdown(visible=False, elem_id="zs-brief", elem_classes="mmx-card")

    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            with gr.Tabs(elem_id="zs-input") as sources:
                with gr.Tab("Picture", id="picture") as tab_picture:
                    picture = picture_input(
                        sources=["upload", "clipboard", "webcam"], show_label=False, height=260, elem_id="zs-picture",
                        buttons=["fullscreen"],
                    )  # fmt: skip
                    scene = gr.Button("Draw me a toy scene", size="sm", elem_id="zs-scene")
                with gr.Tab("Draw", id="draw") as tab_draw:
                    drawing = drawing_input(tab_draw, elem_id="zs-drawing")
                with gr.Tab("Several", id="several") as tab_several:
                    files = gr.File(
                        file_count="multiple", label="Up to 64 pictures", height=220, elem_id="zs-files",
                        file_types=["image"],
                    )  # fmt: skip
            labels = gr.Textbox(
                "a red circle\na blue square\na green triangle", lines=4, max_lines=12, label="Labels",
                info="One a line, or separated by commas.", elem_id="zs-labels",
            )  # fmt: skip
            with gr.Row(elem_classes="mmx-tight"):
                label_set = gr.Dropdown(
                    [("Ready-made labels ...", ""), *LABEL_SETS], value="", show_label=False, container=False, scale=3,
                    label="Ready-made labels", elem_id="zs-label-set", min_width=160,
                )  # fmt: skip
                label_csv = gr.UploadButton(
                    "From CSV", size="sm", file_types=[".csv", ".tsv", ".txt"], min_width=90, elem_id="zs-label-csv"
                )
            with gr.Accordion("Settings", open=False):
                template_set = gr.Dropdown(
                    list(TEMPLATE_SETS), value="The label alone", label="Templates", elem_id="zs-template-set"
                )
                templates = gr.Textbox(
                    "{}", lines=2, max_lines=10, show_label=False, elem_id="zs-templates",
                    info="One a line; {} is where the label goes.",
                )  # fmt: skip
                method = gr.Dropdown(
                    [(m.label, m.key) for m in methods.METHODS.values()], value=methods.DEFAULT, label="Heatmap method",
                    info=methods.METHODS[methods.DEFAULT].one_sentence, elem_id="zs-method",
                )  # fmt: skip
                contrast = gr.Checkbox(
                    methods.CONTRAST, label="Contrast with the other labels", elem_id="zs-contrast",
                    info="What sets a label apart, rather than what fits it.",
                )  # fmt: skip
            with gr.Row(elem_classes="mmx-tight"):
                classify = gr.Button("Classify", variant="primary", scale=3, elem_id="zs-run", min_width=120)
                stop = gr.Button("Stop", scale=1, elem_id="zs-stop", min_width=70)
            gr.Markdown("Examples, results included", elem_classes="mmx-caption")
            recorded = recordings.recordings("zero_shot")
            shelf = examples(
                examples_payload([r.title for r in recorded], [Image.open(r.path) for r in recorded]),
                elem_id="zs-examples",
            )

        with gr.Column(scale=8, min_width=320):
            status = gr.HTML(IDLE, elem_id="zs-status", apply_default_css=False)
            scores = score_chart(elem_id="zs-scores")
            which = gr.Dropdown([], label="Heatmaps of", visible=False, elem_id="zs-which")
            viewer = grounding_viewer(elem_id="zs-viewer")
            gr.Markdown(MEANING, elem_classes="mmx-meaning")
            with gr.Accordion("The five steps, with this picture's numbers", open=False):
                walk = steps(elem_id="zs-steps")
            with gr.Accordion("The same in Python", open=False):
                code = gr.Code(language="python", show_label=False, interactive=False, elem_id="zs-code")
            with gr.Accordion("Downloads", open=False):
                gr.Markdown("Scores: the buttons under the chart. Heatmap picture: the button under the viewer.")
                archive = gr.DownloadButton(
                    "Heatmaps as NumPy archive (NPZ)", size="sm", interactive=False, elem_id="zs-npz"
                )

    private = {"api_visibility": "private"}
    quick = {"queue": False, "show_progress": "hidden", **private}
    inputs = [mode, picture, drawing, files, labels, templates, models, method, contrast, truths]
    filled = [sources, mode, picture, files, labels, templates, template_set, models, truths]
    shown = [status, scores, viewer, which, walk, code, archive, asked]
    for tab, name in ((tab_picture, "picture"), (tab_draw, "draw"), (tab_several, "several")):
        tab.select(lambda name=name: name, None, mode, **quick)
    classify.click(None, js=SHOW_STATUS, **private)  # before what streams, after whose end it would run otherwise
    started = gr.on(
        [classify.click, labels.submit],
        run.answer,
        inputs,
        shown,
        show_progress="hidden",
        trigger_mode="always_last",  # a click while heatmaps are still being drawn counts
        **private,
    )
    started.then(lambda keys: (page.refresh(), about(keys)), models, [page.status, facts], **quick)
    again = gr.on(
        [which.input, method.input, contrast.input], run.ground_again, [asked, which, method, contrast, truths], shown,
        show_progress="hidden", trigger_mode="always_last", **private,
    )  # fmt: skip
    stopped = stop.click(lambda: STOPPED, None, status, cancels=[started, again], **quick)
    stopped.then(_stopped, None, status, **quick)  # once more, after updates that were on their way to the page
    model_facts.wire(models, facts, "embeds", local=page.local)
    method.change(lambda key: gr.Dropdown(info=methods.METHODS[key].one_sentence), method, method, **quick)
    scene.click(zero_shot_inputs.new_scene, truths, filled, show_progress="hidden", **private)
    label_set.input(_take_labels, label_set, [labels, label_set], **quick)
    label_csv.upload(run.labels_from_file, label_csv, labels, show_progress="hidden", **private)
    template_set.input(lambda name: "\n".join(TEMPLATE_SETS.get(name, ("{}",))), template_set, templates, **quick)
    card.input(_open_card, [card, truths], [brief, *filled, *shown], show_progress="hidden", **private)
    shelf.select(_show_example, truths, [*filled, *shown], show_progress="hidden", **private)
    page.pictures_go_to["zero-shot"] = (filled, zero_shot_inputs.fill_pictures)
    zero_shot_api.add()


def _stopped() -> str:
    return STOPPED


def _take_labels(name: str) -> tuple:
    """The labels of a set, and the list of sets as before, since the labels can be edited from then on."""
    return ("\n".join(LABEL_SETS[name]), "") if name else (gr.skip(), gr.skip())


def _open_card(key: str, truths: dict) -> tuple:
    """A card fills the inputs and clears the results, since it asks the visitor to predict them."""
    return *zero_shot_inputs.fill_card(key, truths), *(run.empty() if key else run.only())


def _show_example(truths: dict, event: gr.SelectData) -> tuple:
    """An example fills the inputs and shows its recorded results."""
    example = recordings.recordings("zero_shot")[event.index]
    used = ", ".join(preset(key).label for key in example.models)
    note = message(f"{used}: a recorded result. Press Classify to compute it here.", "note")
    cleared = {"which": gr.Dropdown(visible=False), "code": "", "archive": run.download(None), "asked": None}
    return *zero_shot_inputs.fill_example(event.index, truths), *run.only(status=note, **cleared, **example.payloads)
