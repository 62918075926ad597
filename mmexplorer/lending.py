"""Work that computes with a model: on ZeroGPU it is sent to a fork of the process, to which the GPU is lent meanwhile.

Everywhere else a function stays as it is. Arguments and results cross processes by pickle, so they are numpy, strings,
numbers, PIL pictures and dataclasses of these; what the work leaves in globals and caches is lost. The module does not
know what is computed.
"""

import inspect
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from mmexplorer import residency, runtime
from mmexplorer.errors import Refusal
from mmexplorer.presets import preset

Asked = Mapping[str, Any]

# What is asked for at most and at least, in seconds: a visitor who is not signed in has 120 of them a day.
MOST_SECONDS, LEAST_SECONDS = 120, 5
# A guess, for models that a fork has to load first.
LOADING_BYTES_PER_SECOND = 500_000_000
# Between two looks at a stop flag on its way to the other process.
GLANCE_SECONDS = 0.1

_is_fork = False  # this process has the GPU


def lent(
    seconds: float | Callable[[Asked], float],
    *,
    model: Callable[[Asked], str] = lambda asked: asked["model"],
    computes: bool = True,
) -> Callable[[Callable], Callable]:
    """Decorates a function of a module, or a generator with it, that uses a model: on ZeroGPU it gets the GPU.

    seconds are how long it computes, for which a visitor's quota must suffice, and `model` is the key of its preset;
    both of the arguments by name. What only asks a model without computing, computes=False, needs no GPU where the
    model is in memory. An argument `stop` works across processes; a generator that is closed ends the work after the
    event under way. A Refusal comes back as it is, and what ZeroGPU refuses is one as well.
    """

    def decorate(work: Callable) -> Callable:
        if not runtime.zero_gpu():
            return work
        signature = inspect.signature(work)

        def stays(asked: Asked) -> bool:
            return _is_fork or (not computes and residency.status(model(asked)).stage == "ready")

        def bound(args: tuple, kwargs: dict) -> dict:
            arguments = signature.bind(*args, **kwargs)
            arguments.apply_defaults()
            return arguments.arguments

        def needed(asked: Asked) -> int:
            # The files are fetched before the GPU is asked for.
            key = model(asked)
            residency.prepare(key, asked.get("stop"))
            length = seconds(asked) if callable(seconds) else seconds
            if residency.status(key).stage != "ready":
                length += preset(key).disk_bytes / LOADING_BYTES_PER_SECOND
            return round(min(max(length, LEAST_SECONDS), MOST_SECONDS))

        @wraps(work)
        def call(*args, **kwargs):
            asked = bound(args, kwargs)
            if stays(asked):
                return work(**asked)
            length = needed(asked)
            with _crossing(asked) as (crossing, _), _in_sentences(length):
                return _opened(_call(length, call, crossing))

        @wraps(work)
        def iterate(*args, **kwargs):
            asked = bound(args, kwargs)
            if stays(asked):
                return (yield from work(**asked))
            length = needed(asked)
            with (
                _crossing(asked) as (crossing, end),
                _in_sentences(length),
                closing(_iterate(length, iterate, crossing)) as outcomes,
            ):
                for outcome in outcomes:
                    value = _opened(outcome)
                    if outcome[0] == "value":
                        try:
                            yield value
                        except GeneratorExit:
                            end()
                            raise
            return value

        return iterate if inspect.isgeneratorfunction(work) else call

    return decorate


Outcome = tuple[str, Any]  # "value", "refused" or "returned", and what


def _call(length: int, work: Callable, asked: dict) -> Outcome:
    """Runs in the fork: what came of the work. An error that is not returned would arrive as its name alone."""
    global _is_fork
    _is_fork = True
    try:
        return "value", work(**asked)
    except Refusal as refusal:
        return "refused", refusal


def _iterate(length: int, work: Callable, asked: dict) -> Generator[Outcome, None, None]:
    """The same for the events of a generator and what it returns."""
    global _is_fork
    _is_fork = True
    try:
        with closing(work(**asked)) as events:
            while True:
                yield "value", next(events)
    except StopIteration as end:
        yield "returned", end.value
    except Refusal as refusal:
        yield "refused", refusal


if runtime.zero_gpu():  # at import, because ZeroGPU wants to know before the page is up what will ask for a GPU
    _call, _iterate = (runtime.gpu(work, seconds=lambda length, *_: length) for work in (_call, _iterate))


def _opened(outcome: Outcome) -> Any:
    kind, value = outcome
    if kind == "refused":
        raise value
    return value


@dataclass(frozen=True)
class _Flag:
    """A stop flag that another process sees: it is set as soon as there is a file of that name."""

    path: str

    def is_set(self) -> bool:
        return Path(self.path).exists()

    def set(self) -> None:
        Path(self.path).touch()


@contextmanager
def _crossing(asked: Asked) -> Iterator[tuple[dict, Callable[[], None]]]:
    """The arguments as they cross, and a function that ends the work; so does the `stop` among the arguments."""
    stop = asked.get("stop")
    if stop is None:
        yield dict(asked), lambda: None
        return
    with tempfile.TemporaryDirectory(prefix="mmexplorer-") as folder:
        flag, over = _Flag(f"{folder}/stop"), threading.Event()

        def pass_on() -> None:
            while not over.is_set():
                if stop.wait(GLANCE_SECONDS):
                    return flag.set()

        messenger = threading.Thread(target=pass_on, name="stop", daemon=True)
        messenger.start()
        try:
            yield {**asked, "stop": flag}, flag.set
        finally:
            over.set()
            messenger.join()


@contextmanager
def _in_sentences(length: int) -> Iterator[None]:
    """What ZeroGPU refuses, said as a Refusal: the module `spaces` says it by Gradio's errors, under titles."""
    try:
        yield
    except Refusal:
        raise
    except Exception as error:
        title, said = str(getattr(error, "title", "")), str(getattr(error, "message", error))
        if not title.startswith("ZeroGPU"):
            raise
        if said == "GPU task aborted":
            raise Refusal(
                f"The GPU was taken back before the work was done; {length} seconds of it were asked for, so ask for "
                "less at once."
            ) from error
        if title == "ZeroGPU worker error":  # with the name of what was raised; its traceback is in the log
            raise RuntimeError(said) from error
        raise Refusal(f"ZeroGPU: {said.rstrip('. ')}.") from error
