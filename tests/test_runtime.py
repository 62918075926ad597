import platform
import random
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mmexplorer import runtime
from mmexplorer.errors import Refusal

VARIABLES = (
    "MMEXPLORER_DEVICE",
    "MMEXPLORER_MEMORY_BUDGET",
    "MMEXPLORER_OFFLINE",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "SPACES_ZERO_GPU",
    "SYSTEM",
)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("6GB", 6_000_000_000),
        ("512MB", 512_000_000),
        (" 512 mb ", 512_000_000),
        ("1.5GiB", 1_610_612_736),
        ("2g", 2_000_000_000),
        ("1Ki", 1024),
        ("1000000", 1_000_000),
    ],
)
def test_sizes_are_read(text, size):
    assert runtime.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "lots", "6 gigs", "-1GB", "GB", "0GB", "1e9", "nan", "6GB 5MB", "1iB", "1,5GB"])
def test_nonsense_is_not_a_size(text):
    with pytest.raises(Refusal, match="is not a size"):
        runtime.parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 kB"), (16_000_000, "16 MB"), (1_710_540_580, "1.7 GB"), (605_157_884, "605 MB")]
)
def test_sizes_are_written(size, text):
    assert runtime.size_text(size) == text


def test_the_budget_comes_from_the_environment(monkeypatch):
    assert runtime.memory_budget() is None
    monkeypatch.setenv("MMEXPLORER_MEMORY_BUDGET", "2GB")
    assert runtime.memory_budget() == 2_000_000_000
    monkeypatch.setenv("MMEXPLORER_MEMORY_BUDGET", "plenty")
    with pytest.raises(Refusal, match="'plenty' is not a size"):
        runtime.memory_budget()


@pytest.fixture
def machine(monkeypatch):
    """Pretend that torch sees these devices."""
    import torch

    def has(cuda=0, mps=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return has


def test_the_best_device_is_chosen(machine):
    machine()
    assert runtime.device() == "cpu"
    machine(mps=True)
    assert runtime.device() == "mps"
    machine(cuda=1)
    assert runtime.device() == "cuda"


def test_the_environment_decides_on_the_device(machine, monkeypatch):
    machine(cuda=2)
    for wanted in ("cpu", "cuda", "cuda:1"):
        monkeypatch.setenv("MMEXPLORER_DEVICE", wanted)
        assert runtime.device() == wanted


@pytest.mark.parametrize("wanted", ["gpu", "cpu:0", "cuda:x", "cuda:-1", "mps:1", "; rm -rf"])
def test_a_device_that_does_not_exist_is_refused(machine, monkeypatch, wanted):
    machine(cuda=1, mps=True)
    monkeypatch.setenv("MMEXPLORER_DEVICE", wanted)
    with pytest.raises(Refusal, match="it can be cpu, cuda"):
        runtime.device()


@pytest.mark.parametrize("wanted", ["cuda", "cuda:0", "mps"])
def test_a_device_that_is_not_here_is_refused(machine, monkeypatch, wanted):
    machine()
    monkeypatch.setenv("MMEXPLORER_DEVICE", wanted)
    with pytest.raises(Refusal, match=f"asks for {wanted}"):
        runtime.device()
    if wanted == "cuda:0":
        machine(cuda=1)
        monkeypatch.setenv("MMEXPLORER_DEVICE", "cuda:1")
        with pytest.raises(Refusal, match="does not have"):
            runtime.device()


def test_number_formats(monkeypatch):
    import torch

    for device in ("cpu", "mps", "cuda"):
        assert runtime.dtype(device, 32) == torch.float32
    assert runtime.dtype("cpu", 16) == torch.bfloat16
    assert runtime.dtype("mps") == torch.float16
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert runtime.dtype("cuda") == torch.bfloat16
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert runtime.dtype("cuda:1") == torch.float16


def machine_memory(monkeypatch, available, total):
    monkeypatch.setattr(runtime.psutil, "virtual_memory", lambda: SimpleNamespace(available=available, total=total))


def test_memory_of_a_cpu_without_a_container(monkeypatch):
    machine_memory(monkeypatch, 6_000, 8_000)
    monkeypatch.setattr(runtime, "_container_memory", lambda: (None, 0))
    assert runtime.memory("cpu") == (6_000, 8_000)


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [(4_000, 1_000, (3_000, 4_000)), (20_000, 1_000, (6_000, 8_000)), (4_000, 5_000, (0, 4_000))],
)
def test_a_containers_limit_counts(monkeypatch, limit, used, expected):
    machine_memory(monkeypatch, 6_000, 8_000)
    monkeypatch.setattr(runtime, "_container_memory", lambda: (limit, used))
    assert runtime.memory("cpu") == expected


