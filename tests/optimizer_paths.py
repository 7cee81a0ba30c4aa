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
    """How far one coordinate went down at each step, with η = 1."""
    path = run(optimizer_class, np.reshape(gradients, (-1, 1)), lr=1.0, **options)
    return -np.diff(path[:, 0], prepend=0.0)


def normal(*shape: int, seed: int = 0) -> npt.NDArray[Any]:
    return np.random.default_rng(seed).standard_normal(shape)


def plain_loop(rule: Callable[..., Any]) -> Callable[..., None]:
    """The rule on whole arrays, called as an optimizer calls its compiled loop."""

    def loop(x: Any, g: Any, *rest: Any) -> None:
        *state, sign, coefficients = rest
        for old, new in zip((x, *state), rule(x, sign * g, *state, *coefficients), strict=True):
            old[...] = new

    return loop
