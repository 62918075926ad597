"""What the measures of an embedding space mean, what they do not prove, where they come from, and their values in rows.

Texts are data here, for the page and for the table alike. The module knows neither models nor Gradio.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmexplorer.figures.charts import percent

if TYPE_CHECKING:
    from mmexplorer.explore.space import SpaceReport


@dataclass(frozen=True)
class Measure:
    """One measure in words; `part` is the field of the report that holds it."""

    part: str
    title: str
    meaning: str
    limits: str
    source: str


_MEASURES = (
    Measure(
        part="gap",
        title="Modality gap",
        meaning="Pictures and captions often lie in two separate clouds, although they share one space: this is how "
        "far apart the clouds' centroids are (0 to 2), and how much of all variance lies along the line between them.",
        limits="A gap does not make a model wrong: all pictures that compete for a caption lie on the same side of it. "
        "What causes it is disputed (arXiv 2405.18570).",
        source="Liang et al. 2022, arXiv 2203.02053",
    ),
    Measure(
        part="shift",
        title="Closing the gap",
        meaning="Both clouds are moved along the gap, by a share of half of it each, and every vector is made length 1 "
        "again: recall@1 shows what that does to search. Mean-centring takes each cloud's own mean away instead.",
        limits="A recall that rises on this collection may fall on another: the means were taken from the very pairs "
        "that are searched.",
        source="Liang et al. 2022, arXiv 2203.02053, section 4; mean-centring: issue 4 of the SpLiCE repository",
    ),
    Measure(
        part="recall",
        title="Recall@k",
        meaning="How often a right answer is among the first k when each caption searches all pictures that have a "
        "caption, and each picture searches all captions. Every answer with the query's own text is right; ties count "
        "as if they were drawn in random order.",
        limits="It falls as a collection grows, and a wrong answer may fit as well as the right one: only captions of "
        "exactly the same text are taken as equal.",
        source="used for CLIP by Radford et al. 2021, arXiv 2103.00020",
    ),
    Measure(
        part="cosines",
        title="Cosines of pairs",
        meaning="Cosines of captions with their own pictures and with pictures of other captions. AUC is the chance "
        "that a matched pair has the higher cosine of two: 50 % means that nothing tells them apart.",
        limits="The size of a cosine cannot be compared between models; a high AUC still leaves many wrong pairs above "
        "the right one in a large collection.",
        source="AUC: Hanley and McNeil 1982, Radiology 143:29\u201336",
    ),
    Measure(
        part="picture_hubs",
        title="Hubness of pictures",
        meaning="How often each picture stands among the k nearest neighbours of others. With a long tail to the right "
        "(skewness above 0) a few pictures, the hubs, fill many lists, and others are never found.",
        limits="Hubs appear in any space of many dimensions, and in data with dense and sparse places; they are no "
        "proof of bad embeddings.",
        source="Radovanovi\u0107 et al. 2010, JMLR 11:2487\u20132531",
    ),
    Measure(
        part="caption_hubs",
        title="Hubness of answers",
        meaning="How often each picture is among the first k answers to the captions. Hubs here are pictures that a "
        "search by words returns whatever was asked.",
        limits="A picture that truly fits many captions is a hub as well.",
        source="arXiv 2503.10526; arXiv 2310.11612",
    ),
    Measure(
        part="classes",
        title="k-NN accuracy",
        meaning="Each picture's k nearest others vote for its class; the share of right votes says how well the space "
        "keeps the classes together. Beside it stands what always answering the most frequent class would reach.",
        limits="It speaks of neighbourhoods only: classes may be far from separable by words, and near duplicates make "
        "it easy.",
        source="Cover and Hart 1967, IEEE Transactions on Information Theory 13:21\u201327",
    ),
)
MEASURES = {measure.part: measure for measure in _MEASURES}

_ROWS: tuple[tuple[str, str, Callable[[object], str]], ...] = (
    ("gap", "distance of the centroids", lambda gap: f"{gap.distance:.3f}"),
    ("gap", "share of variance along the gap", lambda gap: percent(gap.variance_share)),
    ("gap", "mean cosine of two pictures", lambda gap: f"{gap.within_images:.3f}"),
    ("gap", "mean cosine of two captions", lambda gap: f"{gap.within_texts:.3f}"),
    ("gap", "mean cosine of a picture and a caption", lambda gap: f"{gap.across:.3f}"),
    *(
        (
            "recall",
            f"recall@{k}, {said}",
            lambda recall, i=i, way=way: _against(getattr(recall, way)[i], recall.chance[i]),
        )
        for way, said in (("to_picture", "captions search pictures"), ("to_caption", "pictures search captions"))
        for i, k in enumerate((1, 5, 10))
    ),
    ("shift", "recall@1 with centroids that meet", lambda shift: _both(shift.recall[shift.amounts.index(1.0)])),
    ("shift", "recall@1 mean-centred", lambda shift: _both(shift.recall[-1])),
    ("cosines", "mean cosine of matched pairs", lambda cosines: f"{cosines.matched.mean():.3f}"),
    ("cosines", "mean cosine of mismatched pairs", lambda cosines: f"{cosines.mismatched.mean():.3f}"),
    ("cosines", "AUC", lambda cosines: f"{cosines.auc:.3f}"),
    *(
        (part, what, value)
        for part in ("picture_hubs", "caption_hubs")
        for what, value in (
            ("skewness", lambda found: f"{found.skewness:.2f}"),
            ("never found", lambda found: percent(found.never)),
            ("worst hub", lambda found: f"in {found.hub_counts[0]:,} lists of {found.k}, mean {found.expected:.1f}"),
        )
    ),
    ("classes", "accuracy over all pictures", lambda vote: _against(vote.accuracy, vote.baseline, "baseline")),
    ("classes", "most frequent confusion", lambda vote: _confusion(vote.confusions)),
)


def report_rows(reports: Sequence[SpaceReport], names: Sequence[str]) -> list[list[str]]:
    """Rows for a table: measure, one value per report, meaning, source; a part that is missing says why.

    names: one per report; they are the headings of the value columns and only counted here.
    """
    if len(names) != len(reports):
        raise ValueError("report_rows needs one name per report.")
    return [
        [
            f"{MEASURES[part].title}: {what}",
            *(_value(report, part, value) for report in reports),
            MEASURES[part].meaning,
            MEASURES[part].source,
        ]
        for part, what, value in _ROWS
    ]


def _value(report: SpaceReport, part: str, written: Callable[[object], str]) -> str:
    measured = getattr(report, part)
    return report.missing.get(part, "\u2013") if measured is None else written(measured)


def _against(value: float, other: float, said: str = "chance") -> str:
    return f"{percent(value)} ({said} {percent(other)})"


def _both(recall) -> str:
    return f"{percent(recall[0])} of captions, {percent(recall[1])} of pictures"


def _confusion(confusions) -> str:
    if not confusions:
        return "none"
    return f"{confusions[0].actual} taken for {confusions[0].answered}, {confusions[0].count:,} times"
