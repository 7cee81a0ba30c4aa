"""What the arguments of losses and look-ups must fulfil."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["check_range", "check_same_shape"]


def check_same_shape(prediction: Any, target: Any) -> None:
    """Check that there is one target for each prediction.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    try:
        shape, other = prediction.shape, target.shape
    except AttributeError:  # a list or a number
        shape, other = np.shape(prediction), np.shape(target)
    if shape != other:
        raise ValueError(
            f"the prediction has shape {shape}, the target {other}; they must be equal, reshape "
            "one of them"
        )


def check_range(function: str, name: str, values: Any, count: int, counted: str) -> None:
    """Check that all values are integers from 0 to count - 1.

    Raises
    ------
    TypeError, IndexError
        If one is not; the message names the first.
    """
    if values.dtype.kind not in "iu":
        raise TypeError(f"{function}: each {name} must be an integer, got dtype {values.dtype}")
    if values.size and (values.min() < 0 or values.max() >= count):
        place = tuple(map(int, np.argwhere((values < 0) | (values >= count))[0]))
        raise IndexError(
            f"{function}: {name} {values[place]} at {place} is out of range for {count} {counted}; "
            f"accepted is 0 to {count - 1}"
        )
