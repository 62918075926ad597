"""What every method promises, on the real classes of both families with random weights."""

import numpy as np
import pytest

from mmexplorer import methods
from mmexplorer.errors import Refusal
from mmexplorer.methods import METHODS, contrasted, ground
from mmexplorer.models.clip import load
from mmexplorer.placement import CPU
from mmexplorer.presets import preset

LABELS = ["red circle", "blue square", "green triangle"]


@pytest.fixture(scope="module", params=["clip", "siglip"])
def clip(request, clip_folder, siglip_folder):
    return load(preset("toy-clip"), clip_folder if request.param == "clip" else siglip_folder, CPU)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("contrast", [True, False])
def test_maps_are_patches_by_label_and_layer(clip, pictures, method, contrast):
    texts = clip.embed_texts(LABELS)
    maps, layers, image_share = ground(clip, pictures[1], texts, method=method, contrast=contrast)
    assert maps.shape == (len(layers), 3, 4, 4) and image_share.shape == (len(layers), 3)
    assert maps.dtype == image_share.dtype == np.float32
    assert np.isfinite(maps).all() and (maps >= 0).all()
    assert len(set(layers)) == len(layers)
    assert len(np.unique(maps[-1])) > 12  # neither constant nor the same for every label
    shares = image_share[np.isfinite(image_share)]
    assert ((shares >= 0) & (shares <= 1)).all()


@pytest.mark.parametrize("method", METHODS)
def test_labels_do_not_disturb_each_other(clip, pictures, method):
    texts = clip.embed_texts(LABELS)
    together, _, _ = ground(clip, pictures[1], texts, method=method, contrast=False)
    for word in range(3):
        alone, _, _ = ground(clip, pictures[1], texts[word : word + 1], method=method, contrast=False)
        np.testing.assert_allclose(together[:, word], alone[:, 0], atol=1e-5 * together.max())
    assert np.abs(together[-1, 0] - together[-1, 1]).max() > 0.05 * together[-1].max()


@pytest.mark.parametrize("method", METHODS)
def test_pictures_differ_and_embeddings_stay(clip, pictures, method):
    texts, before = clip.embed_texts(LABELS), clip.embed_images(pictures)
    maps = [ground(clip, picture, texts, method=method)[0] for picture in pictures[:2]]
    assert np.abs(maps[0] - maps[1]).max() > 0
    clip._images.clear()
    assert np.array_equal(clip.embed_images(pictures), before)


def test_contrast_takes_off_the_mean_of_the_others():
    texts = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=np.float32)
    assert contrasted(texts).tolist() == [[1.0, 0.0], [-0.5, 1.5], [-0.5, -1.5]]
    assert contrasted(texts[:1]).tolist() == [[1.0, 0.0]]


def test_contrast_is_what_the_method_is_asked_about(clip, pictures):
    texts = clip.embed_texts(LABELS)
    contrast, _, _ = ground(clip, pictures[0], texts, method="occlusion", contrast=True)
    plain, _, _ = ground(clip, pictures[0], contrasted(texts), method="occlusion", contrast=False)
    assert np.array_equal(contrast, plain)


def test_an_unknown_method_is_refused_with_the_known_ones(clip, pictures):
    with pytest.raises(Refusal, match="relevance, occlusion"):
        ground(clip, pictures[0], clip.embed_texts(LABELS), method="guessing")


def test_the_table_is_consistent():
    assert methods.DEFAULT in METHODS
    assert all(key == method.key and method.one_sentence.endswith(".") for key, method in METHODS.items())
    assert all("https://arxiv.org/abs/" in method.paper for method in METHODS.values())


def test_relevance_names_its_layers(clip, pictures):
    _, layers, image_share = ground(clip, pictures[0], clip.embed_texts(LABELS), method="relevance")
    if clip.is_siglip:
        assert layers == ("layer 1", "layer 2", "layer 3", "pooling", "all layers")
        assert (image_share == 1).all()  # there is no class token
    else:
        assert layers == ("layer 1", "layer 2", "layer 3", "all layers")
        assert (image_share[-1] < 1).all() and (image_share > 0).all()
