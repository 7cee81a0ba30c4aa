"""The section's epoch in scalar loops, as one would write it in C; compiled by Numba.

What can be reached for this model: nothing here is general, no batch is copied, and no array is
made but the gradient.  What `minigrad.compile` generates is measured against it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numba.extending import register_jitable

__all__ = ["linear_adam_epoch"]


@register_jitable  # type: ignore[untyped-decorator]
def _adam(x: Any, v: Any, s: Any, i: Any, g: Any, lr: Any, debias1: Any, debias2: Any) -> None:
    """Move the one coordinate x[i] by its gradient g."""
    number = x.dtype.type  # so that float32 stays float32
    v[i] = number(0.9) * v[i] + number(0.1) * g
    s[i] = number(0.999) * s[i] + number(0.001) * (g * g)
    x[i] -= lr * (v[i] * debias1) / (np.sqrt(s[i] * debias2) + number(1e-8))


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def linear_adam_epoch(
    X: Any, y: Any, order: Any, batch_size: int, weight: Any, bias: Any, t: int, lr: float
) -> Any:
    """Train ŷ = X w + b for an epoch by Adam with β₁ = 0.9, β₂ = 0.999 and ε = 1e-8.

    Parameters
    ----------
    X, y : ndarray
        Examples (n, d) and targets (n, 1), of one dtype, in which all is computed.
    order : ndarray of int
        The order of the examples: a whole number of batches.
    batch_size : int
        Examples in a batch.
    weight, bias : (ndarray, ndarray, ndarray)
        w of shape (d, 1), and b of shape (1,), each with its v and s; changed in place.
    t : int
        Number of steps made before.
    lr : float
        Learning rate η.

    Returns
    -------
    ndarray
        The mean squared error of each batch, before its step.
    """
    w, w_v, w_s = weight
    b, b_v, b_s = bias
    number = w.dtype.type
    d = len(w)
    w_bar = np.empty(d, w.dtype)
    losses = np.empty(len(order) // batch_size, w.dtype)
    mean, twice_mean, rate = number(1 / batch_size), number(2 / batch_size), number(lr)
    power1, power2 = 0.9**t, 0.999**t
    for k in range(len(losses)):
        squares = b_bar = number(0)
        w_bar[:] = 0
        for m in range(k * batch_size, (k + 1) * batch_size):
            i = order[m]
            error = b[0] - y[i, 0]
            for j in range(d):
                error += X[i, j] * w[j, 0]
            squares += error * error
            b_bar += error
            for j in range(d):
                w_bar[j] += X[i, j] * error
        losses[k] = squares * mean
        power1 *= 0.9
        power2 *= 0.999
        debias1, debias2 = number(1 / (1 - power1)), number(1 / (1 - power2))
        for j in range(d):
            _adam(w, w_v, w_s, (j, 0), twice_mean * w_bar[j], rate, debias1, debias2)
        _adam(b, b_v, b_s, 0, twice_mean * b_bar, rate, debias1, debias2)
    return losses
