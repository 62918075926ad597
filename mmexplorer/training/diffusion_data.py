"""What the toy Stable Diffusion learns from: plain scenes and what prompts say of them, from seeds.

A prompt names everything that is to be drawn, so captions that leave things of a scene out are not used: they would
teach to draw more than was asked for. Knows nothing of pixels, latents or tokens.
"""

import random

from mmexplorer.toyworld.captions import caption
from mmexplorer.toyworld.plain_scenes import plain_scene
from mmexplorer.toyworld.scenes import Scene, rng_for

SPLIT = "diffusion"
# Colour and shape of a single thing are learned within minutes; whose colour is whose, and how many, take the hour.
KINDS = {"single": 20, "pair": 54, "group": 18, "several": 8}
FORMS = {
    "single": {"full": 40, "sized": 35, "short": 25},
    "pair": {"relational": 55, "full": 30, "sized": 15},
    "group": {"counting": 100},
    "several": {"full": 60, "sized": 40},
}


def scene(seed: int) -> Scene:
    """The training scene of a seed."""
    return plain_scene(rng_for(SPLIT, seed), mixture=KINDS)


def prompts(drawn: Scene, rng: random.Random, count: int) -> list[str]:
    """So many true captions that leave out no thing of a scene, in forms that suit its kind; some may be equal."""
    forms = FORMS[drawn.kind]
    chosen = rng.choices(list(forms), weights=list(forms.values()), k=count)
    return [caption(drawn, rng, form).text for form in chosen]
