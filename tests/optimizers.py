"""Every optimizer there is, and small things to run them on."""

from __future__ import annotations

from typing import Any

import numpy as np

import optim
from minigrad import Tensor

OPTIMIZERS: list[Any] = [
    member
    for name in optim.__all__
    if isinstance(member := getattr(optim, name), type)
    and issubclass(member, optim.Optimizer)
    and member is not optim.Optimizer
]


def parameter(values: Any = (1.0, 2.0), gradient: Any = None) -> Tensor:
    """A vector, or what else is given, with a gradient."""
    x = Tensor(values, requires_grad=True)
    x.grad = gradient if gradient is None else np.asarray(gradient)
    return x


def matrix(values: Any = ((1.0, 2.0), (3.0, -4.0)), dtype: Any = np.float64) -> Tensor:
    """A parameter that every optimizer takes."""
    return Tensor(np.array(values, dtype), requires_grad=True)


def train(optimizer: optim.Optimizer, parameters: list[Tensor], steps: int, seed: int = 0) -> None:
    """Make steps with random gradients."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        for p in parameters:
            p.grad = rng.standard_normal(p.shape).astype(p.dtype)
        optimizer.step()


def snapshot(optimizer: optim.Optimizer, parameters: list[Tensor]) -> str:
    """All that a refused call has to leave as it was; floats to the last digit."""
    np_options: Any = {"threshold": 10**6, "floatmode": "unique"}
    with np.printoptions(**np_options):
        values = repr([p.data for p in parameters])
        return values + repr(optimizer.state_dict()) + repr(optimizer.nonfinite)
