from dataclasses import replace

import pytest

from mmexplorer.placement import (
    ACTIVATIONS,
    FITS,
    OFFLOAD,
    SEVERAL_GPUS,
    SLOW,
    TOO_BIG,
    WHOLE,
    Machine,
    memory_bytes,
    place,
)
from mmexplorer.presets import preset, presets

GB = 10**9
# A model of a billion parameters: with activations 4.8 GB in 32 bits and 2.4 in 16. In four bits 0.6 billion stay in
# 16, and 0.4 take 0.52 bytes each: 1.2 * (1.2 + 0.208) = 1.69 GB.
LLAVA = replace(preset("llava-1.5-7b"), parameters=GB, tier="cpu")
CLIP = replace(preset("clip-vit-base-patch32"), parameters=GB)
DIFFUSION = replace(preset("sd-turbo"), parameters=GB)


def laid_out(row, room, device="cuda", **more):
    placed = place(row, Machine(device, int(room * GB), **more))
    return placed.verdict, placed.bits, placed.spread, round(placed.memory_bytes / GB, 3)


def test_the_bytes_of_each_format():
    assert [memory_bytes(LLAVA, bits) for bits in (32, 16, 4)] == [4_800_000_000, 2_400_000_000, 1_689_600_000]


def test_on_a_processor_a_model_computes_in_32_bits_or_else_in_16_or_not_at_all():
    assert laid_out(LLAVA, 4.8, "cpu") == (FITS, 32, WHOLE, 4.8)
    assert laid_out(LLAVA, 4.7, "cpu") == (FITS, 16, WHOLE, 2.4)
    assert laid_out(LLAVA, 2.3, "cpu") == (TOO_BIG, 32, WHOLE, 2.4)
    assert laid_out(DIFFUSION, 5.7, "cpu") == (FITS, 16, WHOLE, 2.9)
    # Four bits and waiting in main memory are for GPUs.
    assert laid_out(LLAVA, 2.3, "cpu", main_memory=100 * GB, four_bit=True) == (TOO_BIG, 32, WHOLE, 2.4)


def test_what_is_made_for_a_gpu_is_slow_without_one():
    assert laid_out(replace(LLAVA, tier="gpu"), 5, "cpu")[0] == SLOW
    assert laid_out(replace(LLAVA, tier="gpu"), 5, "mps")[0] == FITS


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1", "mps"])
def test_a_clip_always_computes_in_32_bits(device):
    assert laid_out(CLIP, 4.8, device) == (FITS, 32, WHOLE, 4.8)
    assert laid_out(CLIP, 4.7, device, main_memory=100 * GB, four_bit=True)[0] == TOO_BIG


def test_four_bits_of_published_models():
    # Counted in transformers' models of the published configs: language model's linear layers at 4 bits, 1 byte of
    # scale for 64 weights and 4 for 256 scales, the rest at 16 bits.
    for key, weights in (("llava-v1.6-mistral-7b", 4.775), ("llava-1.5-7b", 4.516), ("llava-onevision-0.5b", 1.256)):
        assert memory_bytes(preset(key), 4) / ACTIVATIONS["llava"] / GB == pytest.approx(weights, rel=0.08)


def test_a_gpu_that_is_too_small_asks_others_then_takes_four_bits_then_main_memory():
    others = {"other_gpus": (GB, GB)}
    assert laid_out(LLAVA, 2.4, **others) == (FITS, 16, WHOLE, 2.4)
    # 2.4 GB over 1 + 1 + 1: each its third.
    assert laid_out(LLAVA, 1, **others, four_bit=True) == (FITS, 16, SEVERAL_GPUS, 0.8)
    assert laid_out(LLAVA, 1.7, four_bit=True) == (FITS, 4, WHOLE, 1.69)
    assert laid_out(LLAVA, 1, main_memory=int(1.4 * GB), four_bit=True) == (SLOW, 16, OFFLOAD, 1)
    assert laid_out(LLAVA, 1, main_memory=int(1.4 * GB)) == (SLOW, 16, OFFLOAD, 1)
    assert laid_out(LLAVA, 1, main_memory=int(1.3 * GB)) == (TOO_BIG, 16, WHOLE, 2.4)


def test_several_gpus_need_room_for_whole_layers():
    assert laid_out(LLAVA, 1, other_gpus=(int(1.53 * GB),))[2] == SEVERAL_GPUS  # 2.4 of 2.53 GB
    assert laid_out(LLAVA, 1, other_gpus=(int(1.52 * GB),))[0] == TOO_BIG


def test_the_most_weights_of_each_gpu_leave_room_to_compute():
    # 1.2 bytes of room for each byte of weights, and the numbers of the GPUs besides the first choice.
    placed = place(LLAVA, Machine("cuda:1", int(1.2 * GB), other_gpus=(int(0.6 * GB), 3 * GB), main_memory=5 * GB))
    assert placed.max_memory == {1: GB, 0: GB // 2, 2: int(2.5 * GB), "cpu": 5 * GB}
    placed = place(LLAVA, Machine("cuda", int(1.2 * GB), other_gpus=(GB // 2,), main_memory=5 * GB))
    assert placed.spread == OFFLOAD and placed.max_memory == {0: GB, "cpu": 5 * GB}
    assert place(LLAVA, Machine("cuda", 10 * GB)).max_memory == {}


def test_a_pipeline_waits_in_main_memory_if_its_largest_part_fits_the_gpu():
    # The largest part counts as nine tenths of 2.9 GB; all of it has to fit into main memory.
    assert laid_out(DIFFUSION, 2.7, main_memory=int(2.9 * GB)) == (SLOW, 16, OFFLOAD, 2.61)
    assert laid_out(DIFFUSION, 2.1, main_memory=100 * GB)[0] == TOO_BIG
    assert laid_out(DIFFUSION, 2.7, main_memory=int(2.8 * GB), four_bit=True)[0] == TOO_BIG


def test_the_reason_names_the_bytes():
    reason = place(LLAVA, Machine("cpu", 2 * GB)).reason
    assert reason == "it needs about 2.4 GB of memory, and models may take 2.0 GB here"
    assert place(LLAVA, Machine("cpu", 5 * GB)).reason == ""


def test_every_checkpoint_can_be_laid_out_and_the_toys_fit_everywhere():
    for device in ("cpu", "cuda", "mps"):
        for row in presets():
            assert place(row, Machine(device, 10**15)).verdict in (FITS, SLOW)
            assert place(row, Machine(device, 0)).verdict == TOO_BIG
        assert all(place(row, Machine(device, 20_000_000)).verdict == FITS for row in presets() if row.is_local)


def test_the_reason_says_what_was_given_up():
    large = replace(LLAVA, tier="gpu")
    assert place(large, Machine("cpu", 5 * GB)).reason == "it is made for a GPU"
    halved = "it is made for a GPU, and fits only with 16 bits for each number"
    assert place(large, Machine("cpu", 3 * GB)).reason == halved
    four = Machine("cuda", 2 * GB, four_bit=True)
    assert place(LLAVA, four).reason == "with 4 bits for each number of its weights"
