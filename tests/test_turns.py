import contextvars
import threading
import time
from contextlib import ExitStack, contextmanager, suppress

import pytest

from mmexplorer import turns
from mmexplorer.errors import Refusal
from mmexplorer.hub import Stopped
from mmexplorer.turns import Caller, DeviceLock, Places


def test_a_turn_is_held_until_the_outermost_block_ends():
    lock = DeviceLock()
    assert not lock.is_held
    with lock.turn():
        with lock.turn():
            assert lock.is_held
        assert lock.is_held
    assert not lock.is_held


def test_a_turn_belongs_to_a_context_and_not_to_a_thread():
    lock = DeviceLock()
    with lock.turn():
        assert not contextvars.Context().run(lambda: lock.is_held)
        seen = []
        mine = contextvars.copy_context()
        thread = threading.Thread(target=lambda: seen.append(mine.run(lambda: lock.is_held)))
        thread.start()
        thread.join()
        assert seen == [True]


def test_a_context_that_outlives_its_turn_does_not_hold_the_next_one():
    lock = DeviceLock()
    with lock.turn():
        late = contextvars.copy_context()
    with lock.turn():
        assert not late.run(lambda: lock.is_held)


def test_two_devices_nest():
    one, other = DeviceLock(), DeviceLock()
    with one.turn(), other.turn(), one.turn():
        assert one.is_held and other.is_held
    assert not one.is_held and not other.is_held


def test_a_long_lived_context_remembers_no_past_turns():
    lock = DeviceLock()
    before = turns._held.get()
    for _ in range(3):
        with lock.turn():
            pass
    assert turns._held.get() == before


def test_who_stops_while_waiting_leaves_the_line():
    lock, stop = DeviceLock(), threading.Event()
    stop.set()

    def wait():
        with pytest.raises(Stopped), lock.turn(stop):
            pass

    with lock.turn():
        contextvars.Context().run(wait)
        assert lock.waiting == 0
    with lock.turn():
        assert lock.is_held


def test_patience_ends():
    changed = threading.Condition()
    with changed:
        assert not turns.wait_until(changed, lambda: False, patience=0.01)
        assert turns.wait_until(changed, lambda: True, patience=0)


# Who comes first, and for how long -----------------------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def as_caller(visitor, job, work):
    """work() as if that visitor's job did it."""

    def run():
        turns.caller.set(Caller(visitor, job))
        return work()

    return contextvars.Context().run(run)


@contextmanager
def in_line(lock, *entries):
    """Turns of (visitor, job, kind) that wait for the lock during the block, which has to hold it."""
    stop, threads = threading.Event(), []
    for number, (visitor, job, kind) in enumerate(entries):

        def wait(kind=kind):
            with suppress(Stopped), lock.turn(stop, kind):
                pass

        threads.append(threading.Thread(target=as_caller, args=(visitor, job, wait)))
        threads[-1].start()
        while lock.waiting <= number:
            time.sleep(0.002)
    yield
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def take(lock, clock, seconds, kind=""):
    with lock.turn(kind=kind):
        clock.now += seconds


def test_the_place_in_line_is_that_of_the_job_and_not_of_the_visitor():
    lock = DeviceLock()
    with lock.turn(), in_line(lock, ("anna", "1", ""), ("ben", "2", ""), ("anna", "3", "")):
        places = {job: as_caller(who, job, lock.ahead)[0] for who, job in (("anna", "1"), ("ben", "2"), ("anna", "3"))}
        assert places == {"1": 1, "2": 2, "3": 3}
        assert as_caller("anna", "4", lock.ahead)[0] == 0  # it waits for something else
        assert lock.ahead()[0] == 0  # nobody in particular


def test_who_has_the_turn_waits_for_nobody():
    lock = DeviceLock()

    def hold():
        with lock.turn():
            return lock.ahead()[0]

    assert as_caller("anna", "1", hold) == 0


def test_nobody_knows_how_long_before_a_first_turn_has_ended():
    lock = DeviceLock(Clock())
    with lock.turn(), in_line(lock, ("anna", "1", "")):
        assert as_caller("anna", "1", lock.ahead) == (1, None)


def test_the_wait_is_what_turns_of_those_kinds_took_of_late():
    clock = Clock()
    lock = DeviceLock(clock)
    take(lock, clock, 10, "draw")
    take(lock, clock, 20, "draw")  # 0.7 * 10 + 0.3 * 20 = 13
    take(lock, clock, 1, "score")
    with lock.turn(kind="draw"):
        clock.now += 4
        entries = ("anna", "1", "score"), ("ben", "2", "new"), ("cleo", "3", "draw")
        with in_line(lock, *entries):
            assert as_caller("anna", "1", lock.ahead) == (1, pytest.approx(13 - 4))
            assert as_caller("ben", "2", lock.ahead) == (2, pytest.approx(9 + 1))
            # Of a kind that there never was, the mean of the others: (13 + 1) / 2.
            assert as_caller("cleo", "3", lock.ahead) == (3, pytest.approx(10 + 7))


def test_a_turn_that_is_late_is_expected_to_last_as_long_as_it_is_late():
    clock = Clock()
    lock = DeviceLock(clock)
    take(lock, clock, 2)
    with lock.turn():
        clock.now += 12
        with in_line(lock, ("anna", "1", "")):
            assert as_caller("anna", "1", lock.ahead) == (1, pytest.approx(10))


def test_a_nested_turn_is_a_part_of_the_outer_one():
    clock = Clock()
    lock = DeviceLock(clock)
    with lock.turn(kind="outer"):
        take(lock, clock, 5, "inner")
        clock.now += 1
    with lock.turn(kind="outer"), in_line(lock, ("anna", "1", "")):
        assert as_caller("anna", "1", lock.ahead) == (1, pytest.approx(6))


# How much one visitor may ask for ------------------------------------------------------------------------------------


@contextmanager
def taken(places, *callers):
    """Places that these (visitor, job) have during the block."""
    with ExitStack() as stack:
        for visitor, job in callers:
            context = contextvars.Context()
            context.run(turns.caller.set, Caller(visitor, job))
            place = places.place()
            context.run(place.__enter__)
            stack.callback(context.run, place.__exit__, None, None, None)
        yield


def try_place(places):
    with places.place():
        return "served"


def test_a_visitor_has_at_most_three_jobs_in_line_and_others_are_served():
    places = Places()
    with taken(places, ("anna", "1"), ("anna", "2"), ("anna", "3")):
        with pytest.raises(Refusal, match="3 of your jobs are running or in line already"):
            as_caller("anna", "4", lambda: try_place(places))
        assert as_caller("ben", "5", lambda: try_place(places)) == "served"
        assert as_caller("anna", "3", lambda: try_place(places)) == "served"  # a second model of the same job
    assert as_caller("anna", "4", lambda: try_place(places)) == "served"


def test_a_crowd_gets_so_many_places_and_nobody_in_particular_always_does():
    places = Places()
    with taken(places, *((f"visitor {n}", "1") for n in range(turns.MOST_OF_ALL))):
        with pytest.raises(Refusal, match="64 jobs of other visitors are in line already"):
            as_caller("anna", "1", lambda: try_place(places))
        assert try_place(places) == "served"
    assert as_caller("anna", "1", lambda: try_place(places)) == "served"


def test_a_place_is_free_again_when_its_work_fails():
    places = Places()

    def fail():
        with places.place():
            raise ValueError

    for _ in range(turns.MOST_OF_ONE + 1):
        with pytest.raises(ValueError):
            as_caller("anna", "1", fail)
    assert not places._taken
