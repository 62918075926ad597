"""The rolled-through relevance equals the paper's algorithm written out, on weights small enough to follow."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmexplorer.methods import relevance
from mmexplorer.models.clip import VisionPass

DIRECTIONS = np.array([[1.0, 0.0], [0.3, -0.8]], dtype=np.float32)
SCALE = 10.0


def stub(first_patch: int, layers: int = 3, heads: int = 2):
    """A tower whose embedding is a fixed smooth function of its attention weights."""
    generator = torch.Generator().manual_seed(3)
    tokens = 4 + first_patch

    def weights(queries):
        return torch.rand(1, heads, queries, tokens, generator=generator).softmax(dim=-1).requires_grad_()

    attentions = tuple(weights(tokens) for _ in range(layers))
    pooling = weights(1) if first_patch == 0 else None
    everything = torch.cat([w.flatten() for w in (*attentions, *([pooling] if pooling is not None else []))])
    mixing = torch.randn(2, len(everything), generator=generator)
    embedding = torch.tanh(mixing @ everything)
    seen = VisionPass(embedding, (), attentions, pooling, first_patch)
    return SimpleNamespace(logit_scale=SCALE, patches=(2, 2), look_inside=lambda image: seen), seen


def papers_algorithm(seen, direction):
    """The rules of arXiv 2103.15679 as they are written: the full relevance matrix, layer by layer."""
    weights = [*seen.attentions, *([seen.pooling] if seen.pooling is not None else [])]
    score = SCALE * (seen.embedding @ torch.tensor(direction))
    gradients = torch.autograd.grad(score, weights, retain_graph=True)
    averaged = [
        np.mean(np.maximum(w.detach().numpy()[0] * g.numpy()[0], 0), axis=0)
        for w, g in zip(weights, gradients, strict=True)
    ]
    relevance_matrix = np.eye(seen.attentions[0].shape[-1])
    for layer in averaged[: len(seen.attentions)]:
        relevance_matrix = relevance_matrix + layer @ relevance_matrix
    return averaged, relevance_matrix


def test_with_a_class_token():
    clip, seen = stub(first_patch=1)
    maps, layers, image_share = relevance.maps(clip, None, DIRECTIONS)
    assert maps.shape == (4, 2, 2, 2) and layers[-1] == "all layers"
    for word, direction in enumerate(DIRECTIONS):
        averaged, matrix = papers_algorithm(seen, direction)
        np.testing.assert_allclose(maps[-1, word].ravel(), matrix[0, 1:], rtol=1e-4)
        for layer in range(3):
            np.testing.assert_allclose(maps[layer, word].ravel(), averaged[layer][0, 1:], rtol=1e-4)
            row = averaged[layer][0]
            assert image_share[layer, word] == pytest.approx(row[1:].sum() / row.sum(), rel=1e-4)
        gathered = matrix[0] - np.eye(5)[0]
        assert image_share[-1, word] == pytest.approx(gathered[1:].sum() / gathered.sum(), rel=1e-4)


def test_with_a_pooling_head():
    clip, seen = stub(first_patch=0)
    maps, layers, image_share = relevance.maps(clip, None, DIRECTIONS)
    assert layers == ("layer 1", "layer 2", "layer 3", "pooling", "all layers")
    for word, direction in enumerate(DIRECTIONS):
        averaged, matrix = papers_algorithm(seen, direction)
        np.testing.assert_allclose(maps[-1, word].ravel(), (averaged[-1] @ matrix)[0], rtol=1e-4)
        np.testing.assert_allclose(maps[-2, word].ravel(), averaged[-1][0], rtol=1e-4)
    assert (image_share == 1).all()


def test_one_layer_by_hand():
    """One head; the score is 10 (2 a01 - a02 + a00): only patches whose attention helps count, by attention x slope."""
    attention = torch.tensor([[[[0.5, 0.2, 0.3], [1.0, 0, 0], [1.0, 0, 0]]]], requires_grad=True)
    embedding = (2 * attention[0, 0, 0, 1] - attention[0, 0, 0, 2] + attention[0, 0, 0, 0])[None]
    seen = VisionPass(embedding, (), (attention,), None, 1)
    clip = SimpleNamespace(logit_scale=SCALE, patches=(1, 2), look_inside=lambda image: seen)
    maps, _, image_share = relevance.maps(clip, None, np.ones((1, 1), dtype=np.float32))
    assert maps[0, 0].tolist() == [[pytest.approx(0.2 * 20), 0.0]]
    assert maps[1, 0].tolist() == [[pytest.approx(0.2 * 20), 0.0]]
    assert image_share.tolist() == [[pytest.approx(4 / 9)], [pytest.approx(4 / 9)]]
