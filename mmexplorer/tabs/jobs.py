"""What is being computed for each visitor of a tab, and how it is stopped or gives way to what they ask next.

Knows neither what a job computes nor where its result goes.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager

import gradio as gr

from mmexplorer.tabs.status import Show, saying_how_it_ends

PATIENCE = 3.0  # seconds


class Job(threading.Event):
    """The event that asks a job to end.

    wanted says whether its result may still reach the page; over is set when nothing of it can any more.
    """

    def __init__(self):
        super().__init__()
        self.wanted, self.over = True, threading.Event()


class Jobs:
    """The running jobs of one tab: of each kind at most one for a visitor, who is known by the session."""

    def __init__(self):
        self._lock = threading.Lock()
        self._running: dict[tuple[str, str], Job] = {}

    @contextmanager
    def job(self, session: str | None, kind: str = "") -> Iterator[Job]:
        """A job that lasts as long as the block; an older one of its kind is asked to end and no longer wanted."""
        job = Job()
        key = session or f"nobody {id(job)}", kind
        with self._lock:
            older = self._running.pop(key, None)
            self._running[key] = job
        _supersede(older)
        try:
            yield job
        finally:
            job.wanted = False
            job.over.set()
            with self._lock:
                if self._running.get(key) is job:
                    del self._running[key]

    def updates(
        self, session: str | None, kind: str, work: Callable[[Job], Iterator[tuple]], show: Show
    ) -> Iterator[tuple]:
        """The updates of work(job), a new job, and how it ended, for as long as the job is wanted.

        One that is not wanted any more ends with an update that changes nothing: Gradio sends an event's last update
        once more when it is over, and that would undo what has been shown since.
        """
        with self.job(session, kind) as job, closing(saying_how_it_ends(work(job), show)) as updates:
            for update in updates:
                if not job.wanted:
                    break
                yield update
            if not job.wanted:
                yield show(gr.skip())

    def stop(self, session: str | None) -> None:
        """Asks the jobs of a session to end with what they have."""
        for job in self.running(session):
            job.set()

    def supersede(self, session: str | None, *kinds: str) -> None:
        """Ends the jobs of a session, of some kinds or of all, whose results nobody wants any more."""
        for job in self.running(session, kinds):
            _supersede(job)

    def end(self, session: str | None) -> None:
        """Ends the jobs of a session and waits, at most so long as a visitor would, until no update of theirs can come.

        An update that is on its way to the page would arrive after that of who ended the job, and stay there.
        """
        running = self.running(session)
        self.supersede(session)
        deadline = time.monotonic() + PATIENCE
        for job in running:
            job.over.wait(max(0, deadline - time.monotonic()))

    def running(self, session: str | None, kinds: Collection[str] = ()) -> list[Job]:
        """The jobs of a session, of some kinds or of all."""
        with self._lock:
            running = list(self._running.items())
        return [job for (owner, kind), job in running if owner == session and (not kinds or kind in kinds)]


def _supersede(job: Job | None) -> None:
    if job is not None:
        job.wanted = False
        job.set()
