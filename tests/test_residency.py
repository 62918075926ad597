import contextvars
import gc
import os
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmexplorer import hub, placement, residency, runtime, turns
from mmexplorer.errors import Refusal
from mmexplorer.placement import CPU, Placement
from mmexplorer.presets import Preset
from mmexplorer.residency import Residency
from mmexplorer.residency_forked import ForkedResidency
from mmexplorer.residency_status import Memory

BYTES = {"a": 100, "b": 200, "c": 300, "d": 150, "e": 95, "huge": 10_000}
SECONDS = 10  # that a test waits before it calls a thread stuck


def row(key):
    return Preset(
        key=key,
        label=f"Model {key}",
        family="clip",
        source=f"assets/models/{key}",
        revision=None,
        disk_bytes=50,
        parameters=0,
        licence="",
        gated=False,
        paper="",
        abilities=frozenset(),
        tier="toy",
        note="",
    )


def laid_out(preset, machine):
    """Every model as a whole, taking what BYTES says."""
    verdict = placement.FITS if BYTES[preset.key] <= machine.room else placement.TOO_BIG
    return Placement(machine.device, memory_bytes=BYTES[preset.key], verdict=verdict)


class Model:
    def __init__(self, machine, key):
        self.machine, self.key, self.memory_bytes = machine, key, BYTES[key]
        machine.used += self.memory_bytes

    def close(self):
        self.machine.used -= self.memory_bytes
        self.machine.events.append(f"close {self.key}")


class Machine:
    """A device, a disk and a loader whose every step can be held, failed and read back."""

    def __init__(self, total=1000, **options):
        self.total, self.used = total, 0
        self.events = []
        self.faults = []  # raised by the next loads, in this order
        self.on_disk, self.begun = True, 0
        self.gate = None  # an Event that loads wait for
        self.fetch = lambda preset, progress, stop: Path(preset.key)
        self.building = 0
        self.most_building = 0
        options = {"budget": total, "device": "cpu", **options}
        self.residency = Residency(
            find=row,
            files=self,
            load=self.load,
            place=laid_out,
            memory=self.memory,
            release=self.release,
            **options,
        )
        self.use = self.residency.use
        self.status = self.residency.status

    def here(self, preset):
        return Path(preset.key) if self.on_disk else None

    def begun_bytes(self, preset):
        return self.begun

    def memory(self, device):
        return self.total - self.used, self.total

    def release(self, device):
        self.events.append("release")

    def load(self, preset, folder, place):
        assert folder == Path(preset.key) and place.device == "cpu"
        self.events.append(f"load {preset.key}")
        self.building += 1
        self.most_building = max(self.most_building, self.building)
        try:
            if self.gate is not None:
                assert self.gate.wait(SECONDS)
            if self.faults:
                raise self.faults.pop(0)
            return Model(self, preset.key)
        finally:
            self.building -= 1

    def touch(self, *keys):
        for key in keys:
            with self.use(key):
                pass

    def resident(self):
        return [model.key for model in self.residency.loaded()]

    def resident_bytes(self):
        return bytes_in(self.residency)


def bytes_in(residency):
    return [(model.key, model.memory_bytes, model.in_use) for model in residency.loaded()]


@contextmanager
def running(work, *arguments):
    """Run work in a thread during the block; give its outcome as a list that is filled at the end."""
    outcome = []

    def run():
        try:
            outcome.append(work(*arguments))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield outcome
    thread.join(SECONDS)
    assert not thread.is_alive(), "stuck"


def until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "never happened"
        time.sleep(0.002)


# Loading -------------------------------------------------------------------------------------------------------------


def test_nothing_is_loaded_before_the_first_use():
    machine = Machine()
    machine.status("a")
    assert machine.events == []
    machine.touch("a", "a")
    assert machine.events == ["load a"]


def test_twenty_threads_load_once_and_get_the_same_object():
    machine = Machine()
    together = threading.Barrier(20)

    def visit(_):
        together.wait(SECONDS)
        with machine.use("a") as model:
            return id(model)

    with ThreadPoolExecutor(20) as pool:
        seen = set(pool.map(visit, range(20)))
    assert len(seen) == 1
    assert machine.events == ["load a"]
    assert machine.resident_bytes() == [("a", 100, False)]


