"""SmallCNN: its structure, and its training steps against those that PyTorch took."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optim
from experiments.trainings.small_cnn import SmallCNN
from minigrad import nn

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "reference" / "small_cnn.json").read_text(encoding="utf-8")
)
RUNS: list[dict[str, Any]] = RECORDED["runs"]
OPTIMIZERS: dict[str, Any] = {
    "SGD, momentum 0.9": (optim.SGD, {"momentum": 0.9}),
    "Adam": (optim.Adam, {}),
}
TOLERANCE = {"float32": 1e-6, "float64": 1e-14}
"""Relative to the loss.  The two sides differ by 2e-7 in float32, and by 2e-16 in float64."""


def largest_error(
    run: dict[str, Any], change: Callable[[SmallCNN], None] = lambda model: None
) -> float:
    """Of any step's loss, relative to the recorded one; with a changed model if asked for."""
    rng = np.random.default_rng(RECORDED["seed"])
    size, n = RECORDED["size"], RECORDED["images"]
    model = SmallCNN(size, rng=rng, dtype=np.dtype(run["dtype"]))
    images = rng.normal(size=(n, 1, size, size)).astype(run["dtype"])
    labels = rng.integers(0, 10, n)
    change(model)
    rule, options = OPTIMIZERS[run["optimizer"]]
    optimizer = rule(model.parameters(), lr=run["lr"], **options)
    errors = []
    for recorded in run["losses"]:
        optimizer.zero_grad()
        loss = model.loss(images, labels)
        loss.backward()
        errors.append(abs(loss.item() - recorded) / recorded)
        optimizer.step()
    return max(errors)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run['optimizer']}, {run['dtype']}")
def test_the_losses_are_those_recorded_from_pytorch(run: dict[str, Any]) -> None:
    assert len(run["losses"]) == 20
    assert largest_error(run) < TOLERANCE[run["dtype"]]


def with_average_pooling(model: SmallCNN) -> None:
    model.layers.layers[1] = nn.AvgPool2d(2)


def with_flipped_kernels(model: Any) -> None:
    weight = model.layers[0].weight
    weight.data = np.ascontiguousarray(weight.data[:, :, ::-1, ::-1])


@pytest.mark.parametrize("mistake", [with_average_pooling, with_flipped_kernels])
def test_a_mistake_changes_the_losses(mistake: Callable[[SmallCNN], None]) -> None:
    assert largest_error(RUNS[0], mistake) > 0.01


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
    for shape in ((2, 1, 20, 20), (2, 1, 17, 17), (2, 3, 16, 16), (1, 16, 16)):
        with pytest.raises(ValueError, match=rf"{re.escape(str(shape))}: .* \(n, 1, 16, 16\)"):
            model(np.zeros(shape, np.float32))


@pytest.mark.parametrize("size", [4, 5, 6, 7])
def test_a_size_need_be_no_multiple_of_four(size: int) -> None:
    model = SmallCNN(size, rng=np.random.default_rng(0))
    assert model(np.zeros((2, 1, size, size), np.float32)).shape == (2, 10)


def test_a_size_of_which_nothing_would_be_left_is_refused() -> None:
    with pytest.raises(ValueError, match=r"size=3: .* from 4"):
        SmallCNN(3, rng=np.random.default_rng(0))
