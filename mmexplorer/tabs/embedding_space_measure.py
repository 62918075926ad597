"""The measures of the embedding tab: gap, recall, cosines, hubs and classes, for one model or two side by side."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import gradio as gr

from mmexplorer.components.chart import chart
from mmexplorer.components.gallery import gallery
from mmexplorer.components.plotly_source import plotly_url
from mmexplorer.explore.collection import Collection
from mmexplorer.explore.space import SpaceReport, measure
from mmexplorer.figures.gallery import Card, gallery_payload
from mmexplorer.figures.space import MEASURES, report_rows
from mmexplorer.figures.space_charts import classes_figure, cosine_figure, hubness_figure, recall_figure
from mmexplorer.figures.space_gap import gap_figure
from mmexplorer.pace import Pace
from mmexplorer.presets import preset
from mmexplorer.tabs import embedding_space_session as session
from mmexplorer.tabs.embedding_space_map import classes
from mmexplorer.tabs.embedding_space_session import Shown
from mmexplorer.tabs.status import loading, message, saying_how_it_ends, told

# (key of the chart, measures explained below it)
CHARTS = (
    ("gap", ("gap", "shift")),
    ("recall", ("recall",)),
    ("cosines", ("cosines",)),
    ("hubs", ("picture_hubs", "caption_hubs")),
    ("classes", ("classes",)),
)
HEADINGS = ["Measure", "Value", "What it means", "Source"]
HUBS = 8
IDLE = message("Measures what is open: the first time takes a few seconds.")
FIRST = message("Nothing is open yet; open a collection first.", "note")


@dataclass(frozen=True)
class Parts:
    """The components of this part of the page."""

    compare: gr.Dropdown
    k: gr.Slider
    button: gr.Button
    status: gr.HTML
    charts: dict[str, gr.HTML]
    hubs: gr.HTML
    table: gr.Dataframe

    @property
    def outputs(self) -> list:
        """What a measurement fills, in the order of `only`."""
        return [self.status, *self.charts.values(), self.hubs, self.table]


def build(choices: list[tuple[str, str]]) -> Parts:
    """Lays this part out, inside its accordion."""
    with gr.Row(elem_classes="mmx-tight"):
        compare = gr.Dropdown(
            [("No other model", ""), *choices], value="", label="Beside", scale=3, min_width=220, elem_id="es-compare",
            info="Embeds the same pictures with a second model.",
        )  # fmt: skip
        k = gr.Slider(1, 50, 10, step=1, label="Neighbours k", scale=2, min_width=160, elem_id="es-k")
        button = gr.Button("Measure", scale=1, min_width=110, elem_id="es-measure")
    status = gr.HTML(IDLE, elem_id="es-measure-status", apply_default_css=False)
    charts = {}
    for key, explained in CHARTS:
        charts[key] = chart(plotly_url=plotly_url(), elem_id=f"es-chart-{key}")
        gr.Markdown("\n\n".join(map(_explanation, explained)), elem_classes="mmx-meaning")
        if key == "hubs":
            hubs = gallery(elem_id="es-hubs", empty="")
    with gr.Accordion("All numbers", open=False):
        table = gr.Dataframe(headers=HEADINGS, interactive=False, wrap=True, show_label=False, elem_id="es-numbers")
    return Parts(compare, k, button, status, charts, hubs, table)


def wire(parts: Parts, accordion: gr.Accordion, column: gr.Dropdown, shown: gr.State) -> None:
    """Measures when asked, and when somebody opens this part for the first time."""
    inputs = [parts.compare, parts.k, column, shown]
    private = {"show_progress": "hidden", "api_visibility": "private"}
    parts.button.click(measured, inputs, parts.outputs, **private)
    measured_once = gr.State(False)
    accordion.expand(
        first_time, [measured_once, *inputs], [measured_once, *parts.outputs], trigger_mode="once", **private
    )


def first_time(done: bool, compare, k, column, shown: Shown | None, request: gr.Request) -> Iterator[tuple]:
    """Measures unless that was done before."""
    if not done and shown is not None:
        for update in measured(compare, k, column, shown, request):
            yield True, *update


def measured(compare: str, k: int, column: str | None, shown: Shown | None, request: gr.Request) -> Iterator[tuple]:
    """Streams the status, then all figures and numbers."""

    def work() -> Iterator[tuple]:
        if shown is None:
            yield only(status=FIRST)
            return
        collections = [shown.collection]
        with session.JOBS.job(request.session_hash) as stop:
            if compare and compare != shown.collection.model:
                pace = Pace("Embedding", "pictures and captions")
                other = yield from told(
                    lambda stop: shown.collection.with_model(compare, progress=pace.note, stop=stop),
                    lambda: loading([preset(compare)], pace.text()),
                    _show,
                    stop,
                )
                collections.append(other)
            reports = []
            for collection in collections:
                pace = Pace(f"Measuring the space of {preset(collection.model).label}")
                reports.append((yield from told(_measurement(collection, column, k, pace), pace.text, _show, stop)))
        yield _results(collections, reports)

    yield from saying_how_it_ends(work(), _show)


def only(**values) -> tuple:
    """Values for some outputs; the others stay as they are."""
    names = ("status", *(key for key, _ in CHARTS), "worst", "table")
    return tuple(values.get(name, gr.skip()) for name in names)


def _measurement(collection: Collection, column: str | None, k: int, pace: Pace) -> Callable:
    captions = collection.table["caption"].to_pylist()
    named = classes(collection, column)
    return lambda stop: measure(
        collection.images,
        collection.texts,
        collection.text_rows,
        captions=[captions[row] for row in collection.text_rows],
        classes=None if named is None else [name or None for name in named],
        k=int(k),
        progress=pace.share,
        stop=stop,
    )


def _results(collections: list[Collection], reports: list[SpaceReport]) -> tuple:
    names = [preset(collection.model).label for collection in collections]
    first = reports[0]
    notes = [f"{first.pictures:,} pictures and {first.pairs:,} pairs measured.", *first.notes]
    drawn = {
        "gap": gap_figure,
        "recall": recall_figure,
        "cosines": cosine_figure,
        "hubs": hubness_figure,
        "classes": classes_figure,
    }
    return only(
        status=message(" ".join(notes)),
        worst=_worst_hubs(collections[0], first),
        table=gr.Dataframe(report_rows(reports, names), headers=["Measure", *names, *HEADINGS[2:]]),
        **{
            key: gr.HTML(value=drawn[key](reports, names), empty=" ".join(_missing(first, explained)))
            for key, explained in CHARTS
        },
    )


def _missing(report: SpaceReport, parts: tuple[str, ...]) -> dict[str, None]:
    """Why parts could not be measured, each sentence once."""
    return dict.fromkeys(report.missing[part] for part in parts if part in report.missing)


def _worst_hubs(collection: Collection, report: SpaceReport) -> str | None:
    found = report.picture_hubs
    if found is None or collection.sheets is None:
        return None
    captions = collection.table["caption"]
    cards = [
        Card(
            point=int(row),
            picture=collection.sheets.thumbnail(int(row)),
            title=collection.table["name"][int(row)].as_py(),
            caption=captions[int(row)].as_py() or "",
            score=int(count),
        )
        for row, count in zip(found.hubs[:HUBS], found.hub_counts[:HUBS], strict=True)
    ]
    note = f"A picture stands in {found.expected:.0f} lists of {found.k} on average."
    return gallery_payload(cards, heading="The worst hubs among the pictures", note=note, score_name="lists")


def _explanation(part: str) -> str:
    one = MEASURES[part]
    return f"**{one.title}.** {one.meaning} *What it does not prove:* {one.limits} *Source:* {one.source}."


def _show(status: str) -> tuple:
    return only(status=status)
