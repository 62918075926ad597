"""What the page says of a finished picture: what of the prompt is in it, read back without a model."""

import pytest
from PIL import Image

from mmexplorer.drawings import Drawing
from mmexplorer.tabs.draw_show import MOST_STATEMENTS, verdict
from mmexplorer.toyworld.plain_scenes import plain_scene
from mmexplorer.toyworld.renderer import render
from mmexplorer.toyworld.scenes import rng_for


@pytest.fixture(scope="module")
def single():
    """A scene of one thing, as picture and as a prompt's words."""
    scene = plain_scene(rng_for("draw show", 1), "single")
    [thing] = scene.things
    return Image.fromarray(render([scene])[0]), thing


def drawn(image: Image.Image, prompt: str, model: str = "toy-diffusion") -> Drawing:
    return Drawing(image, (), None, {"prompt": prompt}, (), None, model=model, seconds=1.0)


def test_the_verdict_says_what_is_there_what_is_missing_and_what_is_too_much(single):
    image, thing = single
    right = verdict(drawn(image, f"a {thing.colour} {thing.shape}"))
    assert f"✓ a {thing.shape}" in right.replace("an ", "a ") and "✗" not in right and "✓ nothing else is" in right
    other = "star" if thing.shape != "star" else "circle"
    wrong = verdict(drawn(image, f"a {thing.colour} {other}"))
    assert f"✗ a {other}<" in wrong and "✓ nothing else is there" in wrong
    two = Image.new("RGB", (128, 64))
    two.paste(image, (0, 0))
    two.paste(image, (64, 0))
    assert "✗ nothing else is there" in verdict(drawn(two.resize((64, 64)), f"a {thing.colour} {thing.shape}"))


def test_of_other_models_pictures_and_words_nothing_is_said(single):
    image, _ = single
    assert verdict(drawn(image, "a red circle", "sd-turbo")) == verdict(drawn(image, "zebra")) == ""


def test_a_prompt_that_asks_for_much_has_the_first_of_its_statements_listed(single):
    said = verdict(drawn(single[0], "a red circle " * 20))
    assert said.count("<li>") == MOST_STATEMENTS + 1 and f"and {41 - MOST_STATEMENTS} more statements" in said
