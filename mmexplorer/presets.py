"""The table of models: one row per checkpoint, what it needs and what it is good for.

Adding a checkpoint of a known family is adding a row. The module does not know how a checkpoint is fetched or run.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from mmexplorer.errors import Refusal

ROOT = Path(__file__).resolve().parent.parent

# What `model_type` in a checkpoint's config.json may say for each family.
MODEL_TYPES = {
    "clip": frozenset({"clip", "siglip"}),
    "llava": frozenset({"llava", "llava_next", "llava_onevision"}),
}

CLIP_PAPER = "Radford et al. 2021, https://arxiv.org/abs/2103.00020"
TINY_CLIP_PAPER = "Wu et al. 2023, https://arxiv.org/abs/2309.12314"
OPEN_CLIP_PAPER = "Cherti et al. 2023, https://arxiv.org/abs/2212.07143"
LLAVA_PAPER = "Liu et al. 2023, https://arxiv.org/abs/2310.03744"
LLAVA_NEXT_PAPER = "Liu et al. 2024, https://llava-vl.github.io/blog/2024-01-30-llava-next/"
ONEVISION_PAPER = "Li et al. 2024, https://arxiv.org/abs/2408.03326"
SIGLIP_PAPER = "Zhai et al. 2023, https://arxiv.org/abs/2303.15343"

GROUNDS = frozenset({"embeds", "attends"})
CHATS = frozenset({"chats"})


@dataclass(frozen=True)
class Preset:
    """One checkpoint.

    source is a folder relative to the repository's root (revision None) or a Hub repository id (revision a full
    commit hash). disk_bytes is the download, weights and tokenizer. memory_bytes is what the memory budget counts
    before the model can be measured: float32 weights (bfloat16 for tier "gpu") and about a fifth for activations (toy
    models: twice their weights). tier is the least hardware on which it is comfortable: "toy", "cpu" or "gpu".
    """

    key: str
    label: str
    family: str
    source: str
    revision: str | None
    disk_bytes: int
    memory_bytes: int
    licence: str
    gated: bool
    paper: str
    abilities: frozenset[str]
    tier: str
    note: str

    @property
    def is_local(self) -> bool:
        """Whether the checkpoint ships with the repository."""
        return self.revision is None

    @property
    def path(self) -> Path:
        """The folder of a checkpoint that ships with the repository; ValueError for one on the Hub."""
        if not self.is_local:
            raise ValueError(f"{self.key} lives on the Hub.")
        return ROOT / self.source


def _toy(
    key: str,
    label: str,
    note: str,
    family: str = "clip",
    disk_bytes: int = 4_000_000,
    paper: str = CLIP_PAPER,
    abilities: frozenset[str] = GROUNDS,
) -> Preset:
    return Preset(
        key=key,
        label=label,
        family=family,
        source=f"assets/models/{key}",
        revision=None,
        disk_bytes=disk_bytes,
        memory_bytes=4 * disk_bytes,
        licence="Apache-2.0",
        gated=False,
        paper=paper,
        abilities=abilities,
        tier="toy",
        note=note,
    )


_PRESETS = (
    _toy(
        "toy-clip",
        "Toy CLIP, full coverage",
        "Trained here on drawn shapes in every combination, so it binds colours to shapes.",
    ),
    _toy(
        "toy-clip-withheld",
        "Toy CLIP, swaps withheld",
        "Trained here without one of each swapped pair, so it reads a caption like a bag of words.",
    ),
    _toy(
        "toy-clip-hard-negatives",
        "Toy CLIP, hard negatives",
        "Trained here without one of each swapped pair, but told that its captions are wrong, which taught it to bind.",
    ),
    _toy(
        "toy-llava",
        "Toy LLaVA",
        "Trained here on questions about drawn shapes; it sees through the toy CLIP and knows about 200 words.",
        family="llava",
        disk_bytes=7_500_000,
        paper=LLAVA_PAPER,
        abilities=CHATS,
    ),
    _toy(
        "toy-llava-next",
        "Toy LLaVA-NeXT",
        "The toy LLaVA taught to read larger pictures twice: squashed, and cut into tiles, as LLaVA-1.6 does.",
        family="llava",
        disk_bytes=7_500_000,
        paper=LLAVA_NEXT_PAPER,
        abilities=CHATS,
    ),
    Preset(
        key="tiny-clip",
        label="TinyCLIP ViT-8M/16",
        family="clip",
        source="wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M",
        revision="a2a8c6eaa2549ad66eb7c31b85022bf58273a26c",
        disk_bytes=98_000_000,
        memory_bytes=150_000_000,
        licence="MIT",
        gated=False,
        paper=TINY_CLIP_PAPER,
        abilities=GROUNDS,
        tier="cpu",
        note="The smallest real CLIP, distilled from a larger one; quick on a laptop, rough in its judgement.",
    ),
    Preset(
        key="clip-vit-base-patch32",
        label="CLIP ViT-B/32",
        family="clip",
        source="openai/clip-vit-base-patch32",
        # The main branch of this repository holds pickled weights only; this is its safetensors conversion.
        revision="c237dc49a33fc61debc9276459120b7eac67e7ef",
        disk_bytes=609_000_000,
        memory_bytes=750_000_000,
        licence="MIT (code)",
        gated=False,
        paper=CLIP_PAPER,
        abilities=GROUNDS,
        tier="cpu",
        note="The CLIP most papers compare with; large patches of 32 pixels, so coarse heatmaps.",
    ),
    Preset(
        key="laion-clip-vit-base-patch32",
        label="OpenCLIP ViT-B/32, LAION-2B",
        family="clip",
        source="laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        revision="1a25a446712ba5ee05982a381eed697ef9b435cf",
        disk_bytes=609_000_000,
        memory_bytes=750_000_000,
        licence="MIT",
        gated=False,
        paper=OPEN_CLIP_PAPER,
        abilities=GROUNDS,
        tier="cpu",
        note="The same architecture as CLIP ViT-B/32 trained on public data: what changes comes from the data.",
    ),
    Preset(
        key="siglip-base-patch16-224",
        label="SigLIP ViT-B/16",
        family="clip",
        source="google/siglip-base-patch16-224",
        revision="7fd15f0689c79d79e38b1c2e2e2370a7bf2761ed",
        disk_bytes=816_000_000,
        memory_bytes=1_000_000_000,
        licence="Apache-2.0",
        gated=False,
        paper=SIGLIP_PAPER,
        abilities=GROUNDS,
        tier="cpu",
        note="Scores each label on its own with a sigmoid, so probabilities need not sum to one.",
    ),
    Preset(
        key="clip-vit-large-patch14",
        label="CLIP ViT-L/14",
        family="clip",
        source="openai/clip-vit-large-patch14",
        revision="32bd64288804d66eefd0ccbe215aa642df71cc41",
        disk_bytes=1_715_000_000,
        memory_bytes=2_000_000_000,
        licence="MIT (code)",
        gated=False,
        paper=CLIP_PAPER,
        abilities=GROUNDS,
        tier="gpu",
        note="Stable Diffusion 1 reads its prompts with this CLIP; finer patches, and slow on a laptop.",
    ),
    Preset(
        key="llava-onevision-0.5b",
        label="LLaVA-OneVision 0.5B",
        family="llava",
        source="llava-hf/llava-onevision-qwen2-0.5b-ov-hf",
        revision="74dd0bf867a4cda7950c17663794267c60cf4b40",
        disk_bytes=1_800_000_000,
        memory_bytes=4_400_000_000,
        licence="Apache-2.0",
        gated=False,
        paper=ONEVISION_PAPER,
        abilities=CHATS,
        tier="cpu",
        note="The smallest real LLaVA; a picture takes thousands of tokens, so a laptop thinks for a minute or more.",
    ),
    Preset(
        key="llava-1.5-7b",
        label="LLaVA-1.5 7B",
        family="llava",
        source="llava-hf/llava-1.5-7b-hf",
        revision="b234b804b114d9e37bb655e11cbbb5f5e971b7a9",
        disk_bytes=14_200_000_000,
        memory_bytes=17_000_000_000,
        licence="Llama 2 Community License",
        gated=False,
        paper=LLAVA_PAPER,
        abilities=CHATS,
        tier="gpu",
        note="The model of most papers on what a LLaVA looks at: one view of 576 patches, its ends cropped away.",
    ),
    Preset(
        key="llava-v1.6-mistral-7b",
        label="LLaVA-NeXT (1.6) Mistral 7B",
        family="llava",
        source="llava-hf/llava-v1.6-mistral-7b-hf",
        revision="52320fb52229c8d942b1dcb8b63b3dc8087bc83b",
        disk_bytes=15_200_000_000,
        memory_bytes=18_500_000_000,
        licence="Apache-2.0",
        gated=False,
        paper=LLAVA_NEXT_PAPER,
        abilities=CHATS,
        tier="gpu",
        note="The whole picture and up to four tiles of it, close to 3,000 tokens: it reads what LLaVA-1.5 overlooks.",
    ),
)


def presets() -> tuple[Preset, ...]:
    """Every checkpoint, the ones that ship with the repository first."""
    return _PRESETS


def preset(key: str) -> Preset:
    """The checkpoint of that key; Refusal, with the nearest keys, if there is none."""
    for row in _PRESETS:
        if row.key == key:
            return row
    keys = [row.key for row in _PRESETS]
    near = get_close_matches(str(key), keys, n=3, cutoff=0.4) or keys[:3]
    raise Refusal(f"There is no model called {str(key)[:60]!r}; try {' or '.join(near)}.")
