"""Jobs of visitors: stopped by their own session only, and superseded by the next of their kind."""

import threading
import time

import gradio as gr
import pytest

from mmexplorer.hub import Stopped
from mmexplorer.tabs.jobs import Jobs
from mmexplorer.tabs.status import STOPPED


@pytest.fixture
def jobs():
    return Jobs()


def test_stop_reaches_the_visitors_own_jobs_of_every_kind_only(jobs):
    with jobs.job("anna") as annas, jobs.job("anna", "maps") as maps, jobs.job("ben") as bens:
        jobs.stop("anna")
        assert annas.is_set() and maps.is_set() and not bens.is_set()
        assert annas.wanted and maps.wanted  # with what they have
    jobs.stop("anna")  # nothing runs any more: nothing happens
    with jobs.job("anna") as later:
        assert not later.is_set()


def test_a_new_job_ends_the_older_one_of_its_kind(jobs):
    with jobs.job("anna") as old, jobs.job("anna", "maps") as maps:
        with jobs.job("anna") as new:
            assert old.is_set() and not old.wanted
            assert not new.is_set() and new.wanted and not maps.is_set()
        assert not new.wanted  # it is over
        jobs.stop("anna")
        assert not new.is_set() and maps.is_set()


def test_the_end_of_a_superseded_job_leaves_the_new_one_alone(jobs):
    old = jobs.job("anna")
    old.__enter__()
    with jobs.job("anna") as new:
        old.__exit__(None, None, None)
        jobs.stop("anna")
        assert new.is_set() and new.wanted


def test_superseded_jobs_end_and_are_wanted_no_more(jobs):
    with jobs.job("anna") as annas, jobs.job("anna", "maps") as maps, jobs.job("ben") as bens:
        jobs.supersede("anna")
        assert all(job.is_set() and not job.wanted for job in (annas, maps)) and bens.wanted


def test_callers_without_a_session_do_not_meet(jobs):
    with jobs.job(None) as one, jobs.job(None) as other:
        jobs.stop(None)
        assert one.wanted and not one.is_set() and other.wanted and not other.is_set()


def test_nothing_stays_of_jobs_that_are_over_however_many_begin_at_once(jobs):
    together, kept = threading.Barrier(8), []

    def begin():
        together.wait(10)
        with jobs.job("anna") as job:
            together.wait(10)
            kept.append(job.wanted)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert kept.count(True) == 1 and not jobs._running


def test_updates_end_when_something_newer_is_asked(jobs):
    closed = []

    def work(job):
        try:
            for number in range(9):
                yield (number,)
        finally:
            closed.append(job.is_set())

    older = jobs.updates("anna", "maps", work, lambda status: (status,))
    assert next(older) == (0,)
    newer = jobs.updates("anna", "maps", work, lambda status: (status,))
    assert next(newer) == (0,)
    assert list(older) == [(gr.skip(),)] and closed == [True]
    assert list(newer) == [(number,) for number in range(1, 9)]


def test_what_gave_way_after_its_last_update_ends_with_one_that_changes_nothing(jobs):
    updates = jobs.updates("anna", "", lambda job: iter([("all of it",)]), lambda status: (status,))
    assert next(updates) == ("all of it",)
    jobs.supersede("anna")
    assert list(updates) == [(gr.skip(),)]


def test_refusals_and_stops_are_said_as_the_last_update(jobs):
    def work(job):
        yield ("working",)
        raise Stopped

    assert list(jobs.updates("anna", "", work, lambda status: (status,))) == [("working",), (STOPPED,)]


def test_ending_a_visitors_jobs_waits_until_they_are_over(jobs):
    begun, said = threading.Event(), []

    def work():
        with jobs.job("anna") as job:
            begun.set()
            job.wait(5)
            time.sleep(0.1)  # an update that is on its way
            said.append(job.wanted)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(5)
    with jobs.job("ben") as bens:
        jobs.end("anna")
        assert said == [False] and not bens.is_set()
    thread.join()
    jobs.end("anna")  # nothing runs any more: nothing happens
