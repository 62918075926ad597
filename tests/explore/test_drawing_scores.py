"""CLIP scores by hand, twins that mean another picture, and grades that agree with a scene that is known."""

import random
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmexplorer import presets
from mmexplorer.drawings import Drawing
from mmexplorer.errors import Refusal
from mmexplorer.explore import drawing_scores, drawing_twins
from mmexplorer.explore.drawing_scores import clip_score, exact_grade, score
from mmexplorer.explore.drawing_twins import NO_TWIN, twin
from mmexplorer.hub import Stopped
from mmexplorer.toyworld.captions import caption
from mmexplorer.toyworld.plain_scenes import plain_scene
from mmexplorer.toyworld.renderer import render
from mmexplorer.toyworld.vocabulary import PLURALS


class Judge:
    """Embeds every picture as (1, 0), and a text at the cosine that is said of it; reads ten words, and no "zebra"."""

    def __init__(self, cosines):
        self.cosines = cosines

    def embed_images(self, images):
        return np.array([[1.0, 0.0] for _ in images], np.float32)

    def embed_texts(self, texts):
        cosines = [self.cosines.get(text, 0.0) for text in texts]
        return np.array([[cosine, (1 - cosine**2) ** 0.5] for cosine in cosines], np.float32)

    def unknown_words(self, texts):
        return tuple(dict.fromkeys(word for text in texts for word in text.split() if word == "zebra"))

    def truncated(self, texts):
        return [len(text.split()) > 10 for text in texts]


@pytest.fixture
def judge(monkeypatch):
    """Lends a Judge; its `asked` are the models that were asked for."""
    lent = Judge({})
    lent.asked = []

    @contextmanager
    def use(key, stop=None):
        if stop is not None and stop.is_set():
            raise Stopped("Stopped.")
        lent.asked.append(key)
        yield lent

    real = replace(presets.preset("toy-diffusion"), key="real-diffusion", tier="cpu")
    monkeypatch.setattr(drawing_scores.residency, "use", use)
    monkeypatch.setattr(presets, "_PRESETS", (*presets.presets(), real))
    return lent


def drawing(prompt, image=None, model="toy-diffusion", ended="end"):
    image = image or Image.new("RGB", (64, 64), "white")
    return Drawing(image, (), None, {"prompt": prompt}, (), model=model, ended=ended)


def picture(scene):
    return Image.fromarray(render([scene])[0])


# The CLIP score


@pytest.mark.parametrize(("cosine", "expected"), [(0.3, 0.75), (1.0, 2.5), (0.0, 0.0), (-0.4, 0.0)])
def test_the_clip_score_is_two_and_a_half_times_the_cosine(cosine, expected):
    assert clip_score("a", cosine).score == pytest.approx(expected) and clip_score("a", cosine).cosine == cosine


def test_a_picture_is_scored_with_its_prompt_and_its_twin(judge):
    judge.cosines = {"a red circle above a blue square": 0.3, "a blue circle above a red square": 0.28}
    found = score(drawing("a red circle above a blue square"))
    assert found.prompt.score == pytest.approx(0.75) and found.prompt.cosine == pytest.approx(0.3)
    assert found.twin.caption == "a blue circle above a red square" and found.twin.score == pytest.approx(0.7)
    assert found.twin_kind == "colours swapped" and found.clip == "toy-clip" and judge.asked == ["toy-clip"]
    assert found.remarks == ()


def test_what_was_not_read_and_what_is_missing_is_said(judge):
    found = score(drawing("a zebra at night", model="real-diffusion", ended="stopped"))
    assert judge.asked == ["clip-vit-base-patch32"] and found.twin is None and found.grade is None
    said = " ".join(found.remarks)
    assert "no token for “zebra”" in said and NO_TWIN in said and "stopped early" in said
    found = score(drawing("a red circle " * 5, model="real-diffusion"), clip="tiny-clip")
    assert judge.asked[-1] == found.clip == "tiny-clip" and "longer than TinyCLIP" in " ".join(found.remarks)


def test_models_that_do_not_embed_are_refused(judge):
    with pytest.raises(Refusal, match="does not embed pictures and texts; choose toy-clip"):
        score(drawing("a red circle"), clip="toy-llava")
    assert judge.asked == []


def test_the_real_toy_clip_finds_what_is_there():
    """Through the residency, with the checkpoint that ships."""
    scene = plain_scene(random.Random(2), "pair")
    a, b = scene.things
    prompt = f"a {a.colour} {a.shape} and a {b.colour} {b.shape}"
    shown = replace(drawing(prompt, picture(scene)), model="toy-clip")
    right, wrong = score(shown), score(replace(shown, settings={"prompt": "three pink hearts"}))
    assert right.prompt.score > wrong.prompt.score + 0.3 and -1 <= right.prompt.cosine <= 1


