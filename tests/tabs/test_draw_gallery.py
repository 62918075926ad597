"""The gallery of a visit: the newest first, and each picture named by what it differs in from the others."""

import json

from PIL import Image

from mmexplorer.drawings import Drawing
from mmexplorer.tabs.draw_gallery import gallery
from mmexplorer.tabs.draw_session import Drawn

SAID = {"prompt": "a red circle", "negative_prompt": "", "seed": 1, "guidance": 4.0, "scheduler": "ddim"}


def drawn(model="toy-diffusion", steps=2, side=64, **changes) -> Drawn:
    settings = SAID | {"width": side, "height": side, "steps": 9} | changes
    return Drawn.of(Drawing(Image.new("RGB", (side, side)), (), None, settings, (None,) * steps, None, model=model))


def captions(*drawings: Drawn) -> list[str]:
    return [shown["caption"] for shown in json.loads(gallery(drawings))]


def test_captions_name_only_what_differs_with_the_newest_first():
    assert captions(drawn()) == [""] and captions(drawn(), drawn()) == ["", ""]
    assert captions(drawn(), drawn(seed=2), drawn(seed=3)) == ["seed 3", "seed 2", "seed 1"]
    assert captions(drawn(guidance=1), drawn(seed=2)) == ["guidance 4, seed 2", "guidance 1, seed 1"]
    early = drawn("toy-diffusion-early")
    assert captions(early, drawn()) == ["Toy Stable Diffusion", "Toy Stable Diffusion, barely trained"]
    assert captions(drawn(), drawn(negative_prompt="red")) == ["not “red”", "no negative prompt"]
    assert captions(drawn(), drawn(prompt="a  " + "b" * 80)) == [f"“a {'b' * 58}…”", "“a red circle”"]
    assert captions(drawn(), drawn(side=32)) == ["32 × 32", "64 × 64"]


def test_steps_are_those_that_were_done():
    assert captions(drawn(), drawn(steps=1)) == ["1 step", "2 steps"]


def test_pictures_say_what_was_asked_for():
    [shown] = json.loads(gallery((drawn(),)))
    assert shown["alt"] == "a red circle" and shown["picture"].startswith("data:image/png")