def control_group(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_control_groups_are_read(tmp_path):
    assert runtime._container_memory(tmp_path) == (None, 0)
    control_group(
        tmp_path / "memory",
        memory__limit_in_bytes="9000\n",
        memory__usage_in_bytes="5000\n",
        memory__stat="cache 3000\ntotal_inactive_file 2500\n",
    )
    assert runtime._container_memory(tmp_path) == (9000, 2500)
    control_group(
        tmp_path, memory__max="8000\n", memory__current="5000\n", memory__stat="anon 100\ninactive_file 4000\n"
    )
    assert runtime._container_memory(tmp_path) == (8000, 1000)


def test_a_control_group_without_a_limit(tmp_path):
    control_group(tmp_path, memory__max="max\n", memory__current="5000\n", memory__stat="inactive_file 4000\n")
    control_group(
        tmp_path / "memory",
        memory__limit_in_bytes="9223372036854771712\n",
        memory__usage_in_bytes="5000\n",
        memory__stat="total_inactive_file 0\n",
    )
    assert runtime._container_memory(tmp_path) == (None, 0)


def test_memory_of_this_machine():
    free, total = runtime.memory("cpu")
    assert 0 < free < total


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("size mismatch for weight"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_running_out_of_memory_is_recognised(error, expected):
    assert runtime.out_of_memory(error) is expected


def test_torchs_own_errors_are_recognised():
    import torch

    assert runtime.out_of_memory(torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert runtime.out_of_memory(caught.value)


@pytest.mark.parametrize("name", ["MMEXPLORER_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline(monkeypatch, name):
    assert not runtime.offline()
    monkeypatch.setenv(name, "0")
    assert not runtime.offline()
    monkeypatch.setenv(name, "1")
    assert runtime.offline()


def test_spaces(monkeypatch):
    assert not runtime.on_space() and not runtime.zero_gpu()
    monkeypatch.setenv("SYSTEM", "spaces")
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert runtime.on_space() and runtime.zero_gpu()
    assert runtime.device() == "cuda"


def test_work_is_wrapped_only_where_a_gpu_is_lent(monkeypatch):
    asked = []

    def lend(duration):
        asked.append(duration)
        return lambda work: lambda *given: ("lent", work(*given))

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=lend))
    assert runtime.gpu(len) is len
    monkeypatch.setenv("SPACES_ZERO_GPU", "1")
    assert runtime.gpu(len, seconds=20)("abc") == ("lent", 3)
    assert asked == [20]


def test_the_seed_decides_every_draw():
    import torch

    def draw():
        runtime.seed_everything(7)
        return random.random(), np.random.rand(), torch.rand(1).item()

    assert draw() == draw()
    runtime.seed_everything(2**40)  # numpy alone would refuse so large a seed


def test_helpers_of_the_calling_thread_end_and_come_back():
    code = """
import os, torch
from mmexplorer import runtime

def threads():
    return len(os.listdir("/proc/self/task"))

torch.set_num_threads(3)
alone = threads()
numbers = torch.ones(1_000_000)
first = (numbers * 2).sum().item()
helped = threads()
runtime.release_helpers()
released = threads()
assert (numbers * 2).sum().item() == first
print(helped - alone, released - alone, threads() - alone)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "0", "2"]


def test_nothing_is_released_where_torch_is_not_loaded_or_has_another_openmp(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(__file__=str(tmp_path / "torch" / "__init__.py")))
    runtime.release_helpers()
    monkeypatch.delitem(sys.modules, "torch")
    runtime.release_helpers()
    assert "torch" not in sys.modules


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps what is freed")
def test_freed_memory_below_a_block_in_use_goes_back_to_the_system():
    blocks = """if True:
        import psutil
        from mmexplorer import runtime

        def resident():
            return psutil.Process().memory_info().rss / 1e6

        blocks = [b"x" * 65_536 for _ in range(4_000)]
        del blocks[:-1]
        freed = resident()
        runtime.release_memory("cpu")
        print(freed - resident())
    """
    given_back = subprocess.run([sys.executable, "-c", blocks], capture_output=True, text=True, check=True).stdout
    assert float(given_back) > 200  # of 262 MB


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has a heap for each thread")
def test_threads_share_two_heaps(tmp_path):
    heaps = """if True:
        import ctypes, sys, threading
        from mmexplorer import runtime

        if sys.argv[2] == "shared":
            runtime.share_heaps()
        held = threading.Barrier(9)

        def take():
            block = bytes(60_000)
            held.wait()

        for _ in range(8):
            threading.Thread(target=take).start()
        libc = ctypes.CDLL(None)
        libc.fopen.restype = ctypes.c_void_p
        file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
        libc.malloc_info(0, file)
        libc.fclose(file)
        held.wait()
    """
    told = tmp_path / "heaps.xml"
    counts = []
    for how in ("shared", "own"):
        subprocess.run([sys.executable, "-c", heaps, str(told), how], check=True, env={"OPENBLAS_NUM_THREADS": "1"})
        counts.append(told.read_text().count("<heap nr="))
    assert counts[0] == 2 < counts[1]


def test_the_heap_is_tidied_now_and_then(monkeypatch):
    times, trims = iter([100.0, 101.0, 129.9, 130.0, 131.0]), []
    monkeypatch.setattr(runtime, "_tidied", 0.0)
    monkeypatch.setattr(runtime.time, "monotonic", lambda: next(times))
    monkeypatch.setattr(runtime, "_trim_heap", lambda: trims.append(1))
    done = []
    for _ in range(5):
        runtime.tidy_heap()
        done.append(len(trims))
    assert done == [1, 1, 1, 2, 2]
