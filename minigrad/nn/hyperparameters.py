"""What sizes and probabilities of layers may be, and how pairs of sizes print."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from minigrad.functional.windows import Pair

__all__ = ["check_probability", "check_sizes", "short"]


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


def check_probability(layer: str, **options: Any) -> None:
    """Raise unless every option is a number of at least 0 and below 1."""
    for name, p in options.items():
        if isinstance(p, bool) or not isinstance(p, numbers.Real):
            raise TypeError(
                f"{layer}: {name}={p!r} is of type {type(p).__name__}; it must be a number of at "
                "least 0 and below 1"
            )
        if not 0 <= float(p) < 1:
            raise ValueError(f"{layer}: {name}={p!r}; it must be at least 0 and below 1")


def short(sizes: Pair) -> int | Pair:
    """Return one number for two equal ones.

    Examples
    --------
    >>> short((3, 3)), short((1, 3))
    (3, (1, 3))
    """
    return sizes[0] if sizes[0] == sizes[1] else sizes
