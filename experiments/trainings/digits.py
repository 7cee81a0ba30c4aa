"""A small network on few drawn digits: it fits all of them, and how it does on others varies."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np

from datasets import Images, glyphs
from experiments.sweep import Result
from experiments.trainings.models import train_classifier

__all__ = ["BATCH_SIZE", "HELD_OUT", "HIDDEN", "STEPS", "digits", "train_on_digits"]

HELD_OUT = 1000  # validation images, and test images
HIDDEN, BATCH_SIZE, STEPS = 64, 20, 400


@functools.cache
def digits(seed: int, training_images: int, wrong_labels: float = 0.0) -> dict[str, Images]:
    """Draw training, validation and test images.

    Parameters
    ----------
    seed : int
        Of everything that is drawn.
    training_images : int
        How many to train on.
    wrong_labels : float
        Part of the training images whose labels are drawn at random; one in ten is right by chance.

    Returns
    -------
    dict
        "train", "validation" and "test", the last two with 1000 images and clean labels.

    Examples
    --------
    >>> {part: len(images.X) for part, images in digits(1, 200).items()}
    {'train': 200, 'validation': 1000, 'test': 1000}
    """
    rng = np.random.default_rng(seed)
    train = glyphs(training_images, rng)
    if wrong_labels:
        wrong = rng.random(training_images) < wrong_labels
        labels = np.where(wrong, rng.integers(0, 10, training_images), train.y)
        train = replace(train, y=labels)
    return {"train": train, "validation": glyphs(HELD_OUT, rng), "test": glyphs(HELD_OUT, rng)}


def train_on_digits(
    *, seed: int, training_images: int, wrong_labels: float = 0.0, **options: Any
) -> Result:
    """Train an MLP 256-64-10 on them, 400 steps on batches of 20, all drawn from one seed.

    As `train_classifier` otherwise.
    """
    return train_classifier(
        digits(seed, training_images, wrong_labels),
        seed=seed,
        hidden=HIDDEN,
        epochs=STEPS * BATCH_SIZE // training_images,
        batch_size=BATCH_SIZE,
        **options,
    )
