"""Recall, hubness, cosines and k-NN accuracy of one or more space reports as Plotly figures, coloured by model.

The module knows neither models nor Gradio; what the measures mean is said in `figures.space`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmexplorer.figures.charts import QUIET, axis, colour_of, figure_text, panels, percent, plain

if TYPE_CHECKING:
    from mmexplorer.explore.space import SpaceReport
    from mmexplorer.explore.space_neighbours import Hubness

AT = ("R@1", "R@5", "R@10")
BINS = 50
CLASSES_SHOWN = 24
BAR_HEIGHT = 14
LABEL, NARROW_LABEL = 28, 14  # letters of a class's name


def recall_figure(reports: Sequence[SpaceReport], names: Sequence[str]) -> str | None:
    """JSON of bars of recall@1, 5 and 10 in both directions beside chance, or None where no report has recall."""
    shown = [(i, report.recall) for i, report in enumerate(reports) if report.recall is not None]
    if not shown:
        return None
    figure = panels(["Captions search pictures", "Pictures search captions"])
    for panel, direction in enumerate(("to_picture", "to_caption")):
        axes = dict(zip(("xaxis", "yaxis"), axis(panel), strict=True))
        for i, recall in shown:
            values = getattr(recall, direction)
            figure.add_trace(
                _bar(names[i], i, axes, first=panel == 0)
                | {"x": AT, "y": values, "text": [percent(value, 0) for value in values], "textposition": "outside"}
                | {"cliponaxis": False, "hovertemplate": "%{fullData.name}, %{x}: %{y:.1%}<extra></extra>"}
            )
        figure.add_trace(
            _line("chance", axes, first=panel == 0)
            | {"x": AT, "y": shown[0][1].chance, "mode": "markers"}
            | {"marker": {"symbol": "line-ew-open", "size": 34, "color": QUIET, "line": {"width": 2}}}
            | {"hovertemplate": "chance, %{x}: %{y:.2%}<extra></extra>"}
        )
        _axes(figure, panel, y={"range": [0, 1.12], "tickformat": ".0%"})
    said = [f"{names[i]} {percent(recall.to_picture[0])} and {percent(recall.to_caption[0])}" for i, recall in shown]
    return figure_text(figure, "recall", f"Recall at 1, captions to pictures and back: {'; '.join(said)}.")


def hubness_figure(reports: Sequence[SpaceReport], names: Sequence[str]) -> str | None:
    """JSON of histograms of k-occurrences, or None where no report has any.

    On the left lists of pictures' neighbours, on the right pictures as answers to captions; the dotted line is what
    lists drawn at random would give.
    """
    kinds = {"picture_hubs": "Pictures as neighbours of pictures", "caption_hubs": "Pictures as answers to captions"}
    kinds = {part: title for part, title in kinds.items() if any(getattr(report, part) for report in reports)}
    if not kinds:
        return None
    figure = panels(list(kinds.values()))
    said = []
    for panel, part in enumerate(kinds):
        axes = dict(zip(("xaxis", "yaxis"), axis(panel), strict=True))
        shown = [(i, getattr(report, part)) for i, report in enumerate(reports) if getattr(report, part) is not None]
        longest = max(int(found.occurrences.max()) for _, found in shown)
        width = math.ceil((longest + 1) / BINS)
        starts = np.arange(0, longest + 1, width)
        for i, found in shown:
            heights = np.add.reduceat(np.bincount(found.occurrences, minlength=longest + 1), starts)
            figure.add_trace(
                _bar(names[i], i, axes, first=panel == 0)
                | {"x": starts + (width - 1) / 2, "y": heights, "width": width, "opacity": 1 / len(shown) ** 0.5}
                | {"customdata": [_interval(start, width) for start in starts.tolist()]}
                | {"hovertemplate": "%{fullData.name}: %{y:,} pictures stand in %{customdata} lists<extra></extra>"}
            )
            said.append(f"{kinds[part]}, {names[i]}: skewness {found.skewness:.2f}")
        random = np.add.reduceat(_random_heights(shown[0][1], longest), starts)
        figure.add_trace(
            _line("at random", axes, first=panel == 0)
            | {"x": starts + (width - 1) / 2, "y": np.where(random >= 0.5, random, np.nan), "hoverinfo": "skip"}
        )
        tallest = len(shown[0][1].occurrences)
        _axes(
            figure,
            panel,
            x={"title": {"text": f"lists of {shown[0][1].k} that a picture stands in"}, "rangemode": "tozero"},
            y={"type": "log", "dtick": 1, "range": [math.log10(0.6), math.log10(1.2 * tallest)]}
            | {"title": {"text": "pictures" if panel == 0 else ""}},
        )
    figure.layout.update(barmode="overlay", bargap=0)
    return figure_text(
        figure, "hubness", f"How many pictures stand in how many lists of nearest neighbours. {'; '.join(said)}."
    )


def cosine_figure(reports: Sequence[SpaceReport], names: Sequence[str]) -> str | None:
    """JSON of histograms of matched and mismatched pairs' cosines, one panel per model, or None without any."""
    shown = [(i, report.cosines) for i, report in enumerate(reports) if report.cosines is not None]
    if not shown:
        return None
    figure = panels([f"{names[i]}: AUC {cosines.auc:.3f}" for i, cosines in shown])
    for panel, (i, cosines) in enumerate(shown):
        axes = dict(zip(("xaxis", "yaxis"), axis(panel), strict=True))
        both = np.concatenate([cosines.matched, cosines.mismatched])
        edges = np.linspace(both.min() - 1e-6, both.max() + 1e-6, BINS + 1)
        matched = "matched pairs" if len(shown) == 1 else f"matched pairs, {plain(names[i])}"
        for values, style in (
            (
                cosines.mismatched,
                {"name": "mismatched pairs", "legendgroup": "mismatched", "marker": {"color": QUIET}},
            ),
            (cosines.matched, {"name": matched, "showlegend": True}),
        ):
            figure.add_trace(
                _bar(names[i], i, axes, first=panel == 0)
                | {"x": (edges[1:] + edges[:-1]) / 2, "y": np.histogram(values, edges)[0] / len(values)}
                | {"width": float(edges[1] - edges[0]), "opacity": 0.7}
                | {"hovertemplate": "cosine %{x:.2f}: %{y:.1%} of the %{fullData.name}<extra></extra>"}
                | style
            )
        _axes(
            figure,
            panel,
            x={"title": {"text": "cosine"}},
            y={"tickformat": ".0%", "title": {"text": "share of pairs" if panel == 0 else ""}},
        )
    figure.layout.update(barmode="overlay", bargap=0)
    said = [
        f"{names[i]}: matched {cosines.matched.mean():.3f}, mismatched {cosines.mismatched.mean():.3f}, "
        f"AUC {cosines.auc:.3f}"
        for i, cosines in shown
    ]
    return figure_text(figure, "cosines", f"Mean cosines of matched and mismatched pairs. {'; '.join(said)}.")


