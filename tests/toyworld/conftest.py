"""Drawn scenes to look at, and scenes put together by hand."""

import pytest

from mmexplorer.toyworld.scenes import Sampler, Scene, Thing, rng_for


@pytest.fixture(scope="session")
def training_scenes() -> list[Scene]:
    """Scenes as training draws them."""
    return [Sampler(rng_for("tests", seed)).scene() for seed in range(1500)]


@pytest.fixture(scope="session")
def make_thing():
    """Builds a red solid thing in the middle of the canvas unless told otherwise."""

    def make(shape: str, **changes) -> Thing:
        settings = {"colour": "red", "size": "large", "fill": "solid", "x": 32.0, "y": 32.0, "radius": 20.0}
        return Thing(shape, **(settings | {"rgb": (255, 0, 0)} | changes))

    return make


@pytest.fixture(scope="session")
def make_scene():
    """Puts things on an even white background without noise unless told otherwise."""

    def make(*things: Thing, kind: str = "several", **changes) -> Scene:
        settings = {"style": "plain", "background": (255, 255, 255), "second": (255, 255, 255), "grain": 0, "seed": 0}
        return Scene(things, kind, **(settings | changes))

    return make
