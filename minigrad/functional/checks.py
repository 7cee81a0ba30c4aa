"""What the arguments of the functions must fulfil."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from minigrad.recording import is_traced

__all__ = ["check_range", "check_same_shape", "number"]


def check_same_shape(function: str, prediction: Any, target: Any) -> None:
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
            f"{function}: the prediction has shape {shape}, the target {other}; they must be "
            "equal, reshape one of them"
        )


def check_range(function: str, name: str, values: Any, count: int, counted: str) -> Any:
    """Return the values, integers from 0 to count - 1, in an array that nobody else can change.

    A compiled loop trusts them, also on the way back, and would read and write anywhere.

    Raises
    ------
    TypeError, IndexError
        If one is no such integer; the message names the first.
    """
    if not values.size:  # an empty list has no type of its own
        return np.zeros(values.shape, np.intp)
    if values.dtype.kind not in "iu":
        raise TypeError(f"{function}: each {name} must be an integer, got dtype {values.dtype}")
    if is_traced(values):
        values.require_range(count, f"{function}: each {name} must be one of {count} {counted}")
        return values.astype(np.intp)
    if values.min() < 0 or values.max() >= count:
        place = tuple(map(int, np.argwhere((values < 0) | (values >= count))[0]))
        raise IndexError(
            f"{function}: {name} {values[place]} at {place} is out of range for {count} {counted}; "
            f"accepted is 0 to {count - 1}"
        )
    return np.array(values, np.intp, order="C")


def number(function: str, name: str, value: Any) -> float:
    """Return an option as a Python float: NumPy's float64 would make float32 arrays float64.

    Raises
    ------
    TypeError
        If it is no real number.
    """
    if not isinstance(value, Real):
        raise TypeError(f"{function}: {name}={value!r} must be a number")
    return float(value)
