"""The recipe: what a step learns from, resuming, snapshots, and quick runs to a pipeline that diffusers loads."""

import json

import pytest
import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from transformers.modeling_outputs import BaseModelOutput

from mmexplorer.presets import preset
from mmexplorer.training import diffusion
from mmexplorer.training.clip_naming import SHAPE_IDS
from mmexplorer.training.diffusion import LEARNING_RATE
from mmexplorer.training.diffusion_denoise import DenoiseRun, chances, export
from mmexplorer.training.diffusion_latents import Latents
from mmexplorer.training.diffusion_vae import VaeRun, load_vae

CLIP = preset("toy-clip").path
SCENES = diffusion.QUICK_SCENES


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Sums in the same order in every run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the quick runs of all stages."""
    folder = tmp_path_factory.mktemp("diffusion")
    places = ["--vae", folder / "vae", "--latents", folder / "latents", "--threads", 1, "--quick"]
    for stage in ("vae", "latents", "denoise"):
        run = ["--stage", stage, "--run", folder / stage if stage != "latents" else folder / "none"]
        diffusion.main([*map(str, [*run, *places]), *(["--keep", "2"] if stage == "denoise" else [])])
    diffusion.main([*map(str, ["--run", folder / "denoise", *places, "--export", 2, folder / "early"])])
    return folder


def denoise_run(folder, latents, steps=4):
    return DenoiseRun(folder, steps, 4, LEARNING_RATE["denoise"], latents, SCENES, CLIP, [2])


def test_a_quick_run_ends_with_a_pipeline_of_small_files_that_diffusers_loads(trained):
    model = trained / "denoise" / "model"
    assert all(path.stat().st_size < 10_000_000 for path in model.rglob("*") if path.is_file())
    pipeline = DiffusionPipeline.from_pretrained(model)
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline("a red circle", num_inference_steps=2, guidance_scale=2.0).images[0]
    assert picture.size == (64, 64)
    lines = [json.loads(line) for line in (trained / "denoise" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4] and all(line["loss"] > 0 for line in lines)
    facts = json.loads((model / "training.json").read_text())
    [run] = facts["runs"]
    assert run["log"] == lines and facts["step"] == 4 and run["settings"]["stage"] == "denoise"
    [run] = json.loads((trained / "early" / "training.json").read_text())["runs"]
    assert [line["step"] for line in run["log"]] == [2]
    colours = json.loads((model / "latent_rgb.json").read_text())
    assert torch.tensor(colours["weight"]).shape == (4, 3) and len(colours["bias"]) == 3


def test_the_pipeline_holds_the_averaged_weights_and_a_snapshot_those_of_its_step(trained):
    last = torch.load(trained / "denoise" / "checkpoint.pt", weights_only=True)["modules"]["average unet"]
    early = torch.load(trained / "denoise" / "snapshot-2.pt", weights_only=True)["unet"]
    for folder, weights in ((trained / "denoise" / "model", last), (trained / "early", early)):
        unet = DiffusionPipeline.from_pretrained(folder).unet
        for name, value in unet.state_dict().items():
            assert torch.equal(value.half(), weights[name].half())
    assert any(not torch.equal(value.half(), early[name]) for name, value in last.items())


def test_prompts_are_encoded_in_training_as_in_the_pipeline(trained):
    run = denoise_run(trained / "denoise", trained / "latents")
    pipeline = DiffusionPipeline.from_pretrained(trained / "denoise" / "model")
    text = pipeline.tokenizer.decode(run.data.ids[0, 0], skip_special_tokens=True)
    prompt, negative = pipeline.encode_prompt(text, "cpu", 1, True)
    average = run.averages["text_encoder"]
    with torch.no_grad():
        expected = average(run.data.ids[0, :1].long()).last_hidden_state
        empty = average(run.empty).last_hidden_state
    torch.testing.assert_close(prompt, expected, atol=2e-3, rtol=0)  # the pipeline's are the same in half precision
    torch.testing.assert_close(negative, empty, atol=2e-3, rtol=0)


@pytest.mark.parametrize("stage", ["vae", "denoise"])
def test_a_run_that_was_interrupted_ends_as_one_that_was_not(trained, tmp_path, stage):
    def begin():
        if stage == "vae":
            return VaeRun(tmp_path, 4, 4, LEARNING_RATE["vae"])
        return denoise_run(tmp_path, trained / "latents")

    begin().train(every=2, until=2)
    resumed = begin()
    assert resumed.step == 2
    resumed.train(every=2)
    whole = torch.load(trained / stage / "checkpoint.pt", weights_only=True)["modules"]
    again = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["modules"]
    for module, weights in whole.items():
        for name, value in weights.items():
            assert torch.equal(value, again[module][name]), f"{module} {name}"


def test_a_run_can_start_from_anothers_averages_and_learn_names_too(trained, tmp_path):
    first = torch.load(trained / "denoise" / "checkpoint.pt", weights_only=True)["modules"]
    run = DenoiseRun(tmp_path, 4, 4, 1e-3, trained / "latents", SCENES, CLIP, [], 0.5, start=trained / "denoise")
    for name, value in run.unet.state_dict().items():
        assert torch.equal(value, first["average unet"][name])
        assert torch.equal(value, run.averages["unet"].state_dict()[name])
    before = [head.weight.detach().clone() for head in run.naming.heads]
    run.train(every=2, until=2)
    assert all(not torch.equal(old, head.weight) for old, head in zip(before, run.naming.heads, strict=True))
    export(tmp_path, None, trained / "vae", CLIP, tmp_path / "model")
    facts = json.loads((tmp_path / "model" / "training.json").read_text())
    assert facts["step"] == 4 + 2 and [run["log"][-1]["step"] for run in facts["runs"]] == [4, 2]
    again = DenoiseRun(tmp_path, 4, 4, 1e-3, trained / "latents", SCENES, CLIP, [], 0.5, start=trained / "denoise")
    assert again.step == 2 and torch.equal(again.naming.heads[0].weight, run.naming.heads[0].weight)
    with pytest.raises(SystemExit, match="other settings"):
        DenoiseRun(tmp_path, 4, 4, 1e-3, trained / "latents", SCENES, CLIP, [])


def test_a_checkpoint_of_other_settings_is_refused(trained):
    with pytest.raises(SystemExit, match="other settings"):
        denoise_run(trained / "denoise", trained / "latents", steps=5)


def test_too_few_scenes_are_refused(trained):
    with pytest.raises(SystemExit, match=f"holds {SCENES} of the {SCENES + 1}"):
        DenoiseRun(trained / "new", 4, 4, 1e-3, trained / "latents", SCENES + 1, CLIP, [])


def test_latents_have_unit_variance_and_are_those_of_the_autoencoder(trained):
    run = denoise_run(trained / "denoise", trained / "latents")
    vae = load_vae(trained / "vae")
    assert run.data.latents.float().std().item() == pytest.approx(1, abs=0.25)
    assert run.data.latents.shape == (SCENES, 4, vae.config.sample_size // 4, vae.config.sample_size // 4)


class Watcher(torch.nn.Module):
    """Stands for the UNet: predicts zero, and remembers what it was given."""

    def forward(self, sample, timesteps, context):
        self.given = sample, timesteps, context
        return BaseModelOutputWithSample(torch.zeros_like(sample))


class BaseModelOutputWithSample:
    def __init__(self, sample):
        self.sample = sample


class Names(torch.nn.Module):
    """Stands for the text encoder: its output is the ids themselves."""

    def forward(self, ids):
        return BaseModelOutput(last_hidden_state=ids)


@pytest.fixture
def watched(trained):
    """A run of 1000 equal latents of unit size whose networks only watch."""
    run = denoise_run(trained / "denoise", trained / "latents")
    run.size, run.unet, run.text_encoder = 1000, Watcher(), Names()
    run.data = Latents(torch.ones(2, 4, 16, 16, dtype=torch.float16), run.data.ids[:2], run.data.names[:2])
    run.chances = torch.ones(2)
    return run


def test_the_loss_is_the_error_of_the_velocity_that_diffusers_defines(watched):
    loss = watched.loss(7)
    sample, t, _ = watched.unet.given
    scheduler = DDIMScheduler(beta_schedule="squaredcos_cap_v2")
    share = scheduler.alphas_cumprod[t, None, None, None]
    noise = (sample - share.sqrt()) / (1 - share).sqrt()
    some = t > 100  # where the sample is mostly signal, the noise cannot be computed from it
    assert noise[some].std().item() == pytest.approx(1, abs=0.01)
    latents = torch.ones_like(noise)
    torch.testing.assert_close(scheduler.add_noise(latents, noise, t)[some], sample[some])
    errors = scheduler.get_velocity(latents, noise, t).square().mean((1, 2, 3))
    ratio = (share / (1 - share)).flatten()
    weights = torch.where(ratio + 1 < 5, 1.0, 5 / (ratio + 1))
    # In the low noise left out of the check above, weights are small.
    assert loss.item() == pytest.approx((weights * errors).mean().item(), rel=1e-3)


def test_timesteps_cover_the_schedule_evenly_and_follow_from_the_step(watched):
    watched.loss(7)
    first = watched.unet.given[1]
    assert first.tolist() == list(range(1000))  # one of each of a thousand ranges
    assert torch.equal(watched.loss(7), watched.loss(7)) and not torch.equal(watched.loss(7), watched.loss(8))


def test_a_shift_moves_timesteps_to_more_noise(watched):
    watched.shift = 3.0
    watched.loss(7)
    t = watched.unet.given[1]
    # Half of them above 3 * 0.5 / (1 + 2 * 0.5) = 0.75 of the schedule, a tenth below 0.25.
    assert (t >= 750).float().mean().item() == pytest.approx(0.5, abs=0.002)
    assert (t < 250).float().mean().item() == pytest.approx(0.1, abs=0.002)


def test_a_tenth_of_the_captions_is_dropped(watched):
    watched.loss(7)
    ids = watched.unet.given[2]
    dropped = (ids == watched.empty).all(1)
    assert dropped.float().mean().item() == pytest.approx(0.1, abs=0.03)
    known = {tuple(row) for row in watched.data.ids.flatten(0, 1).tolist()}
    assert {tuple(row) for row in ids[~dropped].tolist()} <= known


def test_scenes_with_a_shape_come_as_often_as_asked_for(watched):
    names = torch.zeros(4, 2, 64, dtype=torch.uint8)  # of nothing, an arrow, a ring, and both
    names[1, 0, 5] = names[3, 0, 9] = SHAPE_IDS["arrow"]
    names[2, 0, 0] = names[3, 0, 63] = SHAPE_IDS["ring"]
    watched.chances = chances(names, {"arrow": 4.0, "ring": 2.0})
    assert watched.chances.tolist() == [1, 4, 2, 4]
    # The latents say which scene was drawn: the signal of the first timesteps is all of them.
    latents = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 4, 16, 16)
    watched.data = Latents(latents, watched.data.ids[:1].repeat(4, 1, 1), names)
    watched.size, watched.shift = 8000, 1e-6
    watched.loss(7)
    drawn = watched.unet.given[0].mean((1, 2, 3)).round().long()
    counts = torch.bincount(drawn, minlength=4) / 8000
    torch.testing.assert_close(counts, torch.tensor([1, 4, 2, 4]) / 11, atol=0.02, rtol=0)


def test_a_shape_that_is_none_cannot_come_more_often(capsys):
    with pytest.raises(SystemExit):
        diffusion.main(["--often", "arow=4"])
    assert "'arow' is no shape of the toy world" in capsys.readouterr().err