def test_models_are_built_one_at_a_time():
    machine = Machine()
    machine.gate = threading.Event()
    with ThreadPoolExecutor(3) as pool:
        visits = [pool.submit(machine.touch, key) for key in "abc"]
        until(lambda: sum("waiting" in machine.status(key).detail for key in "abc") == 2)
        assert machine.building == 1
        machine.gate.set()
        for visit in visits:
            visit.result(SECONDS)
    assert machine.most_building == 1
    assert sorted(machine.resident()) == ["a", "b", "c"]


def test_helpers_end_before_the_next_has_the_device(monkeypatch):
    machine, done = Machine(), []
    monkeypatch.setattr(runtime, "release_helpers", lambda: done.append("release"))

    def second():
        with machine.use("a"):
            done.append("second")

    with ExitStack() as stack, machine.use("a"):
        stack.enter_context(running(second))
        until(lambda: machine.status("a").waiting == 1)
        done.append("first")
    assert done == ["first", "release", "second", "release"]


def test_the_measured_size_replaces_the_estimate():
    machine = Machine()
    machine.residency._load = lambda preset, folder, device: SimpleNamespace(memory_bytes=130)
    machine.touch("a")
    machine.residency._load = lambda preset, folder, device: "a model that does not know its size"
    machine.touch("b")
    assert machine.resident_bytes() == [("a", 130, False), ("b", 200, False)]


