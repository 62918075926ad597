"""The embedding tab: a map of pictures and captions that answers when touched.

Only the layout and the wiring are here; what happens is in the `embedding_space_*` modules beside it.
"""

import gradio as gr

from mmexplorer.components.embedding_map import embedding_map
from mmexplorer.components.gallery import gallery
from mmexplorer.components.picture_input import picture_input
from mmexplorer.components.plotly_source import plotly_url
from mmexplorer.components.seen import mark
from mmexplorer.explore import experiments, projection
from mmexplorer.explore.layouts import Layout
from mmexplorer.tabs import embedding_space_api, model_choice, model_facts
from mmexplorer.tabs import embedding_space_ask as ask
from mmexplorer.tabs import embedding_space_cards as cards
from mmexplorer.tabs import embedding_space_export as export
from mmexplorer.tabs import embedding_space_measure as measure
from mmexplorer.tabs import embedding_space_open as opening
from mmexplorer.tabs import embedding_space_session as session
from mmexplorer.tabs.model_facts import about
from mmexplorer.tabs.shell import Page
from mmexplorer.tabs.status import IDLE

KINDS = [("Pictures", "pictures"), ("Captions", "captions"), ("Both", "all")]
MEANING = """\
**What this shows.** Every picture and every caption is a unit vector; near in that space means a high cosine. The map
squeezes its many dimensions into two or three: who is next to whom is mostly kept, while distances between far groups,
their sizes and their densities mean little. Neighbours and cosines in the cards are computed in the full space.

**What it does not prove.** An island in the map is no proof of a class, and another seed or number of neighbours draws
other islands: try it under *Layout*. Pictures and captions usually form two clouds, the *modality gap*; the measures
below say how far apart they really are.
"""
SOURCES = """\
A zip or several files, with captions if a CSV or Parquet table lies among them: a column `image` (or `file`, `path`)
names the picture, `caption` (or `text`) describes it, all others become colours of the map."""
NAMES_LOCAL = "A folder, zip, CSV or Parquet file on this machine, or `hf:owner/name` for a dataset of the Hub."
NAMES_REMOTE = "`hf:owner/name`, or `hf:owner/name:split`, for a dataset of the Hub."

FIRST = "toy-clip"  # even on a GPU, since the toy world is shown as the tab opens, which must not load anything large


