"""What all charts share: colours that can be read on light and dark pages, panels that stack on a phone, and the text.

The page paints letters and grid lines itself, in the colours of its theme, so a figure carries no template. The module
does not know what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmexplorer.figures.inline import payload_text

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Okabe and Ito 2008, told apart with every kind of colour blindness: models never have the colours of modalities,
# and those are the embedding map's.
MODEL_COLOURS = ("#009e73", "#cc79a7", "#9c72fe", "#d55e00")
PICTURE_COLOUR, CAPTION_COLOUR = "#0072b2", "#e69f00"
QUIET = "#8a8f98"
PAIR_LINE = "rgba(138, 143, 152, 0.35)"

PANEL_HEIGHT, STACKED_HEIGHT = 300, 250  # pixels of a panel beside others, and above others on a narrow page
STACKED_GAP = 100  # pixels for tick labels, axis title and the next panel's title
BESIDE_GAP = 0.09  # of the width
NARROW = 280  # pixels of page per panel; on narrower ones panels are stacked
TITLE_HEIGHT = 34
MARGIN = {"l": 56, "r": 16, "t": 48, "b": 56}


def panels(titles: Sequence[str], *, height: int = PANEL_HEIGHT) -> go.Figure:
    """An empty figure with one pair of axes per title, side by side.

    layout.meta.narrow has what of the layout is different on pages of fewer than `below` pixels: panels are stacked.

    Panel i (from 0) has the axes named by `axis(i)`. height is that of a panel in pixels.
    """
    import plotly.graph_objects as go

    count = len(titles)
    width = (1 - BESIDE_GAP * (count - 1)) / count
    stacked = count * STACKED_HEIGHT + (count - 1) * STACKED_GAP if count > 1 else height
    part = STACKED_HEIGHT / stacked if count > 1 else 1.0
    edges = MARGIN["t"] + MARGIN["b"]
    legend = {"orientation": "h", "x": 0, "yanchor": "bottom"}
    layout = {
        "height": height + edges,
        "margin": MARGIN,
        "legend": legend | {"y": 1 + TITLE_HEIGHT / height},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "dragmode": False,
        "annotations": [],
    }
    narrow = {"below": NARROW * count, "height": stacked + edges, "legend": {"y": 1 + TITLE_HEIGHT / stacked}}
    for i, title in enumerate(titles):
        x, y = axis(i)
        left, top = i * (width + BESIDE_GAP), 1 - i * (part + STACKED_GAP / stacked)
        names = (f"xaxis{x[1:]}", f"yaxis{y[1:]}")
        layout |= {
            names[0]: {"anchor": y, "domain": [left, min(1, left + width)], "zeroline": False},
            names[1]: {"anchor": x, "domain": [0, 1], "zeroline": False},
        }
        narrow |= {names[0]: {"domain": [0, 1]}, names[1]: {"domain": [max(0, top - part), top]}}
        layout["annotations"].append(
            {
                "text": f"<b>{plain(title)}</b>",
                "showarrow": False,
                "xref": f"{x} domain",
                "yref": f"{y} domain",
                "x": 0,
                "y": 1,
                "xanchor": "left",
                "yanchor": "bottom",
                "xshift": -44,  # above the tick labels too, which leaves a long name more room
                "yshift": 6,
            }
        )
    figure = go.Figure()
    figure.layout = layout | {"meta": {"narrow": narrow}}
    figure.layout.template = None
    return figure


def axis(panel: int) -> tuple[str, str]:
    """The names by which a trace refers to a panel's axes: x and y, x2 and y2, ..."""
    number = "" if panel == 0 else str(panel + 1)
    return f"x{number}", f"y{number}"


def colour_of(model: int) -> str:
    return MODEL_COLOURS[model % len(MODEL_COLOURS)]


def plain(text: str) -> str:
    """A visitor's text as Plotly shows it letter by letter, since it would follow <b>, <a> and entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def figure_text(figure: go.Figure, name: str, summary: str) -> str:
    """The figure as JSON for `components.chart`, with a name for its file and words for those who cannot see it."""
    figure.layout.meta = figure.layout.meta | {"name": name, "summary": summary}
    return payload_text(figure.to_dict())