# Twins


@pytest.mark.parametrize(
    ("prompt", "text", "kind"),
    [
        ("a red circle left of a blue square", "a blue circle left of a red square", "colours swapped"),
        ("An orange circle and a red square", "A red circle and an orange square", "colours swapped"),
        ("two violet stars and a grey moon", "two grey stars and a violet moon", "colours swapped"),
        ("a red circle left of a blue circle", "a blue circle left of a red circle", "colours swapped"),
        ("a red circle above a red square", "a red square above a red circle", "shapes swapped"),
        ("a small star and a large moon", "a small moon and a large star", "shapes swapped"),
        ("a red circle and a red square", "an orange circle and a red square", "other colour"),
        ("two stars and a moon", "two hearts and a moon", "other shape"),
        ("three yellow stars", "three green stars", "other colour"),
        ("an arrow", "a circle", "other shape"),
        ("a red car next to an orange tree", "an orange car next to a red tree", "colours swapped"),
        ("An astronaut riding a horse", "A horse riding an astronaut", "things swapped"),
        ("a photo of a cat behind the old dog", "a photo of the old dog behind a cat", "things swapped"),
    ],
)
def test_twins(prompt, text, kind):
    found = twin(prompt)
    assert (found.text, found.kind) == (text, kind)


@pytest.mark.parametrize(
    "prompt",
    ["", "shape", "a cat and a dog", "a cat next to a dog", "a castle at night, oil painting", "a cat on a cat",
     "a red and blue ball", "an orange and a blue cup and a cat", "a red car next to a green car",
     "a cat on a table on a hill", "a cat on the left", "a red circle on a dark background", "🙂", "a cat on " * 500],
)  # fmt: skip
def test_prompts_without_an_honest_twin(prompt):
    assert twin(prompt) is None


@pytest.mark.parametrize("text", ["a red circle and a blue circle ", "red ", "red circle, ", "a red car and a cat "])
def test_a_very_long_prompt_takes_no_time_and_has_no_twin(text, monkeypatch):
    monkeypatch.setattr(drawing_twins, "wanted", lambda text: pytest.fail("read"))
    assert twin(text * 700) is None


def test_few_pairs_of_a_long_prompt_are_tried(monkeypatch):
    read, wanted = [], drawing_twins.wanted
    monkeypatch.setattr(drawing_twins, "wanted", lambda text: (read.append(text), wanted(text))[1])
    assert twin("a red circle and a blue circle and " * 25 + "a cross").kind == "other colour"
    assert len(read) < 100


def test_twins_of_the_worlds_captions_are_false_of_their_scene():
    """A twin of a caption that is true of a picture is not true of it, as the exact grade says."""
    rng, checked = random.Random(1), 0
    for _ in range(60):
        scene = plain_scene(rng, rng.choice(("single", "pair", "several")))
        text = caption(scene, rng, rng.choice(("full", "relational", "counting"))).text
        image = picture(scene)
        if "background" in text or not exact_grade(text, image).exact:
            continue
        found = twin(text)
        assert found is not None, text
        assert not exact_grade(found.text, image).exact, (text, found)
        checked += 1
    assert checked > 40


# The grade


def test_the_grade_of_a_scene_that_is_known(judge):
    scene = plain_scene(random.Random(5), "pair")
    a, b = scene.things
    prompt = f"a {a.colour} {a.shape} and a {b.colour} {b.shape}"
    right = score(drawing(prompt, picture(scene))).grade
    assert right.exact and all(found for _, found in right.lines) and len(right.seen) == 2
    assert any(a.colour in seen and a.shape in seen for seen in right.seen)
    wrong = score(drawing(f"three {a.colour} {PLURALS[a.shape]}", picture(scene))).grade
    assert not wrong.exact and dict(wrong.lines)[f"three {a.colour} {PLURALS[a.shape]}"] is False


def test_pictures_and_prompts_that_cannot_be_graded(judge):
    found = score(drawing("a red circle", Image.new("RGB", (96, 80))))
    assert found.grade is None and "multiple of 64, not 96 x 80" in " ".join(found.remarks)
    found = score(drawing("a zebra"))
    assert found.grade is None and "asks for no shape, colour or number" in " ".join(found.remarks)
    assert score(drawing("a red circle", model="real-diffusion")).grade is None
