"""Asks models everything on one or two imaginary GPUs, and fails where an answer is another than in main memory.

Run by test_several_gpus in a process of its own: on_imaginary_gpus.py llava|diffusion FOLDER
"""

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).parent


def module(path):
    """A module of the tests by its file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


gpus = module(HERE.with_name("imaginary_gpus.py"))  # before all that it changes torch for

import accelerate  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

FIRST, SECOND = f"{gpus.NAME}:0", f"{gpus.NAME}:1"
LANGUAGE = "model.language_model."
EARLY = ("model.vision_tower", "model.multi_modal_projector", LANGUAGE + "embed_tokens", LANGUAGE + "layers.0")
LATE = (*(LANGUAGE + part for part in ("layers.1", "layers.2", "norm", "rotary_emb")), "lm_head")


def chats(folder):
    """LLaVAs over two GPUs, and with layers that wait in main memory for one."""
    build, asked = module(HERE / "conftest.py"), module(HERE / "test_llava_loading.py")
    asked.llava_probes.gradient_rows = lambda *_: np.zeros(1)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (100, 200, 3), dtype=np.uint8))
    turns = [asked.Turn("user", "is there a red circle ?", (picture,))]
    for name in ("llava", "llava_next", "onevision"):
        saved = getattr(build, f"build_{name}")(folder / name)
        expected = asked.everything(asked.load(asked.PRESET, saved, asked.CPU), turns)
        for late in (SECOND, "cpu"):
            chat = asked.load(asked.PRESET, saved, asked.CPU)
            places = dict.fromkeys(EARLY, FIRST) | dict.fromkeys(LATE, late)
            if name != "llava":
                places["model.image_newline"] = FIRST
            with gpus.Gpus():
                accelerate.dispatch_model(chat.model, places, skip_keys=chat.model._skip_keys_device_placement)
                assert chat.model.lm_head.weight.device.type == (gpus.NAME if late == SECOND else "meta")
                found = asked.everything(chat, turns)
            for key, value in expected.items():
                if value.dtype.kind == "f":  # tables and matrices may be multiplied otherwise
                    np.testing.assert_allclose(found[key], value, atol=1e-5, err_msg=f"{name} {late} {key}")
                else:
                    assert np.array_equal(found[key], value), (name, late, key)


def drawings(folder):
    """Pipelines whose parts take turns on one GPU."""
    import accelerate.hooks
    from diffusers.pipelines import pipeline_utils

    from mmexplorer.models import diffusion, diffusion_batch, diffusion_stepwise, diffusion_vae_memory

    asked, tiny = module(HERE / "test_diffusion_loading.py"), module(HERE.with_name("tiny_pipelines.py"))
    pipeline_utils.empty_device_cache = accelerate.hooks.clear_device_cache = lambda *_: None
    diffusion_vae_memory.free_memory = lambda device: 10**12
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # numbers cannot move into a tensor elsewhere
    diffusion.stepwise = diffusion_batch.stepwise = lambda work: diffusion_stepwise.stepwise(within(work))

    def within(work):
        def working(report):  # in another thread, which has its own mode
            with gpus.Gpus():
                return work(report)

        return working

    def places(painter):
        return [next(getattr(painter.pipe, part).parameters()).device.type for part in ("text_encoder", network, "vae")]

    for name in ("sd", "sd3"):
        saved = tiny.save(name, folder / name)
        network = "unet" if name == "sd" else "transformer"
        plain = asked.load(asked.PRESET, saved, asked.CPU)
        plain.pipe.to("cpu:0")
        with gpus.Gpus():
            painter = asked.load(asked.PRESET, saved, asked.OFFLOADED)
            painter.pipe.enable_model_cpu_offload(device=FIRST)
            told = [(event, places(painter)) for event in asked.events(painter)]
            drawing, seen = told[-1][0].drawing, [places for _, places in told]
            *_, last = asked.batch(painter)
            decoded = painter.decode([drawing.steps[0].clean])
            assert seen[1:-1] == [["cpu", gpus.NAME, "cpu"]] * (len(seen) - 2), name
            assert seen[-1] == places(painter) == ["cpu"] * 3, name
        expected = asked.drawn(plain)
        *_, other = asked.batch(plain)
        pairs = [(drawing.image, expected.image), *zip(last.pictures, other.pictures, strict=True)]
        pairs += zip(decoded, plain.decode([expected.steps[0].clean]), strict=True)
        assert all(np.abs(np.asarray(a).astype(int) - np.asarray(b)).max() <= 1 for a, b in pairs), name


if __name__ == "__main__":
    # Fused attention has no kernels for devices that are not there.
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        {"llava": chats, "diffusion": drawings}[sys.argv[1]](Path(sys.argv[2]))
    print("the same")
