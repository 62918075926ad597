r"""Trains a toy Stable Diffusion: `python -m mmexplorer.training.diffusion --help`.

First the autoencoder, then the latents of many scenes, then UNet and text encoder together, the text encoder from a
trained toy CLIP's (see `diffusion_vae`, `diffusion_latents` and `diffusion_denoise`):

  python -m mmexplorer.training.diffusion --stage vae --run runs/diffusion-vae --steps 1600
  python -m mmexplorer.training.diffusion --stage latents --vae runs/diffusion-vae --latents runs/diffusion-latents
  python -m mmexplorer.training.diffusion --stage denoise --vae runs/diffusion-vae --latents runs/diffusion-latents \
      --run runs/toy-diffusion --steps 10000 --until 7400 --keep 1000 3000
  python -m mmexplorer.training.diffusion --stage denoise --vae runs/diffusion-vae --latents runs/diffusion-latents \
      --run runs/toy-diffusion-names --start runs/toy-diffusion --naming 0.1 --steps 9000 --learning-rate 1e-3

A run writes checkpoints, resumes from the last one when started again, and ends with a folder that
`DiffusionPipeline.from_pretrained` loads. A kept step becomes such a folder by adding `--export STEP FOLDER` to the
command that trained it, which then trains nothing. What a step sees depends on its number only.
"""

import argparse
from pathlib import Path

import torch

from mmexplorer.presets import preset
from mmexplorer.toyworld.vocabulary import SHAPES
from mmexplorer.training.diffusion_denoise import DenoiseRun, export
from mmexplorer.training.diffusion_latents import prepare
from mmexplorer.training.diffusion_vae import VaeRun, load_vae, psnr

STAGES = ("vae", "latents", "denoise")
BATCH_SIZE = {"vae": 16, "denoise": 32}
LEARNING_RATE = {"vae": 2e-3, "denoise": 1.5e-3}
QUICK_STEPS, QUICK_SCENES = 4, 8


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mmexplorer.training.diffusion",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stage", choices=STAGES, default="denoise", help="what is made (default: denoise)")
    parser.add_argument("--run", type=Path, default=Path("runs/toy-diffusion"), help="folder of checkpoints and log")
    parser.add_argument("--vae", type=Path, default=Path("runs/diffusion-vae"), help="folder of the autoencoder's run")
    parser.add_argument("--latents", type=Path, default=Path("runs/diffusion-latents"), help="folder of the latents")
    parser.add_argument("--clip", type=Path, default=preset("toy-clip").path, help="folder of the trained CLIP")
    parser.add_argument("--output", type=Path, help="folder for the finished model (default: RUN/model)")
    parser.add_argument("--scenes", type=int, default=100_000, help="scenes that latents are made of")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--until", type=int, help="stop after this step of the schedule")
    parser.add_argument("--keep", type=int, nargs="*", default=[], help="steps of denoise to keep a snapshot of")
    parser.add_argument("--start", type=Path, help="folder of a run of denoise whose last averages are the start")
    parser.add_argument("--naming", type=float, default=0.0, help="weight of naming patches (default: 0, none)")
    parser.add_argument("--shift", type=float, default=1.0, help="more steps with much noise (default: 1, evenly)")
    parser.add_argument(
        "--often", type=_times, nargs="*", default=[], metavar="SHAPE=TIMES", help="shapes whose scenes come more often"
    )
    parser.add_argument("--export", nargs=2, metavar=("STEP", "FOLDER"), help="write a kept step as a model")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads, or processes")
    parser.add_argument("--every", type=int, default=100, help="steps between log lines and checkpoints")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_STEPS} small steps: shows that the recipe runs")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    steps, scenes = (QUICK_STEPS, QUICK_SCENES) if options.quick else (options.steps, options.scenes)
    if options.stage == "latents":
        prepare(options.vae, options.latents, scenes, options.threads, *[scenes] * options.quick)
        return
    if options.export:
        step, folder = options.export
        export(options.run, int(step), options.vae, options.clip, Path(folder))
        return
    size = 4 if options.quick else options.batch_size or BATCH_SIZE[options.stage]
    peak = options.learning_rate or LEARNING_RATE[options.stage]
    every = min(options.every, max(1, steps // 2))
    if options.stage == "vae":
        VaeRun(options.run, steps, size, peak).train(every, options.until)
        print(f"peak signal-to-noise ratio of held-out pictures: {psnr(load_vae(options.run)):.1f} dB")
        return
    run = DenoiseRun(
        options.run,
        steps,
        size,
        peak,
        options.latents,
        scenes,
        options.clip,
        options.keep,
        options.naming,
        options.shift,
        options.start,
        dict(options.often),
    )
    run.train(every, options.until)
    export(options.run, None, options.vae, options.clip, options.output or options.run / "model")


def _times(text: str) -> tuple[str, float]:
    shape, _, times = text.partition("=")
    if shape not in SHAPES:
        raise argparse.ArgumentTypeError(f"{shape!r} is no shape of the toy world")
    return shape, float(times)


if __name__ == "__main__":
    main()
