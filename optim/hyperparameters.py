"""What values hyperparameters may have: each check returns the value in its type, or raises."""

from __future__ import annotations

import math
import numbers
from typing import Any

__all__ = [
    "check_betas", "check_choice", "check_fraction", "check_nonnegative", "check_positive",
]  # fmt: skip


def check_positive(name: str, value: Any) -> float:
    """Return `value` as a float if it is a finite number above 0; else raise."""
    accepted = "a finite number above 0, e.g. 0.001"
    number = _number(name, value, accepted)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name}={value!r}: accepted is {accepted}")
    return number


def check_nonnegative(name: str, value: Any) -> float:
    """Return `value` as a float if it is a finite number, 0 or above; else raise."""
    accepted = "a finite number, 0 or above"
    number = _number(name, value, accepted)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{name}={value!r}: accepted is {accepted}")
    return number


def check_fraction(name: str, value: Any) -> float:
    """Return `value` as a float if it lies in [0, 1); else raise."""
    accepted = "a number, at least 0 and below 1, e.g. 0.9"
    number = _number(name, value, accepted)
    if not 0 <= number < 1:
        raise ValueError(f"{name}={value!r}: accepted is {accepted}")
    return number


def check_betas(name: str, value: Any) -> tuple[float, float]:
    """Return (β₁, β₂) as floats if both lie in [0, 1); else raise."""
    accepted = "two numbers, at least 0 and below 1, e.g. (0.9, 0.999)"
    if not isinstance(value, tuple | list):
        raise TypeError(f"{name}={value!r}: accepted are {accepted}")
    if len(value) != 2:
        raise ValueError(f"{name}={value!r}: accepted are {accepted}")
    beta1, beta2 = (_number(name, beta, accepted) for beta in value)
    for label, beta in (("β1", beta1), ("β2", beta2)):
        if not 0 <= beta < 1:
            raise ValueError(f"{name}={value!r}: {label} is {beta}; accepted are {accepted}")
    return beta1, beta2


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """Return `value` if it is one of `choices`; else raise."""
    if value not in choices:
        raise ValueError(f"{name}={value!r}: accepted are {', '.join(map(repr, choices))}")
    return value


def _number(name: str, value: Any, accepted: str) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"{name}={value!r} is of type {type(value).__name__}: accepted is {accepted}"
        )
    try:
        return float(value)
    except OverflowError:
        return math.inf
