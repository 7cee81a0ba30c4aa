"""SmallCNN on images: which images, one training, and how often it is right on others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from datasets import STAND_IN, DataError, Images, MinibatchStream, fashion_mnist, glyphs, mnist
from experiments.lineup import build
from experiments.sweep import Result
from experiments.trainings.resumable import Checkpoints, train
from experiments.trainings.small_cnn import SMALLEST, SmallCNN
from minigrad import no_grad

__all__ = [
    "BATCH_SIZE",
    "TEST_IMAGES",
    "TRAINING_IMAGES",
    "TrainAndTest",
    "accuracy",
    "images",
    "train_on_images",
]

BATCH_SIZE = 64
TRAINING_IMAGES, TEST_IMAGES = 10_000, 2000  # that are drawn
TOGETHER = 500  # test images that go through the network at once


@dataclass(frozen=True)
class TrainAndTest:
    """Images to train on, and others of the same size to test on."""

    train: Images
    test: Images


def images(path: str | None, seed: int) -> TrainAndTest:
    """Return drawn digits, or the images of MNIST or Fashion-MNIST.

    Parameters
    ----------
    path : str, optional
        "mnist", or "fashion_mnist" (also "fashion-mnist"): those files where `datasets.mnist` finds
        them.  A folder: the files in it, square images of at least 4x4 pixels, which are called
        Fashion-MNIST's if "fashion" is in its name.  None or "stand-in": drawn digits.
    seed : int
        Draws the digits; files are what they are.

    Raises
    ------
    FileNotFoundError
        As `datasets.mnist`.
    DataError
        As `datasets.mnist`; or if the images are not square, or too small for `SmallCNN`.
    """
    if path is None or path == STAND_IN:
        rng = np.random.default_rng(seed)
        return TrainAndTest(glyphs(TRAINING_IMAGES, rng), glyphs(TEST_IMAGES, rng))
    published = mnist if "fashion" not in Path(path).name else fashion_mnist
    named = path in ("mnist", "fashion_mnist", "fashion-mnist") and not Path(path).is_dir()
    train, test = published(None if named else path)
    height, width = train.X.shape[2:]
    if height != width or height < SMALLEST:
        raise DataError(
            f"{train.source}: found images of shape {(height, width)}, expected square ones of at "
            f"least {(SMALLEST, SMALLEST)}"
        )
    # Wherever the files are, the runs are the same.
    return TrainAndTest(
        replace(train, source=train.source.partition(",")[0]),
        replace(test, source=test.source.partition(",")[0]),
    )


def accuracy(model: SmallCNN, test: Images) -> float:
    """Return the part of the images whose class has the largest logit."""
    right = 0
    with no_grad():
        for start in range(0, len(test.X), TOGETHER):
            part = slice(start, start + TOGETHER)
            right += int(np.sum(model(test.X[part]).data.argmax(axis=1) == test.y[part]))
    return right / len(test.X)


def train_on_images(
    data: TrainAndTest,
    *,
    optimizer: str,
    lr: float,
    steps: int,
    seed: int,
    every: int,
    checkpoints: Checkpoints,
    description: str,
    **hyperparameters: Any,
) -> Result:
    """Train SmallCNN at a constant learning rate.

    Parameters
    ----------
    data : TrainAndTest
        The images.
    optimizer : str
        A name of `experiments.lineup`.
    lr : float
        Its learning rate; `hyperparameters` are its others that are not the defaults.
    steps, seed : int
        The seed draws the model, then the batches, by one generator.
    every : int
        Steps between looks at the test images.
    checkpoints, description
        As for `experiments.trainings.resumable.train`.

    Returns
    -------
    dict
        `History.summary`, where ``accuracy`` is that on the test images.
    """
    rng = np.random.default_rng(seed)
    model = SmallCNN(data.train.X.shape[-1], rng=rng)
    batches = MinibatchStream(data.train.X, data.train.y, BATCH_SIZE, rng)
    rule = build(optimizer, model.parameters(), lr=lr, **hyperparameters)
    history = train(
        model, rule, batches, steps=steps, checkpoints=checkpoints, description=description,
        every=every, parts=1, evaluate=lambda: {"accuracy": accuracy(model, data.test)},
    )  # fmt: skip
    return history.summary()
