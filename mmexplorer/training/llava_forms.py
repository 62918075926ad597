"""How many pictures, of what size, the conversations of each training batch of a toy LLaVA have, stage by stage.

Knows neither words nor models.
"""

from dataclasses import dataclass

from mmexplorer.toyworld.scenes import CANVAS, Sampler, Scene, shrunk
from mmexplorer.training.llava_tiles import SIDE, token_count

TEXT = 64  # about how many tokens the questions and answers of a small picture have
TINY = 0.3  # share of large scenes whose things are so small that the base view hardly shows them
TINY_KINDS = ("single", "pair", "group", "several")
# Pairs, texts and people teach what is learned last, and come up too seldom in the world's own mixture.
KIND_WEIGHTS = {"single": 5, "pair": 27, "group": 25, "several": 16, "word": 19, "figure": 8}


@dataclass(frozen=True)
class Form:
    """What all conversations of a batch share, so that they are about equally long and need little padding.

    Scenes are drawn on `canvas` (width, height), and their pixels then repeated `times` in both directions. tiled says
    whether the model cuts pictures into tiles, questions how many are asked about the newest picture.
    """

    pictures: int = 1
    canvas: tuple[int, int] = (CANVAS, CANVAS)
    times: int = 1
    tiled: bool = False
    questions: int = 4

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a picture in pixels."""
        width, height = self.canvas
        return self.times * height, self.times * width

    @property
    def tokens(self) -> int:
        """How many tokens a picture takes, 0 if there is none."""
        if not self.pictures:
            return 0
        return token_count(*self.size) if self.tiled else SIDE * SIDE

    def rows(self, size: int) -> int:
        """How many conversations take about as long as `size` ones about a single small picture."""
        return max(1, min(size, size * (SIDE * SIDE + TEXT) // (self.pictures * self.tokens + TEXT)))

    def scene(self, sampler: Sampler) -> Scene:
        """A scene for one of the pictures."""
        rng = sampler.rng
        (kind,) = rng.choices(tuple(KIND_WEIGHTS), weights=tuple(KIND_WEIGHTS.values()))
        scene = sampler.scene(kind)
        is_tiny = max(self.canvas) > CANVAS and kind in TINY_KINDS and rng.random() < TINY
        return shrunk(scene, rng.uniform(0.6, 0.8)) if is_tiny else scene


def _tiled(width: int, height: int, times: int = 1, pictures: int = 1) -> Form:
    return Form(pictures, (width, height), times, tiled=True, questions=8)


# In turn from step to step. Small pictures that are enlarged keep what the model knew before; some tiles are padded.
FORMS = {
    "language": (Form(pictures=0),),
    "align": (Form(),),
    "instruct": (Form(), Form(), Form(), Form(pictures=2), Form(), Form(), Form(), Form(pictures=3)),
    "next": (
        _tiled(128, 128),
        _tiled(64, 64, times=2),
        _tiled(128, 128),
        _tiled(128, 64),
        _tiled(128, 128),
        _tiled(64, 64, times=2),
        _tiled(64, 128),
        _tiled(128, 128),
        _tiled(128, 96),
        _tiled(192, 64),
        _tiled(128, 128),
        _tiled(64, 64, times=2),
        _tiled(96, 128),
        _tiled(64, 192),
        _tiled(64, 64),
        _tiled(128, 128, pictures=2),
    ),
}
STAGES = tuple(FORMS)
