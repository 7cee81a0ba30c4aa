"""Training a classifier of images once, as sweeps do many times."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from datasets import Images, glyphs, minibatches
from experiments.sweep import sweep
from experiments.trainings import train_classifier


@pytest.fixture(scope="module")
def digits() -> dict[str, Images]:
    rng = np.random.default_rng(0)
    return {"train": glyphs(100, rng), "test": glyphs(200, rng)}


def test_softmax_regression_by_hand(digits: dict[str, Images]) -> None:
    """Two epochs of SGD in plain NumPy: the gradient of the logits is (p - 1{y}) / n."""
    lr, seed = 0.5, 3
    result = train_classifier(
        digits, optimizer="sgd", lr=lr, seed=seed, hidden=0, epochs=2, batch_size=20
    )
    weights, batches = np.random.default_rng(seed).spawn(2)
    W, b = weights.uniform(-1 / 16, 1 / 16, (256, 10)), weights.uniform(-1 / 16, 1 / 16, 10)
    train = digits["train"]
    for _ in range(2):
        for X, y in minibatches(train.X, train.y, 20, batches):
            A = X.reshape(len(X), -1).astype(float)
            logits = A @ W + b
            p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            g = (p - np.eye(10)[y]) / len(X)
            W, b = W - lr * A.T @ g, b - lr * g.sum(axis=0)
    for part, images in digits.items():
        logits = images.X.reshape(len(images.X), -1) @ W + b
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        loss = -np.mean(np.log(p[np.arange(len(p)), images.y]))
        assert result[f"{part}_loss"] == pytest.approx(loss, rel=1e-4)
        assert result[f"{part}_error"] == np.mean(p.argmax(axis=1) != images.y)


def test_every_part_is_evaluated_and_only_one_trained_on(digits: dict[str, Images]) -> None:
    result = train_classifier(digits, optimizer="adam", lr=0.01, seed=1, epochs=20)
    assert set(result) == {"train_loss", "train_error", "test_loss", "test_error"}
    other = digits | {"test": replace(digits["test"], y=(digits["test"].y + 1) % 10)}
    again = train_classifier(other, optimizer="adam", lr=0.01, seed=1, epochs=20)
    assert again["train_loss"] == result["train_loss"] < 0.1
    assert result["test_error"] < 0.5 < 0.8 < again["test_error"]


def test_a_training_that_diverges_has_an_infinite_loss(digits: dict[str, Images]) -> None:
    result = train_classifier(digits, optimizer="sgd", lr=1e30, seed=1, epochs=3)
    assert result["train_loss"] == result["test_loss"] == np.inf
    assert result["test_error"] == pytest.approx(0.9)


def test_it_runs_in_a_sweep_with_its_data_bound(digits: dict[str, Images]) -> None:
    run = {"optimizer": "yogi", "lr": 0.01, "seed": 1, "epochs": 2, "weight_decay": 0.1}
    (result,) = sweep(partial(train_classifier, digits), [run], workers=1)
    assert result == train_classifier(digits, **run)  # type: ignore[arg-type]
