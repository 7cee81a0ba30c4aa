"""Run an optimizer, or its bare rule, on given gradients."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad import Tensor
from optim import Optimizer


def rule_of(optimizer_class: Any) -> Callable[..., Any]:
    """Its rule, by the name that every file follows."""
    module = sys.modules[optimizer_class.__module__]
    rule: Callable[..., Any] = getattr(module, f"{optimizer_class.__name__.lower()}_rule")
    return rule


def run(
    optimizer_class: Any, gradients: Any, start: Any = 0.0, **options: Any
) -> npt.NDArray[Any]:
    """The path of x under a sequence of gradients, one row a step, without the start."""
    gradients = np.asarray(gradients)
    x = Tensor(np.broadcast_to(np.asarray(start, gradients.dtype), gradients.shape[1:]), True)
    optimizer: Optimizer = optimizer_class([x], **options)
    path = []
    for g in gradients:
        x.grad = np.array(g)
        optimizer.step()
        path.append(x.data.copy())
    return np.array(path)


def steps(optimizer_class: Any, gradients: Any, **options: Any) -> npt.NDArray[Any]:
    """How far one coordinate goes down at each step, with η = 1.

    Each step starts from 0, so that it is not rounded to the digits of a large x.
    """
    x = Tensor(np.zeros(1), requires_grad=True)
    optimizer: Optimizer = optimizer_class([x], lr=1.0, **options)
    taken = []
    for g in gradients:
        x.data[...] = 0
        x.grad = np.array([g], np.float64)
        optimizer.step()
        taken.append(-x.item())
    return np.array(taken)


def normal(*shape: int, seed: int = 0) -> npt.NDArray[Any]:
    return np.random.default_rng(seed).standard_normal(shape)