def classes_figure(reports: Sequence[SpaceReport], names: Sequence[str]) -> str | None:
    """JSON of horizontal bars of each class's k-NN accuracy, the most frequent classes, or None without any."""
    shown = [(i, report.classes) for i, report in enumerate(reports) if report.classes is not None]
    if not shown:
        return None
    first = shown[0][1]
    count = min(CLASSES_SHOWN, len(first.names))
    figure = panels(
        [f"{count} of {len(first.names)} classes" if count < len(first.names) else ""],
        height=60 + count * (10 + BAR_HEIGHT * len(shown)),
    )
    for i, accuracy in shown:
        of_class = dict(zip(accuracy.names, accuracy.accuracies, strict=True))
        values = np.array([of_class.get(name, np.nan) for name in first.names[:count]])
        figure.add_trace(
            _bar(f"{names[i]}: {percent(accuracy.accuracy)} of all", i, {}, first=True)
            | {
                "orientation": "h",
                "x": values,
                "y": list(range(count)),
                "text": [percent(value, 0) for value in values],
            }
            | {"textposition": "auto", "customdata": first.counts[:count]}
            | {"hovertemplate": f"{plain(names[i])}, %{{y}}: %{{x:.1%}} of %{{customdata:,}} pictures<extra></extra>"}
        )
    baseline = f"always the most frequent class: {percent(first.baseline)}"
    figure.add_trace(_line(baseline, {}, first=True) | {"x": [first.baseline] * 2, "y": [-0.5, count - 0.5]})
    _axes(
        figure,
        0,
        x={"range": [0, 1.02], "tickformat": ".0%", "title": {"text": f"right votes of the {first.k} nearest"}},
        y={"range": [count - 0.5, -0.5], "tickvals": list(range(count)), "automargin": True, "showgrid": False}
        | {"ticktext": [_short(name, LABEL) for name in first.names[:count]]},
    )
    figure.layout.meta["narrow"]["yaxis"]["ticktext"] = [_short(name, NARROW_LABEL) for name in first.names[:count]]
    said = [f"{names[i]} {percent(accuracy.accuracy)}" for i, accuracy in shown]
    return figure_text(
        figure, "knn-accuracy", f"Accuracy of the nearest neighbours' vote: {'; '.join(said)}; {baseline}."
    )


def _bar(name: str, model: int, axes: dict, *, first: bool) -> dict:
    """A bar trace of one model; only its first is listed in the legend and switches the others with it."""
    named = {"name": plain(name), "legendgroup": f"model {model}", "showlegend": first}
    return {"type": "bar", "marker": {"color": colour_of(model)}, **named, **axes}


def _line(name: str, axes: dict, *, first: bool) -> dict:
    style = {"mode": "lines", "line": {"color": QUIET, "dash": "dot", "width": 2}}
    return {"type": "scatter", "name": name, "legendgroup": name, "showlegend": first, **style, **axes}


def _axes(figure, panel: int, *, x: dict | None = None, y: dict | None = None) -> None:
    number = axis(panel)[0][1:]
    figure.layout[f"xaxis{number}"].update(x or {})
    figure.layout[f"yaxis{number}"].update(y or {})


def _random_heights(found: Hubness, longest: int) -> np.ndarray:
    """Pictures expected with 0, 1, ... longest occurrences if every list were drawn at random: binomial."""
    pictures = len(found.occurrences)
    lists = round(found.expected * pictures / found.k)
    share = found.k / pictures
    logs = [
        math.lgamma(lists + 1) - math.lgamma(times + 1) - math.lgamma(lists - times + 1)
        + times * math.log(share) + (lists - times) * math.log1p(-share)
        for times in range(longest + 1)
    ]  # fmt: skip
    return pictures * np.exp(logs)


def _interval(start: int, width: int) -> str:
    return str(start) if width == 1 else f"{start} to {start + width - 1}"


def _short(name: str, longest: int) -> str:
    return plain(name if len(name) <= longest else f"{name[: longest - 1]}…")