def build(page: Page) -> None:
    """Lays the tab out and wires it up; called inside the tab's own gr.Tab."""
    titles = {card.title: card.key for card in experiments.cards("embedding_space")}
    kind = gr.State("toy")
    shown = gr.State(None, time_to_live=7200, delete_callback=session.forget)
    chosen = gr.State((), time_to_live=7200)  # the points of the region that was drawn around

    first = mark()
    with gr.Row(elem_classes="mmx-top"):
        model = model_choice.dropdown(
            "embeds", FIRST, local=page.local, label="Model", elem_id="es-model",
            info="Whose space it is; press Open to embed with it.",
        )  # fmt: skip
        card = gr.Dropdown(
            [("None", ""), *titles.items()], value="", label="Experiment", scale=2, elem_id="es-card", min_width=280,
            info="Sets everything up and says what to predict.",
        )  # fmt: skip
    facts = gr.HTML(about(FIRST), elem_id="es-about", apply_default_css=False)
    about_card = gr.Markdown(visible=False, elem_id="es-brief", elem_classes="mmx-card")

    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            with gr.Tabs(elem_id="es-source"):
                with gr.Tab("Toy world", id="toy") as tab_toy:
                    gr.Markdown(
                        "2,400 drawn pictures with captions and annotations, none of which a toy model was trained on.",
                        elem_classes="mmx-caption",
                    )
                with gr.Tab("My pictures", id="files") as tab_files:
                    files = gr.File(
                        file_count="multiple", show_label=False, label="Pictures, a zip or a table", height=180,
                        file_types=["image", ".zip", ".csv", ".tsv", ".parquet"], elem_id="es-files",
                    )  # fmt: skip
                    gr.Markdown(SOURCES, elem_classes="mmx-caption")
                with gr.Tab("Folder or dataset" if page.local else "Dataset", id="path") as tab_path:
                    path = gr.Textbox(
                        label="Name", elem_id="es-path", info=NAMES_LOCAL if page.local else NAMES_REMOTE, max_lines=1
                    )
            with gr.Row(elem_classes="mmx-tight"):
                open_ = gr.Button("Open", variant="primary", scale=3, elem_id="es-open", min_width=120)
                stop = gr.Button("Stop", scale=1, elem_id="es-stop", min_width=70)
            words = gr.Textbox(
                label="Search", placeholder="a red circle", max_lines=1, elem_id="es-words",
                info="Words, a picture, or both; Enter searches.",
            )  # fmt: skip
            with gr.Row(elem_classes="mmx-tight"):
                search = gr.Button("Search", scale=3, elem_id="es-search", min_width=120)
                among = gr.Dropdown(
                    KINDS, value="pictures", show_label=False, container=False, scale=2, min_width=110,
                    label="Among", elem_id="es-among",
                )  # fmt: skip
            with gr.Accordion("Search by picture, or without something", open=False):
                minus = gr.Textbox(
                    label="Without", placeholder="red", max_lines=1, elem_id="es-minus",
                    info="Its direction is taken off the question's.",
                )  # fmt: skip
                picture = picture_input(
                    sources=["upload", "clipboard", "webcam"], label="Like this picture", height=200,
                    elem_id="es-picture", buttons=["fullscreen"],
                )  # fmt: skip
            with gr.Accordion("Neighbours and classes", open=False):
                count = gr.Slider(3, 50, 12, step=1, label="How many to show", elem_id="es-count")
                column = gr.Dropdown(
                    [("None", "")], value="", label="Class", elem_id="es-class",
                    info="The column that says whether neighbours agree.",
                )  # fmt: skip
            with gr.Accordion("Layout", open=False):
                method = gr.Dropdown(
                    [(m.label, m.key) for m in projection.METHODS.values()], value="umap", label="Method",
                    info=projection.METHODS["umap"].one_sentence, elem_id="es-method",
                )  # fmt: skip
                dimensions = gr.Radio([("2-D", 2), ("3-D", 3)], value=2, label="Dimensions", elem_id="es-dimensions")
                centred = gr.Checkbox(
                    False, label="Centre pictures and captions first", elem_id="es-centred",
                    info="Takes each kind's mean away, which closes the modality gap.",
                )  # fmt: skip
                near = gr.Slider(
                    2, 100, Layout.neighbours, step=1, label="Neighbours", elem_id="es-neighbours",
                    info="Few show fine detail, many the large picture.",
                )  # fmt: skip
                spread = gr.Slider(
                    0, 0.99, Layout.min_dist, step=0.01, label="Minimum distance", elem_id="es-min-dist",
                    info="How closely UMAP packs points.",
                )  # fmt: skip
                metric = gr.Radio(["cosine", "euclidean"], value="cosine", label="Metric", elem_id="es-metric")
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="es-seed")
                again = gr.Button("Lay out again", size="sm", elem_id="es-again")
            with gr.Accordion("Clusters", open=False):
                groups = gr.Slider(2, 40, 12, step=1, label="How many", elem_id="es-groups")
                vocabulary = gr.Textbox(
                    opening.words_for("toy-clip"), lines=2, max_lines=6, label="Words that may name them",
                    elem_id="es-vocabulary", info="Each cluster gets the word that fits it better than the others.",
                )  # fmt: skip
                cluster = gr.Button("Find clusters", size="sm", elem_id="es-cluster")

        with gr.Column(scale=8, min_width=320):
            status = gr.HTML(IDLE, elem_id="es-status", apply_default_css=False)
            space = embedding_map(plotly_url=plotly_url(), elem_id="es-map")
            with gr.Row(visible=False, elem_id="es-actions", elem_classes="mmx-tight") as actions:
                send = gr.Button("Send to zero-shot", size="sm", min_width=130, elem_id="es-send")
                as_csv = gr.Button("CSV", size="sm", min_width=80, elem_id="es-csv")
                as_parquet = gr.Button("Parquet with vectors", size="sm", min_width=160, elem_id="es-parquet")
            shelf = gallery(elem_id="es-gallery")
            gr.Markdown(MEANING, elem_classes="mmx-meaning")
            with gr.Accordion("The space, measured", open=False) as measured:
                measures = measure.build(model_choice.choices("embeds"))
            with gr.Accordion("The same in Python", open=False):
                gr.Code(export.PYTHON, language="python", show_label=False, interactive=False)

    private = {"api_visibility": "private"}
    quick = {"queue": False, "show_progress": "hidden", **private}
    slow = {"show_progress": "hidden", **private}
    settings = [method, dimensions, centred, near, spread, metric, seed]
    result = [status, space, shelf, column, actions, chosen, shown]
    for tab, name in ((tab_toy, "toy"), (tab_files, "files"), (tab_path, "path")):
        tab.select(lambda name=name: name, None, kind, **quick)

    ways = [model, *settings, shown]
    opened = gr.on([open_.click, path.submit], opening.opener(page.local), [kind, files, path, *ways], result, **slow)
    looked = first.seen(opening.first_look, [model, shown], result, **slow)
    laid = gr.on([again.click, dimensions.input], opening.lay_out_again, [*settings, shown], result, **slow)
    grouped = cluster.click(opening.find_clusters, [groups, vocabulary, shown], result, **slow)
    for event in (opened, looked, laid, grouped):
        event.then(page.refresh, None, page.status, **quick)
    stop.click(session.stop_of, None, None, **quick)

    answer = [status, space, shelf]
    gr.on(
        [space.select, shelf.select, measures.hubs.select], ask.picked, [among, count, column, shown], answer, **quick
    )
    found = gr.on(
        [search.click, words.submit, minus.submit], ask.look_up, [words, minus, picture, among, count, column, shown],
        answer, **slow,
    )  # fmt: skip
    found.then(page.refresh, None, page.status, **quick)
    space.lasso(ask.circled, [column, shown], [shelf, actions, chosen], **quick)
    export.wire(send, as_csv, as_parquet, chosen, shown, status, page)
    measure.wire(measures, measured, column, shown)

    model.change(opening.words_for, model, vocabulary, **quick)
    model_facts.wire(model, facts, "embeds", local=page.local)
    method.change(lambda key: gr.Dropdown(info=projection.METHODS[key].one_sentence), method, method, **quick)
    card.input(cards.fill, card, [about_card, model, words, minus, among, column, centred, near], **quick)
    embedding_space_api.add()
