"""The table of models: one row per checkpoint, what it needs and what it is good for.

Adding a checkpoint of a known family is adding a row. The module does not know how a checkpoint is fetched or run.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from mmexplorer.errors import Refusal

ROOT = Path(__file__).resolve().parent.parent

# What `model_type` in a checkpoint's config.json may say for each family, and `_class_name` in a pipeline's
# model_index.json.
MODEL_TYPES = {
    "clip": frozenset({"clip", "siglip"}),
    "llava": frozenset({"llava", "llava_next", "llava_onevision"}),
    "diffusion": frozenset(
        {
            "StableDiffusionPipeline",
            "StableDiffusionXLPipeline",
            "LatentConsistencyModelPipeline",
            "PixArtAlphaPipeline",
            "PixArtSigmaPipeline",
            "StableDiffusion3Pipeline",
        }
    ),
}

CLIP_PAPER = "Radford et al. 2021, https://arxiv.org/abs/2103.00020"
TINY_CLIP_PAPER = "Wu et al. 2023, https://arxiv.org/abs/2309.12314"
OPEN_CLIP_PAPER = "Cherti et al. 2023, https://arxiv.org/abs/2212.07143"
LLAVA_PAPER = "Liu et al. 2023, https://arxiv.org/abs/2310.03744"
LLAVA_NEXT_PAPER = "Liu et al. 2024, https://llava-vl.github.io/blog/2024-01-30-llava-next/"
ONEVISION_PAPER = "Li et al. 2024, https://arxiv.org/abs/2408.03326"
LATENT_DIFFUSION_PAPER = "Rombach et al. 2022, https://arxiv.org/abs/2112.10752"
BK_SDM_PAPER = "Kim et al. 2023, https://arxiv.org/abs/2305.15798"
ADD_PAPER = "Sauer et al. 2023, https://arxiv.org/abs/2311.17042"
LCM_PAPER = "Luo et al. 2023, https://arxiv.org/abs/2310.04378"
SDXL_PAPER = "Podell et al. 2023, https://arxiv.org/abs/2307.01952"
PIXART_SIGMA_PAPER = "Chen et al. 2024, https://arxiv.org/abs/2403.04692"
SIGLIP_PAPER = "Zhai et al. 2023, https://arxiv.org/abs/2303.15343"

GROUNDS = frozenset({"embeds", "attends"})
CHATS = frozenset({"chats"})
DRAWS = frozenset({"draws"})
DRAWS_UNGUIDED = frozenset({"draws", "unguided"})  # distilled to draw in a few steps, without guidance
DOES = {"chats": "chat", "draws": "draw", "embeds": "embed pictures and texts"}  # what one does with an ability


@dataclass(frozen=True)
class Preset:
    """One checkpoint.

    source is a folder relative to the repository's root (revision None) or a Hub repository id (revision a full
    commit hash). disk_bytes is the download, weights and tokenizer. parameters is how many numbers the weights that are
    loaded hold. tier is the least hardware on which it is comfortable: "toy", "cpu" or "gpu".
    """

    key: str
    label: str
    family: str
    source: str
    revision: str | None
    disk_bytes: int
    parameters: int
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
        parameters=disk_bytes // 4,
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
    *(
        _toy(
            key,
            label,
            note,
            family="diffusion",
            disk_bytes=12_500_000,
            paper=LATENT_DIFFUSION_PAPER,
            abilities=DRAWS,
        )
        for key, label, note in (
            (
                "toy-diffusion",
                "Toy Stable Diffusion",
                "Trained here to draw ten shapes in nine colours and three sizes, up to four at a time.",
            ),
            (
                "toy-diffusion-middle",
                "Toy Stable Diffusion, half-trained",
                "The same training at a middle step: colours are right and shapes appear, but it loses count.",
            ),
            (
                "toy-diffusion-early",
                "Toy Stable Diffusion, barely trained",
                "The same training at an early step: it has learned colours, and hardly any shape yet.",
            ),
        )
    ),
    Preset(
        key="tiny-clip",
        label="TinyCLIP ViT-8M/16",
        family="clip",
        source="wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M",
        revision="a2a8c6eaa2549ad66eb7c31b85022bf58273a26c",
        disk_bytes=98_000_000,
        parameters=23_400_000,
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
        parameters=151_300_000,
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
        parameters=151_300_000,
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
        parameters=203_200_000,
        licence="Apache-2.0",
        gated=False,
        paper=SIGLIP_PAPER,
        abilities=GROUNDS,
        tier="cpu",
        note="Scores each label on its own with a sigmoid, so probabilities need not sum to one.",
    ),
    Preset(
        key="siglip-so400m-patch14-384",
        label="SigLIP So400m/14, 384 px",
        family="clip",
        source="google/siglip-so400m-patch14-384",
        revision="9fdffc58afc957d1a03a25b10dba0329ab15c2a3",
        disk_bytes=3_515_000_000,
        parameters=878_000_000,
        licence="Apache-2.0",
        gated=False,
        paper=SIGLIP_PAPER,
        abilities=GROUNDS,
        tier="gpu",
        note="The largest SigLIP here: 27 x 27 patches of larger pictures, so the finest heatmaps.",
    ),
    Preset(
        key="clip-vit-large-patch14",
        label="CLIP ViT-L/14",
        family="clip",
        source="openai/clip-vit-large-patch14",
        revision="32bd64288804d66eefd0ccbe215aa642df71cc41",
        disk_bytes=1_715_000_000,
        parameters=427_600_000,
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
        parameters=894_000_000,
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
        parameters=7_063_000_000,
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
        parameters=7_567_000_000,
        licence="Apache-2.0",
        gated=False,
        paper=LLAVA_NEXT_PAPER,
        abilities=CHATS,
        tier="gpu",
        note="The whole picture and up to four tiles of it, close to 3,000 tokens: it reads what LLaVA-1.5 overlooks.",
    ),
    Preset(
        key="bk-sdm-tiny",
        label="BK-SDM Tiny",
        family="diffusion",
        source="nota-ai/bk-sdm-tiny",
        revision="0364108e53b7f7f4d2585e817a0b7a83dc261cfa",
        disk_bytes=1_060_000_000,
        parameters=530_000_000,
        licence="CreativeML OpenRAIL-M",
        gated=False,
        paper=BK_SDM_PAPER,
        abilities=DRAWS,
        tier="cpu",
        note="Stable Diffusion with much of its network cut out, taught by the whole one: minutes on a laptop.",
    ),
    Preset(
        key="sd-turbo",
        label="SD-Turbo",
        family="diffusion",
        source="stabilityai/sd-turbo",
        revision="b261bac6fd2cf515557d5d0707481eafa0485ec2",
        disk_bytes=5_200_000_000,
        parameters=1_290_000_000,
        licence="Stability AI Non-Commercial",
        gated=False,
        paper=ADD_PAPER,
        abilities=DRAWS_UNGUIDED,
        tier="cpu",
        note="Stable Diffusion 2.1 distilled to draw in one to four steps, without guidance.",
    ),
    Preset(
        key="stable-diffusion-1.5",
        label="Stable Diffusion 1.5",
        family="diffusion",
        source="stable-diffusion-v1-5/stable-diffusion-v1-5",
        revision="451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
        disk_bytes=4_270_000_000,
        parameters=1_066_000_000,
        licence="CreativeML OpenRAIL-M",
        gated=False,
        paper=LATENT_DIFFUSION_PAPER,
        abilities=DRAWS,
        tier="gpu",
        note="The model of most papers on what a prompt's words paint; two and a half minutes a picture on a laptop.",
    ),
    Preset(
        key="lcm-dreamshaper-7",
        label="LCM Dreamshaper 7",
        family="diffusion",
        source="SimianLuo/LCM_Dreamshaper_v7",
        revision="a85df6a8bd976cdd08b4fd8f3b73f229c9e54df5",
        disk_bytes=4_270_000_000,
        parameters=1_067_000_000,
        licence="MIT",
        gated=False,
        paper=LCM_PAPER,
        abilities=DRAWS,
        tier="cpu",
        note="A latent consistency model: four steps, the guidance scale built into the network.",
    ),
    Preset(
        key="sdxl",
        label="Stable Diffusion XL",
        family="diffusion",
        source="stabilityai/stable-diffusion-xl-base-1.0",
        revision="462165984030d82259a11f4367a4eed129e94a7b",
        disk_bytes=13_900_000_000,
        parameters=3_469_000_000,
        licence="CreativeML OpenRAIL++-M",
        gated=False,
        paper=SDXL_PAPER,
        abilities=DRAWS,
        tier="gpu",
        note="Pictures of 1,024 pixels from a network three times as large, reading the prompt with two encoders.",
    ),
    Preset(
        key="sdxl-turbo",
        label="SDXL-Turbo",
        family="diffusion",
        source="stabilityai/sdxl-turbo",
        revision="71153311d3dbb46851df1931d3ca6e939de83304",
        disk_bytes=13_900_000_000,
        parameters=3_469_000_000,
        licence="Stability AI Non-Commercial",
        gated=False,
        paper=ADD_PAPER,
        abilities=DRAWS_UNGUIDED,
        tier="gpu",
        note="Stable Diffusion XL distilled to draw in one to four steps, without guidance.",
    ),
    Preset(
        key="pixart-sigma",
        label="PixArt-Sigma",
        family="diffusion",
        source="PixArt-alpha/PixArt-Sigma-XL-2-1024-MS",
        revision="e102b3591cc82e97071b8b4cb90d834d0c487207",
        disk_bytes=21_800_000_000,
        parameters=5_460_000_000,
        licence="CreativeML OpenRAIL++-M",
        gated=False,
        paper=PIXART_SIGMA_PAPER,
        abilities=DRAWS,
        tier="gpu",
        note="A transformer in place of the UNet, and a large language model that reads the prompt.",
    ),
)


MOST_OTHERS = 50
_others: dict[str, Preset] = {}  # named by visitors, the newest last


def presets() -> tuple[Preset, ...]:
    """Every checkpoint, the ones that ship with the repository first, those that were added last."""
    return (*_PRESETS, *_others.values())


def add(row: Preset) -> None:
    """Makes a checkpoint known that is in no table, for as long as the process lives; of these the oldest give way."""
    if all(row.key != known.key for known in _PRESETS):
        _others.pop(row.key, None)
        _others[row.key] = row
        while len(_others) > MOST_OTHERS:
            _others.pop(next(iter(_others)))


def preset(key: str) -> Preset:
    """The checkpoint of that key; Refusal, with the nearest keys, if there is none."""
    for row in presets():
        if row.key == key:
            return row
    keys = [row.key for row in _PRESETS]
    near = get_close_matches(str(key), keys, n=3, cutoff=0.4) or keys[:3]
    raise Refusal(f"There is no model called {str(key)[:60]!r}; try {' or '.join(near)}.")


def label(key: str) -> str:
    """What the checkpoint of that key is called; the key itself where nobody knows it any more."""
    return next((row.label for row in presets() if row.key == key), key)


def able(key: str, ability: str) -> Preset:
    """The checkpoint of that key; Refusal, with the keys of those that are, if it is not good for one of DOES."""
    row = preset(key)
    if ability not in row.abilities:
        others = " or ".join(other.key for other in presets() if ability in other.abilities)
        raise Refusal(f"{row.label} does not {DOES[ability]}; choose {others}.")
    return row
