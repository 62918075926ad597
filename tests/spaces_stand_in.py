"""Stands in for the module `spaces` of ZeroGPU: work runs in a fork, and what goes there and comes back is pickled.

It behaves as version 0.51 does in what can be relied on: generators are cut off at their next event, an error arrives
as its name alone, and a fork that dies is "GPU task aborted". Each call gets a new fork. `lent` lists the seconds that
were asked for, and what exceeds `quota` is refused.
"""

import inspect
import multiprocessing
import pickle
import sys
from collections.abc import Callable, Iterator
from functools import wraps

FORK = multiprocessing.get_context("fork")
torch_was_first = "torch" in sys.modules
decorated: list[str] = []
lent: list[int] = []
quota = 10_000


class Error(Exception):
    """As gr.Error, which the real module raises."""

    def __init__(self, message: str, title: str):
        super().__init__(message)
        self.message, self.title = message, title


def GPU(task: Callable | None = None, *, duration=None):
    if task is None:
        return lambda work: GPU(work, duration=duration)
    decorated.append(task.__name__)

    def started(args: tuple, kwargs: dict):
        seconds = duration(*args, **kwargs) if callable(duration) else duration
        assert isinstance(seconds, int)
        if seconds > quota:
            raise Error(f"You have exceeded your quota ({seconds}s requested vs. {quota}s left).", "ZeroGPU quota")
        lent.append(seconds)
        receiver, sender = FORK.Pipe(duplex=False)
        ended = FORK.Event()
        process = FORK.Process(target=_work, args=(task, pickle.dumps((args, kwargs)), sender, ended), daemon=True)
        process.start()
        sender.close()
        return receiver, ended, process

    @wraps(task)
    def call(*args, **kwargs):
        receiver, _, process = started(args, kwargs)
        kind, value = _received(receiver)
        process.join()
        if kind == "error":
            raise Error(value, "ZeroGPU worker error")
        return value

    @wraps(task)
    def iterate(*args, **kwargs):
        receiver, ended, process = started(args, kwargs)
        try:
            while (outcome := _received(receiver))[0] == "event":
                yield outcome[1]
            if outcome[0] == "error":
                raise Error(outcome[1], "ZeroGPU worker error")
        except GeneratorExit:
            ended.set()
            while _received(receiver)[0] == "event":
                pass
            raise
        finally:
            process.join()

    return iterate if inspect.isgeneratorfunction(task) else call


def _received(receiver) -> tuple:
    try:
        return pickle.loads(receiver.recv_bytes())
    except EOFError:
        raise Error("GPU task aborted", "ZeroGPU worker error") from None


def _work(task: Callable, asked: bytes, sender, ended) -> None:
    args, kwargs = pickle.loads(asked)
    try:
        for outcome in _outcomes(task, args, kwargs, ended):
            sender.send_bytes(pickle.dumps(outcome))
    except Exception as error:
        sender.send_bytes(pickle.dumps(("error", type(error).__name__)))


def _outcomes(task: Callable, args: tuple, kwargs: dict, ended) -> Iterator[tuple]:
    if not inspect.isgeneratorfunction(task):
        yield "value", task(*args, **kwargs)
        return
    events = task(*args, **kwargs)
    for event in events:
        if ended.is_set():
            events.close()
            break
        yield "event", event
    yield "end", None
