import contextvars
import threading

import pytest

from mmexplorer import turns
from mmexplorer.hub import Stopped
from mmexplorer.turns import DeviceLock


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
