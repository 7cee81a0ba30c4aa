"""SmallCNN: its structure."""

import math

import numpy as np
import pytest

from experiments.trainings.small_cnn import SmallCNN


@pytest.mark.parametrize(("size", "parameters"), [(16, 38_282), (28, 105_866)])
def test_the_parameters_are_as_many_as_the_sizes_say(size: int, parameters: int) -> None:
    model = SmallCNN(size, rng=np.random.default_rng(0))
    convolutions = 16 * 9 + 16 + 32 * 16 * 9 + 32
    linear = 32 * (size // 4) ** 2 * 64 + 64 + 64 * 10 + 10
    assert sum(p.size for p in model.parameters()) == convolutions + linear == parameters
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}
    assert model(np.zeros((3, 1, size, size), np.float32)).shape == (3, 10)


def test_the_images_of_a_batch_do_not_mix() -> None:
    rng = np.random.default_rng(0)
    model = SmallCNN(8, rng=rng, dtype=np.float64)
    images = rng.normal(size=(4, 1, 8, 8))
    alone = np.concatenate([model(images[i : i + 1]).data for i in range(4)])
    np.testing.assert_allclose(model(images).data, alone, rtol=0, atol=1e-14)


def test_every_pixel_and_every_parameter_counts() -> None:
    rng = np.random.default_rng(0)
    model = SmallCNN(8, rng=rng, dtype=np.float64)
    images, labels = rng.normal(size=(50, 1, 8, 8)), rng.integers(0, 10, 50)
    model.loss(images, labels).backward()
    for name, parameter in model.named_parameters():
        assert np.any(parameter.grad != 0), name
    logits = model(images).data
    for row, column in np.ndindex(8, 8):
        changed = images.copy()
        changed[:, 0, row, column] += 1
        assert np.any(model(changed).data != logits)


def test_the_loss_is_the_mean_over_the_images() -> None:
    rng = np.random.default_rng(0)
    model = SmallCNN(8, rng=rng, dtype=np.float64)
    images, labels = rng.normal(size=(5, 1, 8, 8)), rng.integers(0, 10, 5)
    logits = model(images).data
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = -sum(math.log(p[i, label]) for i, label in enumerate(labels)) / 5
    assert model.loss(images, labels).item() == pytest.approx(expected, rel=1e-13)


def test_images_of_another_size_are_refused() -> None:
    model = SmallCNN(16, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"affine of shape \(2, 800\) and \(512, 64\)"):
        model(np.zeros((2, 1, 20, 20), np.float32))
    with pytest.raises(ValueError, match=r"images .* have 3 channels, kernels .* take 1"):
        model(np.zeros((2, 3, 16, 16), np.float32))
