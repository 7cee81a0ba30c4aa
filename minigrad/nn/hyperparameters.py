"""What hyperparameters of layers may be, and how pairs of sizes print."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.functional.windows import Pair

__all__ = ["check_generator", "check_numbers", "check_sizes", "is_nonnegative", "short"]


def check_sizes(layer: str, **sizes: Any) -> None:
    """Raise unless every size is an integer of at least 1."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int | np.integer):
            raise TypeError(
                f"{layer}: {name}={size!r} is of type {type(size).__name__}; it must be an "
                "integer of at least 1"
            )
        if size < 1:
            raise ValueError(f"{layer}: {name}={size!r}; it must be an integer of at least 1")


def check_numbers(
    layer: str, accepted: str, is_accepted: Callable[[float], bool], **options: Any
) -> None:
    """Raise unless every option is a number that is accepted."""
    for name, value in options.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(
                f"{layer}: {name}={value!r} is of type {type(value).__name__}; it must be "
                f"{accepted}"
            )
        if not is_accepted(float(value)):
            raise ValueError(f"{layer}: {name}={value!r}; it must be {accepted}")


def is_nonnegative(x: float) -> bool:
    """Whether x is finite, and not below 0."""
    return 0 <= x < math.inf


def check_generator(rng: Any) -> None:
    """Raise unless `rng` is a generator: a seed would give every layer the same numbers."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng={rng!r} is of type {type(rng).__name__}; it must be a numpy.random.Generator, "
            "such as np.random.default_rng(0), one for the whole model"
        )


def short(sizes: Pair) -> int | Pair:
    """Return one number for two equal ones.

    Examples
    --------
    >>> short((3, 3)), short((1, 3))
    (3, (1, 3))
    """
    return sizes[0] if sizes[0] == sizes[1] else sizes
