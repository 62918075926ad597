"""classify() equals the library's pipeline, encodes nothing twice, and answers bad input with one sentence."""

import io
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

import mmexplorer
from mmexplorer import methods
from mmexplorer.errors import Refusal
from mmexplorer.explore import zero_shot
from mmexplorer.explore.zero_shot import clean_labels, cut_labels
from mmexplorer.placement import CPU
from mmexplorer.presets import preset

LABELS = ("red circle", "blue square", "a green triangle and the red square", "drawing")


class Resident:
    """Stands in for the residency: one model under any name, and whether it is held."""

    def __init__(self, model):
        self.model, self.held, self.uses = model, False, []

    @contextmanager
    def use(self, key):
        preset(key)
        assert not self.held
        self.held = True
        self.uses.append(key)
        try:
            yield self.model
        finally:
            self.held = False


@pytest.fixture(params=["clip", "siglip"])
def folder(request, clip_folder, siglip_folder):
    return clip_folder if request.param == "clip" else siglip_folder


@pytest.fixture
def resident(folder, monkeypatch):
    from mmexplorer.models.clip import load

    resident = Resident(load(preset("toy-clip"), folder, CPU))
    monkeypatch.setattr(zero_shot, "residency", resident)
    return resident


# Parity


@pytest.mark.parametrize("template", ["{}", "a photo of a {}"])
def test_parity_with_the_transformers_pipeline(resident, folder, pictures, template):
    import torch
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, pipeline

    library = pipeline(
        "zero-shot-image-classification",
        model=AutoModel.from_pretrained(folder, dtype=torch.float32),
        tokenizer=AutoTokenizer.from_pretrained(folder),
        image_processor=AutoImageProcessor.from_pretrained(folder),
    )
    ours = mmexplorer.classify(pictures, LABELS, templates=(template,))
    spread = 0.0
    for row, picture in zip(ours.probabilities, pictures, strict=True):
        answer = library(picture, candidate_labels=list(LABELS), hypothesis_template=template)
        theirs = {entry["label"]: entry["score"] for entry in answer}
        np.testing.assert_allclose(row, [theirs[label] for label in LABELS], atol=1e-5, rtol=0)
        spread = max(spread, np.ptp(row))
    assert spread > 0.02  # equal scores would prove nothing


def test_the_result_carries_what_made_it(resident, pictures):
    result = mmexplorer.classify(pictures[0], LABELS, model="toy-clip-withheld")
    assert result.labels == LABELS and result.model == "toy-clip-withheld" and result.templates == ("{}",)
    assert result.cosines.shape == result.probabilities.shape == (1, 4)
    assert result.template_cosines.shape == (1, 1, 4)
    np.testing.assert_allclose(result.template_cosines[0], result.cosines, atol=1e-6)
    assert result.activation == resident.model.activation and result.logit_scale == resident.model.logit_scale
    rescaled = result.rescaled(result.logit_scale)
    np.testing.assert_allclose(rescaled.probabilities, result.probabilities, atol=1e-7)


def test_an_ensemble_is_the_renormalised_mean_of_unit_embeddings(resident, pictures):
    templates = ("{}", "a photo of a {}", "drawing of the {}")
    result = mmexplorer.classify(pictures[:2], LABELS, templates=templates)
    images = resident.model.embed_images(pictures[:2])
    for m, label in enumerate(LABELS):
        prompts = [template.replace("{}", label) for template in templates]
        each = resident.model.embed_texts(prompts)
        mean = each.sum(axis=0) / 3
        np.testing.assert_allclose(result.cosines[:, m], images @ (mean / np.linalg.norm(mean)), atol=1e-6)
        np.testing.assert_allclose(result.template_cosines[:, :, m].T, images @ each.T, atol=1e-6)


# Nothing twice


def counts(resident):
    return resident.model.image_forward_count, resident.model.text_forward_count


def test_edited_labels_do_not_encode_the_picture_again(resident, pictures):
    mmexplorer.classify(pictures[:3], LABELS)
    assert counts(resident) == (3, 4)
    mmexplorer.classify(pictures[:3], [*LABELS[:3], "blue circle"])
    assert counts(resident) == (3, 5)


def test_a_new_picture_does_not_encode_the_labels_again(resident, pictures):
    mmexplorer.classify(pictures[0], LABELS)
    mmexplorer.classify(pictures[1], LABELS)
    assert counts(resident) == (2, 4)


def test_the_same_picture_from_another_source_is_the_same_picture(resident, pictures):
    buffer = io.BytesIO()
    pictures[1].save(buffer, "PNG")
    for source in (pictures[1], np.asarray(pictures[1]), buffer.getvalue()):
        mmexplorer.classify(source, LABELS)
    assert counts(resident) == (1, 4)