def test_the_family_names_its_loader(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setitem(residency.FAMILIES, "clip", "mmexplorer.hub:load_here")
    monkeypatch.setattr(hub, "load_here", lambda *given: calls.append(given) or "wrapper", raising=False)
    assert residency.load(row("a"), tmp_path, CPU) == "wrapper"
    assert calls == [(row("a"), tmp_path, CPU)]


# Eviction ------------------------------------------------------------------------------------------------------------


def test_the_least_recently_used_is_closed_before_the_next_is_loaded():
    machine = Machine(total=600)
    machine.touch("a", "b", "c", "a")  # full: a was used last, b is the oldest
    machine.events.clear()
    machine.touch("d")
    assert machine.events == ["close b", "release", "load d"]
    assert machine.resident() == ["c", "a", "d"]


def test_as_many_as_needed_are_evicted_and_no_more():
    machine = Machine(total=400)
    machine.touch("a", "b")
    machine.events.clear()
    machine.touch("c")  # 300 of 400, so both a and b have to go, or only b were it the oldest
    assert machine.events == ["close a", "release", "close b", "release", "load c"]


def test_without_a_budget_the_devices_free_memory_less_a_reserve_counts(monkeypatch):
    monkeypatch.delenv("MMEXPLORER_MEMORY_BUDGET", raising=False)
    machine = Machine(total=450, budget=None)
    machine.touch("a", "b")
    machine.events.clear()
    machine.touch("d")  # needs 150, and of the 150 free only 135 may be used
    assert machine.events == ["close a", "release", "load d"]
    machine.used += 100  # somebody else takes what is free
    machine.touch("e")
    assert machine.events[3:] == ["close b", "release", "load e"]


def test_the_budget_of_the_environment_counts(monkeypatch):
    monkeypatch.setenv("MMEXPLORER_MEMORY_BUDGET", "350")
    machine = Machine(total=10**9, budget=None)
    machine.touch("a", "b", "c")
    assert machine.resident() == ["c"]


def test_what_is_pinned_is_not_evicted():
    machine = Machine(total=400)
    with machine.use("a"):
        machine.touch("b")
        machine.touch("c")  # 300 more: b goes, a (older) stays
        assert machine.resident_bytes() == [("a", 100, True), ("c", 300, False)]
    assert "close a" not in machine.events


def test_pins_are_counted():
    machine = Machine()
    with machine.use("a"):
        with machine.use("a"):
            pass
        assert machine.resident_bytes() == [("a", 100, True)]
        with pytest.raises(Refusal, match="Model a is in use"):
            machine.residency.evict("a")
        assert machine.residency.evict() == []
    assert machine.resident_bytes() == [("a", 100, False)]
    assert machine.residency.evict("a") == ["a"]
    assert machine.residency.evict("a") == []
    machine.touch("a", "b")
    assert machine.residency.evict() == ["a", "b"]
    assert machine.used == 0


def test_an_evicted_model_is_really_gone():
    machine = Machine()
    with machine.use("a") as model:
        gone = weakref.ref(model)
    del model
    machine.residency.evict("a")
    gc.collect()
    assert gone() is None


def test_the_model_is_gone_when_the_device_is_asked_to_release_it():
    machine = Machine()
    with machine.use("a") as model:
        gone = weakref.ref(model)
    del model
    seen = []
    machine.residency._release = lambda device: (gc.collect(), seen.append(gone()))
    machine.residency.evict("a")
    assert seen == [None]


def test_a_model_bigger_than_the_budget_is_refused_and_evicts_nobody():
    machine = Machine()
    machine.touch("a")
    with pytest.raises(Refusal, match=r"Model huge does not fit .* needs about 10 kB and 1 kB is free on cpu"):
        machine.touch("huge")
    assert machine.events == ["load a"]
    assert machine.status("huge").stage == "failed"
    machine.touch("a")


def test_a_load_waits_until_others_let_go_of_the_memory():
    machine = Machine(total=400)
    user = ExitStack()
    user.enter_context(machine.use("b"))
    with running(machine.touch, "c") as outcome:
        until(lambda: "waiting for memory" in machine.status("c").detail)
        until(lambda: len(machine.residency._changed._waiters) == 1)
        assert machine.resident_bytes() == [("b", 200, True)]
        machine.events.clear()
        user.close()
    assert outcome == [None]
    assert machine.events == ["close b", "release", "load c"]


def test_who_waits_too_long_for_memory_is_told_so():
    machine = Machine(total=400, patience=0.05)
    with machine.use("b"), running(machine.touch, "c") as outcome:
        until(lambda: outcome)
    assert isinstance(outcome[0], Refusal)
    assert "Model c has to wait for models that others are using" in str(outcome[0])
    machine.touch("c")


def test_who_has_the_device_never_waits_for_memory():
    machine = Machine(total=400, patience=SECONDS * 10)

    def nested():
        with machine.use("b"), machine.use("c"):
            pass

    with running(nested) as outcome:
        pass
    assert isinstance(outcome[0], Refusal) and "has to wait for models" in str(outcome[0])
    assert machine.resident_bytes() == [("b", 200, False)]


# Faults --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [MemoryError, lambda: RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")])
def test_out_of_memory_once_evicts_all_unpinned_and_tries_again(fault):
    machine = Machine()
    machine.touch("a", "b")
    machine.events.clear()
    machine.faults = [fault()]
    machine.touch("c")
    assert machine.events[0] == "load c"
    assert sorted(machine.events[1:3]) == ["close a", "close b"]
    assert machine.events[3:] == ["release", "load c"]
    assert machine.resident() == ["c"]


def test_out_of_memory_twice_is_a_sentence_and_does_not_poison_the_next_try():
    machine = Machine()
    machine.touch("a")
    machine.faults = [MemoryError(), MemoryError()]
    with pytest.raises(Refusal, match=r"Model c does not fit into memory: it needs about 0 kB and 1 kB is free on cpu"):
        machine.touch("c")
    assert machine.events.count("load c") == 2
    assert machine.resident_bytes() == []
    assert machine.status("c").stage == "failed"
    machine.touch("c")
    assert machine.status("c").stage == "ready"


def test_what_was_built_before_running_out_is_released_before_the_second_try():
    machine = Machine()
    built = []

    def load(preset, folder, device):
        if built:
            gc.collect()
            machine.events.append("gone" if built[0]() is None else "still there")
            return Model(machine, preset.key)
        half = Model(machine, preset.key)
        built.append(weakref.ref(half))
        raise MemoryError

    machine.residency._load = load
    machine.touch("a")
    assert machine.events == ["release", "gone"]


def test_out_of_memory_while_working_is_a_sentence():
    machine = Machine()
    machine.touch("b")
    with pytest.raises(Refusal, match="Model a ran out of memory while working"), machine.use("a"):
        raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")
    assert machine.resident_bytes() == [("a", 100, False)]
    machine.touch("a")


def test_a_loader_that_raises_is_a_sentence_and_the_next_try_works():
    machine = Machine()
    machine.faults = [KeyError("weight")]
    with pytest.raises(Refusal, match=r"Model a could not be loaded \(KeyError\)") as caught:
        machine.touch("a")
    assert isinstance(caught.value.__cause__, KeyError)
    failed = machine.status("a")
    assert (failed.stage, failed.detail) == ("failed", str(caught.value))
    assert machine.resident_bytes() == []
    machine.touch("a")
    assert machine.status("a").stage == "ready"
    machine.residency.evict("a")
    assert machine.status("a").stage == "found"


def test_who_waits_for_a_load_that_fails_gets_the_sentence_too():
    machine = Machine()
    machine.faults, machine.gate = [ValueError("bad file")], threading.Event()
    with running(machine.touch, "a") as first:
        until(lambda: machine.events == ["load a"])
        with running(machine.touch, "a") as second:
            until(lambda: len(machine.residency._changed._waiters) == 1)
            machine.gate.set()
    assert isinstance(first[0], Refusal) and isinstance(second[0], Refusal)
    assert str(first[0]) == str(second[0])
    assert machine.events == ["load a"]


def test_a_refusal_of_the_disk_or_the_hub_passes_unchanged():
    machine = Machine()

    def fetch(preset, progress, stop):
        raise Refusal("Model a is gated.")

    machine.fetch = fetch
    with pytest.raises(Refusal, match=r"^Model a is gated\.$"):
        machine.touch("a")


@pytest.mark.parametrize("error", [ValueError("label"), Refusal("no."), KeyboardInterrupt()])
def test_an_error_in_the_block_passes_and_releases_pin_and_device(error):
    machine = Machine()
    with pytest.raises(type(error)) as caught, machine.use("a"):
        raise error
    assert caught.value is error
    assert machine.resident_bytes() == [("a", 100, False)]
    with running(machine.touch, "a") as outcome:
        pass
    assert outcome == [None]


def test_an_unknown_key_is_refused():
    for ask in (residency.use("toy-clop").__enter__, lambda: residency.status("toy-clop")):
        with pytest.raises(Refusal, match="toy-clip"):
            ask()


# The device ----------------------------------------------------------------------------------------------------------


def test_one_use_of_the_device_at_a_time_first_come_first_served():
    machine = Machine()
    order, inside = [], []

    def visit(number):
        with machine.use("ab"[number % 2]):
            inside.append(number)
            assert len(inside) == 1
            order.append(number)
            inside.clear()

    machine.touch("a", "b")
    threads = [threading.Thread(target=visit, args=(number,)) for number in range(6)]
    with machine.use("a"):
        for number, thread in enumerate(threads):
            thread.start()
            until(lambda number=number: machine.status("a").waiting == number + 1)
        assert order == []
    for thread in threads:
        thread.join(SECONDS)
    assert order == list(range(6))
    assert machine.status("a").waiting == 0


def test_while_one_model_loads_another_works():
    machine = Machine()
    machine.touch("a")
    machine.gate = threading.Event()
    with running(machine.touch, "b") as outcome:
        until(lambda: "load b" in machine.events)
        with machine.use("a"):
            pass
        assert not outcome
        machine.gate.set()


def test_uses_nest_and_the_device_is_free_after_the_outermost():
    machine = Machine()
    outer, inner = ExitStack(), ExitStack()
    first = outer.enter_context(machine.use("a"))
    other = inner.enter_context(machine.use("b"))
    again = inner.enter_context(machine.use("a"))
    assert first is again and first is not other
    with running(machine.touch, "a") as outcome:
        until(lambda: machine.status("a").waiting == 1)
        inner.close()
        assert machine.resident_bytes()[-1] == ("a", 100, True)
        assert not outcome
        outer.close()
    assert outcome == [None]


def test_a_generator_may_be_continued_and_ended_by_other_threads():
    machine = Machine()

    def handler():
        with machine.use("a"):
            yield "working"
            yield "still working"

    steps = handler()
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        assert first.submit(contextvars.copy_context().run, next, steps).result(SECONDS) == "working"
        # The first thread goes on with another visitor, who must wait although this thread took the lock.
        other = first.submit(contextvars.copy_context().run, machine.touch, "a")
        until(lambda: machine.status("a").waiting == 1)
        assert second.submit(contextvars.copy_context().run, next, steps).result(SECONDS) == "still working"
        assert not other.done()
        second.submit(contextvars.copy_context().run, steps.close).result(SECONDS)
        other.result(SECONDS)
    assert machine.resident_bytes() == [("a", 100, False)]


def test_a_visitor_who_leaves_while_waiting_for_the_device_goes_at_once():
    machine = Machine()
    stop = threading.Event()

    def visit():
        with machine.use("a", stop):
            pass

    with machine.use("a"), running(visit) as outcome:
        until(lambda: machine.status("a").waiting == 1)
        stop.set()
        until(lambda: outcome)
        assert machine.status("a").waiting == 0
    assert isinstance(outcome[0], hub.Stopped)
    assert machine.resident_bytes() == [("a", 100, False)]


# Status --------------------------------------------------------------------------------------------------------------


def test_status_tells_every_stage_while_another_thread_loads():
    machine = Machine()
    machine.on_disk, machine.gate = False, threading.Event()
    half = threading.Event()

    def fetch(preset, progress, stop):
        progress(25, 50)
        assert half.wait(SECONDS)
        progress(50, 50)
        return Path(preset.key)

    machine.fetch = fetch
    absent = machine.status("a")
    assert (absent.stage, absent.bytes_total) == ("absent", 50)
    assert absent.detail == "not on this disk, 0 kB to download"
    machine.begun = 20
    begun = machine.status("a")
    assert (begun.stage, begun.bytes_done, begun.bytes_total) == ("absent", 20, 50)
    assert begun.detail == "0 kB of 0 kB on this disk, the rest to download"
    with running(machine.touch, "a"):
        until(lambda: machine.status("a").stage == "downloading")
        now = machine.status("a")
        assert (now.bytes_done, now.bytes_total) == (25, 50)
        half.set()
        until(lambda: "load a" in machine.events)
        assert machine.status("a").stage == "loading"
        assert machine.status("a").detail == "loading onto cpu"
        machine.gate.set()
    assert machine.status("a").stage == "ready"
    machine.on_disk = True
    machine.residency.evict("a")
    assert machine.status("a").stage == "found"


def test_downloads_do_not_wait_for_each_other_or_for_the_device():
    machine = Machine()
    together = threading.Barrier(2)

    def fetch(preset, progress, stop):
        together.wait(SECONDS)
        return Path(preset.key)

    machine.fetch = fetch
    with running(machine.touch, "b") as one, running(machine.touch, "c") as other:
        pass
    assert one == other == [None]


def test_when_the_one_who_downloads_leaves_another_takes_over():
    machine = Machine()
    stop, calls = threading.Event(), []

    def fetch(preset, progress, given):
        calls.append(given)
        if given is stop:
            assert stop.wait(SECONDS)
            raise hub.Stopped("Stopped.")
        return Path(preset.key)

    machine.fetch = fetch

    def impatient():
        with machine.use("a", stop):
            pass

    with running(impatient) as first:
        until(lambda: calls)
        with running(machine.touch, "a") as second:
            until(lambda: len(machine.residency._changed._waiters) == 1)
            stop.set()
    assert isinstance(first[0], hub.Stopped)
    assert second == [None]
    assert calls == [stop, None]
    assert machine.status("a").stage == "ready"


def test_a_download_that_was_stopped_is_not_a_failure():
    machine = Machine()

    def fetch(preset, progress, stop):
        raise hub.Stopped("Stopped.")

    machine.fetch = fetch
    with pytest.raises(hub.Stopped):
        machine.touch("a")
    assert machine.status("a").stage == "found"


# Memory --------------------------------------------------------------------------------------------------------------


def test_before_the_first_load_no_device_is_asked():
    machine = Machine(device=None, budget=None)
    machine.residency._memory = None  # which would be called
    machine.status("a")
    assert machine.residency.memory() == Memory()


def test_the_memory_of_a_device_with_a_budget():
    machine = Machine(total=1000, budget=500)
    with machine.use("a"):
        machine.touch("b")
        memory = machine.residency.memory()
    assert (memory.device, memory.free, memory.total) == ("CPU", 700, 1000)
    assert (memory.budget, memory.taken) == (500, 300)
    assert [(model.key, model.in_use) for model in memory.models] == [("a", True), ("b", False)]


def test_without_a_budget_it_is_what_the_models_have_and_what_they_may_still_take():
    machine = Machine(total=1000, budget=None)
    machine.touch("b")
    assert machine.residency.memory().budget == 200 + 720  # nine tenths of the 800 that are free


def test_a_model_is_idle_since_its_last_use_ended(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(residency.time, "monotonic", lambda: now[0])
    machine = Machine()
    with machine.use("a"):
        now[0] = 50.0
        assert [(model.in_use, model.idle) for model in machine.residency.loaded()] == [(True, 0.0)]
    now[0] = 80.0
    machine.touch("b")
    assert [(model.key, model.in_use, model.idle) for model in machine.residency.loaded()] == [
        ("a", False, 30.0),
        ("b", False, 0.0),
    ]


# Several visitors ----------------------------------------------------------------------------------------------------


def as_caller(visitor, job, work, *arguments):
    """work as if that visitor's job did it."""

    def run():
        turns.caller.set(turns.Caller(visitor, job))
        return work(*arguments)

    return contextvars.Context().run(run)


def test_status_tells_a_job_how_many_come_first_and_for_how_long():
    machine = Machine()
    machine.touch("a")
    with ExitStack() as stack, machine.use("a"):
        stack.enter_context(running(as_caller, "anna", "1", machine.touch, "a"))
        until(lambda: machine.status("a").waiting == 1)
        mine, other = as_caller("anna", "1", machine.status, "a"), as_caller("anna", "2", machine.status, "a")
        assert (mine.ahead, other.ahead) == (1, 0)
        assert 0 <= mine.wait < SECONDS
    assert machine.status("a").ahead == 0


def test_jobs_of_a_visitor_that_wait_for_a_model_to_load_are_counted():
    machine = Machine()
    machine.gate = threading.Event()
    with ExitStack() as stack:
        for job in "123":
            stack.enter_context(running(as_caller, "anna", job, machine.touch, "a"))
        until(lambda: len(machine.residency._changed._waiters) == 2)
        with pytest.raises(Refusal, match="3 of your jobs"):
            as_caller("anna", "4", machine.touch, "a")
        machine.gate.set()
    assert as_caller("anna", "4", machine.touch, "a") is None


# ZeroGPU -------------------------------------------------------------------------------------------------------------


def forked(machine):
    def load(preset, folder, place):
        assert place.device == "cuda"
        machine.events.append(f"load {preset.key}")
        if machine.faults:
            raise machine.faults.pop(0)
        return Model(machine, preset.key)

    def untouchable(*_):
        raise AssertionError("the main process must not touch the GPU")

    return ForkedResidency(find=row, files=machine, load=load, place=laid_out, memory=untouchable, release=untouchable)


def test_zero_gpu_places_models_on_cuda_and_keeps_them():
    machine = Machine(total=0)
    lent = forked(machine)
    for key in ("a", "huge", "a"):
        with lent.use(key) as model:
            assert model.key == key
    assert machine.events == ["load a", "load huge"]
    assert lent.evict() == lent.evict("a") == []
    assert [model.key for model in lent.memory().models] == ["huge", "a"] and lent.memory().total == 0
    assert lent.status("a").stage == "ready"


def test_zero_gpu_out_of_memory_is_a_sentence():
    machine = Machine()
    lent = forked(machine)
    machine.faults = [MemoryError(), MemoryError()]
    with pytest.raises(Refusal, match="of the GPU lent to it"), lent.use("a"):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_works_with_the_models_while_the_parent_is_busy():
    machine = Machine()
    machine.touch("a")
    machine.gate = threading.Event()
    user = ExitStack()
    user.enter_context(machine.use("a"))
    with running(machine.touch, "b"):
        until(lambda: "load b" in machine.events)
        child = os.fork()
        if child == 0:  # the threads that held locks, loaded and waited do not exist here
            try:
                machine.residency.forget_threads()
                machine.gate.set()
                contextvars.Context().run(machine.touch, "a", "b")
                assert machine.events.count("load a") == 1
                assert sorted(machine.residency.evict()) == ["a", "b"]
                os._exit(0)
            except BaseException:
                os._exit(1)
        _, result = os.waitpid(child, 0)
        machine.gate.set()
        user.close()
    assert os.waitstatus_to_exitcode(result) == 0


def test_the_process_has_one_residency():
    assert residency.use.__self__ is residency.status.__self__ is residency.loaded.__self__ is residency.evict.__self__
    assert isinstance(residency.use.__self__, ForkedResidency) == runtime.zero_gpu()
    assert residency.loaded() == [] or residency.loaded()[0].memory_bytes > 0


@pytest.mark.gpu
def test_a_real_gpu_that_runs_out_of_memory():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")

    class Tensor:
        def __init__(self, size):
            self.memory_bytes = size
            self.tensor = torch.empty(size, dtype=torch.uint8, device="cuda")

    class Here:
        here = staticmethod(lambda preset: Path())
        fetch = staticmethod(lambda preset, progress, stop: Path())

    torch.cuda.empty_cache()
    free, total = runtime.memory("cuda")
    assert 0 < free <= total
    sizes = {"a": free // 2, "b": free // 2, "huge": 2 * total}
    lend = Residency("cuda", 10 * total, find=row, files=Here, load=lambda preset, *_: Tensor(sizes[preset.key]))
    with lend.use("a"):
        pass
    sizes["b"] = int(free * 0.7)  # within the budget, which lies, so only the GPU itself says no
    with lend.use("b"):
        assert bytes_in(lend) == [("b", sizes["b"], True)]
    with pytest.raises(Refusal, match="Model huge does not fit"), lend.use("huge"):
        pass
    assert bytes_in(lend) == []
    with lend.use("a"), pytest.raises(Refusal, match="ran out of memory while working"), lend.use("a"):
        torch.empty(2 * total, dtype=torch.uint8, device="cuda")
    lend.evict()
    assert runtime.memory("cuda")[0] > free * 0.95


# Placement -----------------------------------------------------------------------------------------------------------


def test_the_machine_is_told_as_if_no_model_were_in_memory():
    machine = Machine(total=1000)
    assert machine.residency.machine().room == 1000
    machine.touch("a")
    assert machine.residency.machine().room == 1000
    free = Machine(total=1000, budget=None)
    assert free.residency.machine().room == 900  # a tenth stays in reserve
    free.touch("a")
    assert free.residency.machine().room == 810 + 100
    assert free.residency.placement("huge").verdict == placement.TOO_BIG


def test_further_gpus_and_main_memory_count_for_a_gpu(monkeypatch):
    monkeypatch.setattr(residency.nvidia, "cards", lambda: ((1, 1), (500, 600), (700, 800)))
    memory = {"cuda": (400, 1000), "cpu": (2000, 3000)}
    gpus = Residency("cuda", find=row, memory=memory.get, place=laid_out)
    told = gpus.machine()
    assert (told.device, told.room, told.other_gpus, told.main_memory) == ("cuda", 360, (450, 630), 1800)


def test_the_loader_is_told_how_the_model_is_laid_out():
    machine = Machine()
    told = []
    machine.residency._load = lambda preset, folder, place: told.append(place) or Model(machine, preset.key)
    machine.touch("b")
    assert told == [Placement("cpu", memory_bytes=200)]


def test_what_would_not_fit_is_not_downloaded():
    machine = Machine()
    machine.on_disk = False
    machine.fetch = lambda preset, progress, stop: machine.events.append("fetch") or Path(preset.key)
    with pytest.raises(Refusal, match="Model huge is not downloaded, since it does not fit"):
        machine.touch("huge")
    assert machine.events == []
    machine.touch("a")
    assert machine.events == ["fetch", "load a"]
