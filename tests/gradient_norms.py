"""Parameters with given gradients, their norm in exact arithmetic, and distances in ulp."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from minigrad import Tensor

U = 2.0**-53  # half an ulp of 1 in float64


def with_gradients(*gradients: Any) -> list[Tensor]:
    """Parameters of the gradients' shapes and dtypes, with the very gradients given."""
    params = [Tensor(np.zeros_like(g), requires_grad=True) for g in gradients]
    for p, g in zip(params, gradients, strict=True):
        p.grad = g
    return params


def exact_norm(*gradients: Any) -> float:
    """The norm, correctly rounded but for the last bit: squares are exact, and their sum."""
    total = sum(Fraction(v) ** 2 for g in gradients for v in np.asarray(g).ravel().tolist())
    bits = max(120, 120 + total.denominator.bit_length() - total.numerator.bit_length())
    return float(Fraction(math.isqrt(int(total * 4**bits)), 2**bits))


def ulps(a: Any, b: Any) -> float:
    """How far two numbers or arrays are apart at most, in units of the last place of b."""
    a, b = np.asarray(a), np.asarray(b)
    return float(np.max(np.abs(a - b) / np.spacing(np.abs(b)), initial=0.0))
