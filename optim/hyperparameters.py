"""What values hyperparameters may have: each check returns the value in its type, or raises."""

from __future__ import annotations

import difflib
import inspect
import itertools
import math
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = [
    "check_betas", "check_choice", "check_flag", "check_fraction", "check_increasing",
    "check_nonnegative", "check_nonnegative_whole", "check_numbers", "check_positive",
    "check_positive_whole", "did_you_mean", "refuse_misspelt",
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


def check_nonnegative_whole(name: str, value: Any) -> int:
    """Return `value` as an int if it is a whole number, 0 or above; else raise."""
    return _whole(name, value, 0, "a whole number, 0 or above")


def check_positive_whole(name: str, value: Any) -> int:
    """Return `value` as an int if it is a whole number, 1 or above; else raise."""
    return _whole(name, value, 1, "a whole number, 1 or above")


def check_increasing(name: str, value: Any) -> tuple[int, ...]:
    """Return whole numbers from 1, each above the one before, as a tuple of ints; else raise."""
    accepted = "whole numbers from 1, each above the one before, e.g. (30, 60, 90)"
    if not isinstance(value, tuple | list):
        raise TypeError(f"{name}={value!r}: accepted are {accepted}")
    steps = tuple(check_positive_whole(f"{name}[{i}]", step) for i, step in enumerate(value))
    if not steps or any(b <= a for a, b in itertools.pairwise(steps)):
        raise ValueError(f"{name}={value!r}: accepted are {accepted}")
    return steps


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


def check_numbers(name: str, value: Any, count: int) -> tuple[float, ...]:
    """Return `value` as a tuple of floats if it is `count` finite numbers; else raise."""
    accepted = f"{count} finite numbers, e.g. {tuple(range(1, count + 1))}"
    if not isinstance(value, tuple | list):
        raise TypeError(f"{name}={value!r}: accepted are {accepted}")
    found = tuple(_number(name, number, accepted) for number in value)
    if len(found) != count or not all(map(math.isfinite, found)):
        raise ValueError(f"{name}={value!r}: accepted are {accepted}")
    return found


def check_flag(name: str, value: Any) -> bool:
    """Return `value` if it is True or False; else raise."""
    if not isinstance(value, bool | np.bool):
        raise TypeError(f"{name}={value!r}: accepted are True and False")
    return bool(value)


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """Return `value` if it is one of `choices`; else raise."""
    if not any(value is choice or (type(value) is str and value == choice) for choice in choices):
        raise ValueError(f"{name}={value!r}: accepted are {', '.join(map(repr, choices))}")
    return value


OTHER_NAMES = {
    "alpha": "lr", "beta": "momentum", "beta1": "betas", "beta2": "betas", "beta_1": "betas",
    "beta_2": "betas", "b1": "betas", "b2": "betas", "decay": "weight_decay", "epsilon": "eps",
    "eta": "lr", "l2": "weight_decay", "learning_rate": "lr", "step_size": "lr",
    "rho": "alpha",
}  # fmt: skip
"""What Keras, Optax and papers call hyperparameters, and what this library does."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: a suggestion, and what there is.

    Examples
    --------
    >>> did_you_mean("learning_rate", ["lr", "betas"])
    "; did you mean 'lr'? Accepted are lr, betas"
    """
    known = list(known)
    name = name.strip().lower()
    other = OTHER_NAMES.get(name)
    near = [other] if other in known else difflib.get_close_matches(name, known, n=1)
    suggestion = f"; did you mean {near[0]!r}? Accepted" if near else "; accepted"
    return f"{suggestion} are {', '.join(known)}"


def refuse_misspelt(what: type, names: Iterable[str]) -> None:
    """Raise TypeError if one of `names` is no keyword of the class; Python's lacks a suggestion."""
    accepted = inspect.signature(what.__init__).parameters  # type: ignore[misc]
    if not any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        known = [other for other in accepted if other not in ("self", "params", "optimizer")]
        for name in names:
            if name not in accepted:
                raise TypeError(
                    f"{what.__name__} has no hyperparameter {name!r}" + did_you_mean(name, known)
                )


def _number(name: str, value: Any, accepted: str) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"{name}={value!r} is of type {type(value).__name__}: accepted is {accepted}"
        )
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _whole(name: str, value: Any, least: int, accepted: str) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"{name}={value!r} is of type {type(value).__name__}: accepted is {accepted}"
        )
    if value < least:
        raise ValueError(f"{name}={value!r}: accepted is {accepted}")
    return int(value)
