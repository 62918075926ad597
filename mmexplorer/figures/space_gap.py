"""The modality gap with a slider: recall@1 against the shift, and the two clouds as they move, as one Plotly figure.

Every state is a frame in the figure, so moving the slider asks the server nothing. The module knows neither models nor
Gradio.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmexplorer.figures.charts import (
    CAPTION_COLOUR,
    PAIR_LINE,
    PICTURE_COLOUR,
    QUIET,
    axis,
    colour_of,
    figure_text,
    panels,
    percent,
    plain,
)

if TYPE_CHECKING:
    from mmexplorer.explore.space import GapShift, SpaceReport

CENTRED = "mean-centred"
CENTRED_PLACE = 0.35  # to the right of the last amount, where the curve's axis shows the mean-centred state
DIRECTIONS = (("captions find pictures", "solid"), ("pictures find captions", "dot"))
AT_ONCE = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}


def gap_figure(reports: Sequence[SpaceReport], names: Sequence[str]) -> str | None:
    """JSON of the gap figure of models side by side, or None where no report has a shift.

    names: one per report. The slider's steps are the amounts of the shift, and last the mean-centred state.
    """
    shown = [(i, report.shift) for i, report in enumerate(reports) if report.shift is not None]
    if not shown:
        return None
    figure = panels(["Recall@1", *(names[i] for i, _ in shown)])
    amounts = shown[0][1].amounts
    places = [*amounts, amounts[-1] + CENTRED_PLACE]
    start = amounts.index(0.0)
    # Beside each other where two models' markers may meet.
    sides = ["center"] if len(reports) == 1 else ["left", "right"] * len(reports)
    moving = []
    for panel, (i, shift) in enumerate(shown, start=1):
        _add_curve(figure, shift, places, colour_of(i), plain(names[i]) if len(reports) > 1 else "")
        moving += [len(figure.data), len(figure.data) + 1]
        figure.add_trace(_marker(shift, places, start, sides[i]) | {"marker": {"color": colour_of(i), "size": 11}})
        figure.add_trace(_cloud_style(shift, panel) | _cloud(shift, start))
        _frame_cloud(figure, shift, panel)
    if len(reports) > 1:
        for said, dash in DIRECTIONS:
            _add_key(figure, said, {"mode": "lines", "line": {"color": QUIET, "dash": dash, "width": 2}})
    for said, colour, symbol in (("picture", PICTURE_COLOUR, "circle"), ("caption", CAPTION_COLOUR, "diamond")):
        _add_key(figure, said, {"mode": "markers", "marker": {"color": colour, "symbol": symbol, "size": 7}})
    states = [*(_signed(amount) for amount in amounts), CENTRED]
    figure.frames = [
        {
            "name": state,
            "traces": moving,
            "data": [part for i, shift in shown for part in (_marker(shift, places, s, sides[i]), _cloud(shift, s))],
        }
        for s, state in enumerate(states)
    ]
    _label_curve(figure, amounts, places, np.concatenate([shift.recall for _, shift in shown]))
    _add_controls(figure, states, start)
    return figure_text(figure, "modality-gap", _summary(shown, names, start, amounts.index(1.0)))


def _add_curve(figure, shift: GapShift, places: list[float], colour: str, model: str) -> None:
    """A line for each direction of search; the legend names the model, or the directions where there is one model."""
    for direction, (said, dash) in enumerate(DIRECTIONS):
        named = f"{model}<br>{said}" if model else said
        recall = shift.recall[:, direction]
        figure.add_trace(
            {
                "type": "scatter",
                "mode": "lines",
                "name": model or said,
                "showlegend": not model or direction == 0,
                "x": places[:-1],
                "y": recall[:-1],
                "line": {"color": colour, "dash": dash, "width": 2},
                "hovertemplate": f"{named}<br>shift %{{x}}: %{{y:.1%}}<extra></extra>",
            }
        )
        figure.add_trace(
            {
                "type": "scatter",
                "mode": "markers",
                "showlegend": False,
                "x": places[-1:],
                "y": recall[-1:],
                "marker": {"color": colour, "symbol": ("circle-open", "diamond-open")[direction], "size": 9},
                "hovertemplate": f"{named}<br>mean-centred: %{{y:.1%}}<extra></extra>",
            }
        )


def _add_key(figure, name: str, style: dict) -> None:
    """An entry of the legend alone."""
    figure.add_trace({"type": "scatter", "x": [None], "y": [None], "name": name, **style})


def _marker(shift: GapShift, places: list[float], state: int, side: str) -> dict:
    """The two points of one state on the curve, with their values above and below."""
    recall = shift.recall[state]
    higher = int(recall[1] > recall[0])
    return {
        "type": "scatter",
        "mode": "markers+text",
        "x": [places[state]] * 2,
        "y": recall,
        "text": [percent(value) for value in recall],
        "textposition": [f"{'top' if direction == higher else 'bottom'} {side}" for direction in (0, 1)],
        "showlegend": False,
        "hoverinfo": "skip",
        "cliponaxis": False,
    }


def _cloud(shift: GapShift, state: int) -> dict:
    """Picture, caption, break, for each pair in turn: one trace that draws points and the lines between them."""
    broken = np.full_like(shift.pictures[state], np.nan)
    points = np.stack([shift.pictures[state], shift.captions[state], broken], axis=1).reshape(-1, 2)
    return {"type": "scatter", "x": points[:, 0].astype(np.float32), "y": points[:, 1].astype(np.float32)}


def _cloud_style(shift: GapShift, panel: int) -> dict:
    x, y = axis(panel)
    pairs = len(shift.rows)
    return {
        "mode": "lines+markers",
        "xaxis": x,
        "yaxis": y,
        "line": {"color": PAIR_LINE, "width": 1},
        "marker": {
            "color": [PICTURE_COLOUR, CAPTION_COLOUR, CAPTION_COLOUR] * pairs,
            "symbol": ["circle", "diamond", "diamond"] * pairs,
            "size": 5,
            "opacity": 0.8,
        },
        "showlegend": False,
        "hoverinfo": "skip",
    }


def _frame_cloud(figure, shift: GapShift, panel: int) -> None:
    """Axes that hold every state, with equal scales, so that distances can be compared by eye."""
    points = np.concatenate([shift.pictures.reshape(-1, 2), shift.captions.reshape(-1, 2)])
    low, high = points.min(axis=0), points.max(axis=0)
    edge = 0.05 * max(float((high - low).max()), 1e-3)
    x = axis(panel)[0]
    sides = [[float(a - edge), float(b + edge)] for a, b in zip(low, high, strict=True)]
    number = x[1:]
    figure.layout[f"xaxis{number}"].update(range=sides[0], title={"text": "along the gap"})
    figure.layout[f"yaxis{number}"].update(range=sides[1], scaleanchor=x, title={"text": "across it"})


def _label_curve(figure, amounts: Sequence[float], places: list[float], recall: np.ndarray) -> None:
    """The curve's axes; recall is magnified, but no more than tenfold, where the noise of a sample would fill them."""
    middle, half = (recall.max() + recall.min()) / 2, max(0.6 * np.ptp(recall), 0.05)
    ticks = [amount for amount in amounts if (2 * amount).is_integer()][:-1]  # the last would touch "centred"
    figure.layout.xaxis.update(
        range=[places[0] - 0.15, places[-1] + 0.5],
        tickvals=[*ticks, places[-1]],
        ticktext=[*(f"{amount:g}".replace("-", "\u2212") for amount in ticks), "centred"],
        tickangle=0,
        title={"text": "shift along the gap"},
    )
    figure.layout.legend.update(itemclick=False, itemdoubleclick=False)
    figure.layout.yaxis.update(range=[float(middle - half), float(middle + half)], tickformat=".0%")


def _add_controls(figure, states: list[str], start: int) -> None:
    figure.layout.sliders = [
        {
            "active": start,
            "currentvalue": {"prefix": "Shift along the gap: "},
            "steps": [{"label": state, "method": "animate", "args": [[state], AT_ONCE]} for state in states],
        }
    ]
    jumps = {"as it is": states[start], "centroids meet": _signed(1.0), CENTRED: CENTRED}
    figure.layout.updatemenus = [
        {
            "type": "buttons",
            "buttons": [
                {"label": said, "method": "animate", "args": [[state], AT_ONCE]} for said, state in jumps.items()
            ],
        }
    ]


def _summary(shown, names: Sequence[str], start: int, met: int) -> str:
    sentences = []
    for i, shift in shown:
        values = [
            f"{said} {percent(shift.recall[state, 0])} and {percent(shift.recall[state, 1])}"
            for said, state in (("as it is", start), ("with centroids that meet", met), (CENTRED, -1))
        ]
        sentences.append(f"{names[i]}: {', '.join(values)}.")
    return f"Recall at 1 of captions finding pictures and of pictures finding captions. {' '.join(sentences)}"


def _signed(amount: float) -> str:
    return f"{amount:.1f}".replace("-", "\u2212")
