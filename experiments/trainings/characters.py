"""TinyLM on a text: one training, the loss of each character, and text that it writes itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from datasets import MinibatchStream
from datasets.time_machine import TRAINING_WINDOWS, VOCABULARY, Text, encode, windows
from experiments.lineup import build
from experiments.sweep import Result
from experiments.sweep.executors import one_blas_thread
from experiments.trainings.resumable import Checkpoints, train
from experiments.trainings.tiny_lm import TinyLM
from minigrad import no_grad
from minigrad.functional import log_softmax
from optim import Optimizer

__all__ = [
    "BATCH_SIZE",
    "LENGTH",
    "PROMPT",
    "SAMPLED",
    "evaluation_windows",
    "losses_by_character",
    "start_on_text",
    "train_on_text",
    "training_characters",
    "write_on",
]

BATCH_SIZE, LENGTH = 64, 65  # windows in a batch, characters in a window
EVALUATED = 128  # windows, of the training text and of the rest
PROMPT, SAMPLED = "the time traveller ", 200

Windows = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def train_on_text(
    text: Text,
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
    """Train TinyLM on a text's training windows, at a constant learning rate.

    Parameters
    ----------
    text : Text
        Its first windows, `TRAINING_WINDOWS` of them, are for training.
    optimizer : str
        A name of `experiments.lineup`.
    lr : float
        Its learning rate; `hyperparameters` are its others that are not the defaults.
    steps, seed : int
        The seed draws the model, then the batches, by one generator.
    every : int
        Steps between evaluations.
    checkpoints, description
        As for `experiments.trainings.resumable.train`.

    Returns
    -------
    dict
        `History.summary`, where ``training`` and ``held_out`` are the sums of the losses of each
        character of the vocabulary; and ``sample``, the prompt and the characters that the model
        writes after it, none if it has diverged.
    """
    model, rule, batches = start_on_text(
        text, optimizer=optimizer, lr=lr, seed=seed, **hyperparameters
    )
    training, held_out = evaluation_windows(text)
    history = train(
        model, rule, batches, steps=steps, checkpoints=checkpoints, description=description,
        every=every, evaluate=lambda: {
            "training": losses_by_character(model, *training),
            "held_out": losses_by_character(model, *held_out),
        },
    )  # fmt: skip
    sample = encode("")
    if history.diverged is None:
        with one_blas_thread():
            sample = write_on(model, encode(PROMPT), SAMPLED, np.random.default_rng(seed))
    return {**history.summary(), "sample": sample.tolist()}


def start_on_text(
    text: Text, *, optimizer: str, lr: float, seed: int, **hyperparameters: Any
) -> tuple[TinyLM, Optimizer, MinibatchStream]:
    """Return the model, the optimizer and the batches that `train_on_text` starts with."""
    rng = np.random.default_rng(seed)
    model = TinyLM(rng=rng)
    X, y = (part[:TRAINING_WINDOWS] for part in windows(text.characters, LENGTH))
    batches = MinibatchStream(X, y, BATCH_SIZE, rng)
    return model, build(optimizer, model.parameters(), lr=lr, **hyperparameters), batches


def training_characters(text: Text) -> npt.NDArray[np.int64]:
    """Return the part of a text that its training windows cover."""
    return text.characters[: TRAINING_WINDOWS + LENGTH - 1]


def evaluation_windows(text: Text) -> tuple[Windows, Windows]:
    """Return some windows of the training text and some of the rest, evenly spaced in each.

    Raises
    ------
    ValueError
        If nothing is left beside the training windows.
    """
    X, y = windows(text.characters, LENGTH)
    first = TRAINING_WINDOWS + LENGTH - 1  # the first that shares no character with them
    if len(X) <= first:
        raise ValueError(
            f"the text has {len(text.characters):,} characters; {first + LENGTH:,} are needed, "
            "so that a window is left beside those for training"
        )
    training = np.linspace(0, TRAINING_WINDOWS - 1, EVALUATED).astype(int)
    held_out = np.linspace(first, len(X) - 1, EVALUATED).astype(int)
    return (X[training], y[training]), (X[held_out], y[held_out])


def losses_by_character(
    model: Any, X: npt.NDArray[np.int64], y: npt.NDArray[np.int64]
) -> list[float]:
    """Return for each character of the vocabulary the sum of the losses where it comes next.

    Their sum, divided by the number of targets, is the model's loss.

    Examples
    --------
    >>> model = TinyLM(width=8, rng=np.random.default_rng(0))
    >>> X, y = windows(encode("the time traveller smiled"), length=9)
    >>> sums = losses_by_character(model, X, y)
    >>> bool(np.isclose(sum(sums) / y.size, model.loss(X, y).item()))
    True
    """
    with no_grad():
        log_probabilities = np.asarray(log_softmax(model(X)).data, dtype=np.float64)
    losses = -np.take_along_axis(log_probabilities, y[..., np.newaxis], axis=-1)
    return np.bincount(y.ravel(), losses.ravel(), minlength=len(VOCABULARY)).tolist()


def write_on(
    model: Any, prompt: npt.NDArray[np.int64], length: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return the prompt and `length` characters after it, each drawn with the model's probability.

    The model sees the last 64 characters.

    Examples
    --------
    >>> from datasets.time_machine import decode
    >>> model = TinyLM(width=8, rng=np.random.default_rng(0))
    >>> decode(write_on(model, encode("the "), 3, np.random.default_rng(0)))[:4]
    'the '
    """
    written = np.concatenate([prompt, np.zeros(length, np.int64)])
    for end in range(len(prompt), len(written)):
        with no_grad():
            logits = model(written[np.newaxis, max(0, end - LENGTH + 1) : end]).data[0, -1]
        # The largest of the logits with Gumbel noise added is one drawn by their softmax.
        written[end] = np.argmax(logits + rng.gumbel(size=len(logits)))
    return written
