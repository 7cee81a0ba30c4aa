"""The trainings that sweeps repeat: one call trains one model once and returns its final losses.

They are functions of modules, with nothing but numbers and names for arguments, so that a process
on another core, or another machine, can be asked to run them.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from datasets import Images, Regression, minibatches
from experiments.lineup import build
from experiments.protocol import BATCH_SIZE
from experiments.sweep import Result
from minigrad import Tensor, mse_loss, nn
from minigrad.functional import cross_entropy

__all__ = ["train_classifier", "train_linear", "train_mlp"]


def train_linear(
    data: Regression,
    *,
    optimizer: str,
    lr: float,
    seed: int,
    epochs: int = 2,
    **hyperparameters: Any,
) -> Result:
    """Train the section's linear model by its protocol, on batches of 10.

    Parameters
    ----------
    data : Regression
        What to train on.
    optimizer : str
        A name of `experiments.lineup`.
    lr : float
        Learning rate.
    seed : int
        Of the initial weights and of the batches: the same for every optimizer.
    epochs : int
        Passes over the data.
    **hyperparameters
        The optimizer's others.

    Returns
    -------
    dict
        ``loss``: ½ mean squared error over all examples at the end, inf if it diverged.

    Examples
    --------
    >>> from datasets import airfoil_stand_in
    >>> result = train_linear(airfoil_stand_in(), optimizer="adam", lr=0.01, seed=1)
    >>> round(result["loss"], 2)
    0.24
    """
    # The bias is one more weight, on a feature that is 1: all optimizers take a matrix.
    A = np.column_stack([data.X, np.ones(len(data.X))])
    weights, batches = np.random.default_rng(seed).spawn(2)
    start = np.append(weights.normal(0.0, 0.01, data.X.shape[1]), 0.0)
    w = Tensor(start[:, None], requires_grad=True)
    rule = build(optimizer, [w], lr=lr, nonfinite="ignore", **hyperparameters)
    with np.errstate(all="ignore"):  # a training that diverges is a result
        for _ in range(epochs):
            for X, y in minibatches(A, data.y, BATCH_SIZE, batches):
                rule.zero_grad()
                (mse_loss(X @ w, y) / 2).backward()  # ½ mean squared error
                rule.step()
        loss = float(np.mean((A @ w.data - data.y) ** 2)) / 2
    return {"loss": loss if np.isfinite(loss) else np.inf}


def train_mlp(
    data: Regression,
    *,
    optimizer: str,
    lr: float,
    seed: int,
    hidden: int = 16,
    epochs: int = 10,
    **hyperparameters: Any,
) -> Result:
    """Train a small MLP with one hidden layer of tanh; as `train_linear` otherwise.

    Returns
    -------
    dict
        ``loss``: as `train_linear`'s.  ``last_epoch``: mean of the batches' losses in the last
        epoch, each before its step; at a constant learning rate it varies less than ``loss``,
        which is that of the very last step.

    Examples
    --------
    >>> from datasets import airfoil_stand_in
    >>> result = train_mlp(airfoil_stand_in(), optimizer="adam", lr=0.01, seed=1, epochs=1)
    >>> 0.1 < result["loss"] < 0.5
    True
    """
    weights, batches = np.random.default_rng(seed).spawn(2)
    net = nn.Sequential(
        nn.Linear(data.X.shape[1], hidden, rng=weights),
        nn.Tanh(),
        nn.Linear(hidden, 1, rng=weights),
    )
    rule = build(optimizer, net.parameters(), lr=lr, nonfinite="ignore", **hyperparameters)
    with np.errstate(all="ignore"):
        for _ in range(epochs):
            seen = []
            for X, y in minibatches(data.X, data.y, BATCH_SIZE, batches):
                rule.zero_grad()
                loss = mse_loss(net(X), y) / 2
                loss.backward()
                rule.step()
                seen.append(loss.item())
        found = {
            "loss": mse_loss(net(data.X), data.y).item() / 2,
            "last_epoch": float(np.mean(seen)),
        }
    return {name: loss if np.isfinite(loss) else np.inf for name, loss in found.items()}


def train_classifier(
    data: Mapping[str, Images],
    *,
    optimizer: str,
    lr: float,
    seed: int,
    hidden: int = 64,
    epochs: int = 30,
    batch_size: int = 20,
    **hyperparameters: Any,
) -> Result:
    """Train softmax regression, or an MLP with one hidden layer of ReLU, to tell images apart.

    Parameters
    ----------
    data : mapping
        ``data["train"]`` is what to train on; every part, such as "test", is evaluated at the end.
    optimizer, lr, seed, **hyperparameters
        As in `train_linear`.
    hidden : int
        Units of the hidden layer; 0: softmax regression.
    epochs : int
        Passes over the training images.
    batch_size : int
        Images in a batch.

    Returns
    -------
    dict
        For each part of the data, ``train_loss``, ``test_loss``, ...: mean cross-entropy in nats,
        inf if it diverged; and ``train_error``, ``test_error``, ...: which part of the images is
        taken for another class.

    Examples
    --------
    >>> from datasets import glyphs
    >>> rng = np.random.default_rng(0)
    >>> data = {"train": glyphs(200, rng), "test": glyphs(500, rng)}
    >>> result = train_classifier(data, optimizer="adam", lr=0.003, seed=1)
    >>> result["train_error"] < 0.01 < result["test_error"] < 0.5
    True
    """
    train = data["train"]
    weights, batches = np.random.default_rng(seed).spawn(2)
    pixels, classes = train.X[0].size, int(train.y.max()) + 1
    sizes = [pixels, hidden, classes] if hidden else [pixels, classes]
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs, rng=weights, dtype=train.X.dtype), nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    rule = build(optimizer, net.parameters(), lr=lr, nonfinite="ignore", **hyperparameters)
    with np.errstate(all="ignore"):
        for _ in range(epochs):
            for X, y in minibatches(train.X, train.y, batch_size, batches):
                rule.zero_grad()
                cross_entropy(net(X), y).backward()
                rule.step()
        result = {}
        for part, images in data.items():
            logits = net(images.X).data
            loss = float(cross_entropy(logits, images.y))
            result[f"{part}_loss"] = loss if np.isfinite(loss) else np.inf
            result[f"{part}_error"] = float(np.mean(logits.argmax(axis=1) != images.y))
    return result