def test_sixty_four_pictures_are_scored_in_order(resident, pictures, monkeypatch):
    many = [pictures[i % len(pictures)] for i in range(64)]
    result = mmexplorer.classify(many, LABELS)
    assert result.cosines.shape == (64, 4)
    np.testing.assert_array_equal(result.cosines[: len(pictures)], result.cosines[6 : 6 + len(pictures)])
    assert counts(resident)[0] == len(pictures)


# What people type


def test_labels_are_cleaned_and_the_changes_are_said():
    labels, remarks = clean_labels([" red  circle ", "", "blue", "\t", "red circle", "Blue"])
    assert labels == ("red circle", "blue", "Blue")
    assert remarks == ("2 empty labels were left out.", "Given more than once and counted once: 'red circle'.")
    assert clean_labels(["red"]) == (("red",), ())
    assert clean_labels("red, green") == (("red, green",), ())
    assert clean_labels(np.array(["red", None, 3], dtype=object)) == (("red", "3"), ("1 empty label was left out.",))


def test_many_repeated_labels_make_a_short_remark():
    (remark,) = clean_labels([f"label {i}" for i in range(500)] * 2)[1]
    assert remark.endswith("and 495 more.") and len(remark) < 200


def test_classify_scores_each_label_once(resident, pictures):
    result = mmexplorer.classify(pictures[0], ["red", " red", "", "blue"])
    assert result.labels == ("red", "blue") and result.cosines.shape == (1, 2)


def test_unknown_words_are_reported_from_labels_and_templates(resident, pictures):
    result = mmexplorer.classify(pictures[0], ["red zorg", "blue"], templates=("{}", "a sketch of {}"))
    assert set(result.unknown_words) == {"zorg", "sketch"}


def test_labels_that_the_model_reads_only_in_part_are_named(resident, pictures):
    long = "red " * 70
    assert cut_labels([long, "blue"]) == (" ".join(long.split()),)
    assert cut_labels(["red", "blue"]) == ()
    assert mmexplorer.classify(pictures[0], [long, "blue"]).cosines.shape == (1, 2)


def test_braces_in_labels_and_templates_are_only_text(resident, pictures):
    result = mmexplorer.classify(pictures[0], ["{0} red", "{red}", "{}"], templates=("{x} {}",))
    assert result.labels == ("{0} red", "{red}", "{}")


def test_half_a_surrogate_pair_is_scored_as_a_question_mark(resident, pictures):
    assert mmexplorer.classify(pictures[0], ["\ud800 red", "blue"]).labels == ("? red", "blue")


LIMITS = [
    ({"labels": []}, "no labels yet"),
    ({"labels": ["", "  "]}, "no labels yet"),
    ({"labels": None}, "no labels yet"),
    ({"labels": [f"label {i}" for i in range(5000)]}, "At most 1,000 labels"),
    ({"labels": ["red " * 2500]}, "has 9,999 characters"),
    ({"images": []}, "no picture yet"),
    ({"images": None}, "no picture yet"),
    ({"images": [Image.new("RGB", (4, 4))] * 65}, "At most 64 pictures"),
    ({"images": [Image.new("RGB", (4, 4)), b"no picture"]}, "Picture 2 is not a picture"),
    ({"images": b""}, "empty file"),
    ({"templates": ()}, "no template"),
    ({"templates": ("a photo",)}, "exactly once"),
    ({"templates": ("{} and {}",)}, "exactly once"),
    ({"templates": ("{}" + "x" * 10_000,)}, "longer than"),
    ({"templates": [f"{i} {{}}" for i in range(200)]}, "too much at once"),
    ({"labels": [str(i) for i in range(900)], "templates": [f"{i} {{}}" for i in range(50)]}, "too much at once"),
    ({"model": "no-such-model"}, "no model called"),
]


@pytest.mark.parametrize(("change", "words"), LIMITS, ids=[words for _, words in LIMITS])
def test_what_cannot_be_done_is_refused_before_the_model_runs(resident, change, words):
    arguments = {"images": Image.new("RGB", (4, 4)), "labels": ["red"]} | change
    images = arguments.pop("images")
    with pytest.raises(Refusal) as refusal:
        mmexplorer.classify(images, **arguments)
    sentence = str(refusal.value)
    assert words in sentence and sentence.endswith(".") and "\n" not in sentence and len(sentence) < 300
    assert counts(resident) == (0, 0)


def test_the_largest_request_is_served(resident):
    labels = [f"label {i}" for i in range(1000)]
    result = mmexplorer.classify(Image.new("RGB", (4, 4)), labels)
    assert result.probabilities.shape == (1, 1000)


