"""Many pictures of one model, each in its place of a grid or a strip, drawn in batches as far as they agree.

Knows neither what the axes of a grid mean nor what lies between two prompts. Never imports torch itself.
"""

import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise

from PIL import Image

from mmexplorer import residency
from mmexplorer.explore.drawing_asked import Asked, gpu_seconds, read, settled
from mmexplorer.hub import Stopped
from mmexplorer.lending import lent
from mmexplorer.presets import preset

MAX_CELLS = 64
# Settings in which the pictures of a batch agree, besides whether they are guided.
SHARED = ("negative_prompt", "steps", "scheduler", "width", "height")


@dataclass(frozen=True)
class Place:
    """What is asked for in a place; `share` of the way to `other_prompt` or `other_seed`, where there is one."""

    row: int
    column: int
    asked: Asked
    other_prompt: str | None = None
    other_seed: int | None = None
    share: float = 0.0


@dataclass(frozen=True)
class Cell:
    """A picture in its place; settings are those of `drawings.Drawing`, and in between also where between what."""

    row: int
    column: int
    image: Image.Image
    settings: Mapping[str, str | int | float | None]


@dataclass(frozen=True)
class CellsEvent:
    """Cells under way: those that are there, in the order in which they came, of `total`.

    steps_done of steps_total denoising steps are done, after `seconds`, and about `eta` seconds remain, None until a
    step is done. ended is "" until the last event, then "end" or "stopped". remarks are sentences about what was
    changed, cut or not known.
    """

    cells: tuple[Cell, ...]
    total: int
    steps_done: int
    steps_total: int
    seconds: float = 0.0
    eta: float | None = None
    remarks: tuple[str, ...] = ()
    ended: str = ""


@dataclass(frozen=True)
class _Settled:
    """A place with the settings of its cell."""

    place: Place
    settings: Mapping


def draw_cells(
    places: Sequence[Place], model: str, stop: threading.Event | None = None
) -> Generator[CellsEvent, None, None]:
    """Draws every place: an event after each step of each batch, and one at the end.

    A cell is the picture of a single drawing with its settings up to rounding: where several are computed together,
    numbers are not added up in the same order. The device is held for a batch at a time, so that others may draw in
    between. Setting `stop` ends it after the step under way, with the cells that are there; without any it raises
    hub.Stopped.
    """
    stop = stop or threading.Event()
    batches, remarks = _planned(places, model, stop)
    way = _Way(len(places), sum(_steps(members) for members in batches), remarks)
    texts: dict = {}
    for members in batches:
        pictures = yield from _drawn(members, model, texts, stop, way)
        if not pictures:
            break
        way.arrived(members, pictures)
    if not way.cells:
        raise Stopped("The drawing was stopped before its first picture.")
    yield way.event(ended="end" if len(way.cells) == len(places) else "stopped")


class _Way:
    """How far the cells are."""

    def __init__(self, total: int, steps_total: int, remarks: tuple[str, ...]):
        self._total, self._steps_total, self._remarks = total, steps_total, remarks
        self._steps_done, self._started = 0, time.perf_counter()
        self.cells: list[Cell] = []

    def arrived(self, members: Sequence[_Settled], pictures: Sequence[Image.Image]) -> None:
        """Notes the pictures of a batch."""
        self._steps_done += _steps(members)
        for one, picture in zip(members, pictures, strict=True):
            self.cells.append(Cell(one.place.row, one.place.column, picture, one.settings))

    def event(self, steps: float = 0, ended: str = "") -> CellsEvent:
        """The event when so many steps of the batch under way are done."""
        done, seconds = self._steps_done + steps, time.perf_counter() - self._started
        eta = seconds * (self._steps_total - done) / done if done else None
        cells, remarks = tuple(self.cells), self._remarks
        return CellsEvent(cells, self._total, round(done), self._steps_total, seconds, eta, remarks, ended)


def _drawn(
    members: Sequence[_Settled], model: str, texts: dict, stop: threading.Event, way: _Way
) -> Generator[CellsEvent, None, tuple[Image.Image, ...]]:
    """The events of a batch and its pictures; none where it was stopped."""
    pictures = ()
    try:
        with closing(_batch_events(members, model, texts, stop)) as events:
            for event in events:
                pictures = event.pictures
                # Schedulers may take a step more than they were asked for.
                yield way.event(_steps(members) * event.number / event.total)
    except Stopped:
        return ()
    return pictures


def _batch_seconds(asked: Mapping) -> float:
    members = asked["members"]
    settings = members[0].settings
    return gpu_seconds(settings["steps"], settings["width"], settings["height"], len(members))


@lent(_batch_seconds)
def _batch_events(members: Sequence[_Settled], model: str, texts: dict, stop: threading.Event) -> Generator:
    """The events of a batch, with the device held."""
    from mmexplorer.models.diffusion_batch import draw_batch

    with residency.use(model, stop) as painter, closing(draw_batch(painter, _batch(members), texts, stop)) as events:
        yield from events


def _batch(members: Sequence[_Settled]):
    from mmexplorer.models.diffusion_batch import Batch, Wish

    settings = members[0].settings
    places = [one.place for one in members]
    wishes = [
        Wish(
            place.asked.prompt,
            place.asked.seed,
            one.settings["guidance"],
            place.other_prompt,
            place.other_seed,
            place.share,
        )
        for one, place in zip(members, places, strict=True)
    ]
    return Batch(tuple(wishes), **{name: settings[name] for name in SHARED})


def _steps(members: Sequence[_Settled]) -> int:
    return members[0].settings["steps"]


@lent(5, computes=False)
def _planned(
    places: Sequence[Place], model: str, stop: threading.Event
) -> tuple[list[list[_Settled]], tuple[str, ...]]:
    """The batches, in the order of their first places, and what had to be changed."""
    from mmexplorer.models.diffusion_batch import at_once, together

    row = preset(model)
    groups: dict[tuple, list[_Settled]] = {}
    remarks: list[str] = []
    with residency.use(model, stop) as painter:
        for place in places:
            settings, changed = settled(painter, place.asked, row.label)
            remarks += [*place.asked.remarks, *changed]
            for prompt in filter(None, (place.asked.prompt, place.other_prompt)):
                remarks += read(painter, replace(place.asked, prompt=prompt), settings, row.label)[1]
            settings = {"prompt": place.asked.prompt, **settings, "model": model, "revision": row.revision}
            settings |= _between(place)
            agree = tuple(settings[name] for name in SHARED)
            agree += together(painter, settings["guidance"])
            groups.setdefault(agree, []).append(_Settled(place, settings))
    batches = []
    for members in groups.values():
        most = at_once(members[0].settings["width"], members[0].settings["height"])
        count = -(-len(members) // most)  # of nearly equal size
        ends = [len(members) * i // count for i in range(count + 1)]
        batches += [members[start:end] for start, end in pairwise(ends)]
    return batches, tuple(dict.fromkeys(remarks))


def _between(place: Place) -> dict:
    found = {"other_prompt": place.other_prompt, "other_seed": place.other_seed}
    found = {name: value for name, value in found.items() if value is not None}
    return found | {"share": place.share} if found else {}