# The five steps


def test_trace_shows_the_numbers_of_the_classification(resident, pictures):
    templates = ("{}", "a photo of a {}")
    trace = zero_shot.trace(pictures[3], LABELS[:2], templates=templates)
    assert trace.prompts == (("red circle", "a photo of a red circle"), ("blue square", "a photo of a blue square"))
    assert trace.tokens[0][0] == ("[BOS]", "red", "circle", "[EOS]")
    assert trace.tokens[1][1] == ("[BOS]", "a", "photo", "of", "a", "blue", "square", "[EOS]")
    assert trace.seen.size == (32, 32) and trace.patches == (4, 4)
    assert trace.box == ((50, 0, 150, 100) if not resident.model.is_siglip else (0, 0, 200, 100))
    expected = mmexplorer.classify(pictures[3], LABELS[:2], templates=templates)
    np.testing.assert_array_equal(trace.classification.cosines, expected.cosines)
    np.testing.assert_allclose(trace.text_embeddings @ trace.image_embedding, expected.cosines[0], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(trace.text_embeddings, axis=1), 1, atol=1e-6)


# Where


@pytest.mark.parametrize("method", methods.METHODS)
def test_grounding_covers_the_part_of_the_picture_that_was_seen(resident, pictures, method):
    grounding = mmexplorer.ground_labels(pictures[3], LABELS, method=method)
    assert grounding.words == LABELS and grounding.method == method and grounding.model == "toy-clip"
    assert grounding.maps.shape == (len(grounding.layers), 4, 4, 4)
    assert grounding.image.size == (200, 100)
    assert grounding.box == ((50, 0, 150, 100) if not resident.model.is_siglip else (0, 0, 200, 100))
    on_image = grounding.on_image(len(grounding.layers) - 1, 0)
    assert on_image.shape == (100, 200)
    expected = mmexplorer.classify(pictures[3], LABELS)
    np.testing.assert_array_equal(grounding.scores, expected.cosines[0])


def test_grounding_explains_the_ensemble(resident, pictures):
    """With a single label and occlusion, the map is a function of the ensemble embedding alone."""
    templates = ("{}", "a photo of a {}")
    grounding = mmexplorer.ground_labels(pictures[0], LABELS[:1], method="occlusion", templates=templates)
    ensemble = zero_shot.trace(pictures[0], LABELS[:1], templates=templates).text_embeddings
    maps, _, _ = methods.ground(resident.model, pictures[0], ensemble, method="occlusion")
    np.testing.assert_array_equal(grounding.maps, maps)


def test_contrast_changes_the_question(resident, pictures):
    plain, contrast = (
        mmexplorer.ground_labels(pictures[0], LABELS, method="occlusion", contrast=on).maps for on in (False, True)
    )
    assert np.abs(plain - contrast).max() > 0.1 * plain.max()


def test_grounding_refuses_too_many_labels_and_unknown_methods(resident, pictures):
    with pytest.raises(Refusal, match="at most 64 labels"):
        mmexplorer.ground_labels(pictures[0], [f"label {i}" for i in range(65)])
    with pytest.raises(Refusal, match="no method 'x'"):
        mmexplorer.ground_labels(pictures[0], LABELS, method="x")


def test_the_device_is_held_while_the_model_runs_and_released_after(resident, pictures, monkeypatch):
    def checked(function):
        def call(*arguments, **options):
            assert resident.held
            return function(*arguments, **options)

        return call

    for name in ("embed_images", "embed_texts", "look_inside", "unknown_words", "seen", "tokens", "truncated"):
        monkeypatch.setattr(resident.model, name, checked(getattr(resident.model, name)))
    mmexplorer.classify(pictures[0], LABELS)
    zero_shot.trace(pictures[0], LABELS)
    mmexplorer.ground_labels(pictures[0], LABELS, method="relevance")
    cut_labels(LABELS)
    assert not resident.held and len(resident.uses) == 5


# Imports


def test_importable_without_the_heavy_libraries():
    program = (
        "import sys, mmexplorer, mmexplorer.methods, mmexplorer.pictures, mmexplorer.explore.zero_shot;"
        "import mmexplorer.explore.zero_shot_code, mmexplorer.explore.catalogue;"
        "print(sorted({'torch', 'transformers', 'diffusers', 'umap', 'plotly', 'gradio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_catalogue_stays_callable_after_a_model_was_imported():
    import mmexplorer.models.clip

    keys = [row.key for row in mmexplorer.models()]
    assert keys[0] == "toy-clip" and "clip-vit-base-patch32" in keys
    assert mmexplorer.__version__ == "0.1.0"
