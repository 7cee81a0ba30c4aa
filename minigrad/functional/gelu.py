"""The Gaussian error linear unit, x Φ(x), exactly and with tanh."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.compiled import kernels_for
from minigrad.primitive import Primitive

__all__ = ["gelu", "gelu_exact", "gelu_tanh"]

# tanh u ≈ 2 Φ(x) - 1 with u = C (x + A x³), to 5e-4.
C = math.sqrt(2 / math.pi)
A = 0.044715


def gelu(x: Any, approximate: str = "none") -> Any:
    """Each number times the probability that a standard normal one lies below it.

        x Φ(x)  =  x ½ erfc(-x / √2)        ≈  ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))

    Parameters
    ----------
    x : array_like or Tensor
        Any shape.
    approximate : {"none", "tanh"}
        The first formula or the second, as in PyTorch.

    Returns
    -------
    Tensor or ndarray
        Of the shape of x.

    Raises
    ------
    ValueError
        If `approximate` is anything else.

    References
    ----------
    Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.

    Examples
    --------
    >>> gelu(np.array([-10.0, 0.0, 1.0, 10.0])).round(6)
    array([-0.      ,  0.      ,  0.841345, 10.      ])
    >>> gelu(np.array([1.0]), "tanh").round(6)
    array([0.841192])
    """
    if approximate == "none":
        return gelu_exact(x)
    if approximate == "tanh":
        return gelu_tanh(x)
    raise ValueError(f"gelu: approximate={approximate!r}; accepted are 'none' and 'tanh'")


def _cdf(x: Any) -> Any:
    """Φ(x) = ½ erfc(-x / √2), which stays exact far to the left."""
    x = np.asarray(x)
    dtype = x.dtype if x.dtype.kind == "f" else np.float64
    root = -math.sqrt(0.5)
    tails = [math.erfc(root * a) / 2 for a in x.reshape(-1).tolist()]
    return np.array(tails, dtype).reshape(x.shape)


def _density(x: Any) -> Any:
    """φ(x) = exp(-x²/2) / √(2π)."""
    return np.exp(-(x * x) / 2) * (1 / math.sqrt(2 * math.pi))


def _gelu(x: Any) -> Any:
    kernels = kernels_for(x)
    if kernels is None:
        return x * _cdf(x)
    z = np.empty_like(x)
    kernels.gelu(x.reshape(-1), z.reshape(-1))
    return z


def _gelu_vjp(g: Any, x: Any) -> Any:
    if isinstance(g, np.ndarray):
        g = np.asarray(g, order="C")  # the gradient of a transposed array is not
    kernels = kernels_for(g, x)
    if kernels is None:
        return g * (_cdf(x) + x * _density(x))
    z = np.empty_like(x)
    kernels.gelu_vjp(g.reshape(-1), x.reshape(-1), z.reshape(-1))
    return z


def _u(x: Any) -> Any:
    return C * x * (1 + A * x * x)


def _gelu_tanh(x: Any) -> Any:
    kernels = kernels_for(x)
    if kernels is None:
        return x / 2 * (1 + np.tanh(_u(x)))
    z = np.empty_like(x)
    kernels.gelu_tanh(x.reshape(-1), x.dtype.type(C), x.dtype.type(A), z.reshape(-1))
    return z


def _gelu_tanh_vjp(g: Any, x: Any) -> Any:
    if isinstance(g, np.ndarray):
        g = np.asarray(g, order="C")  # the gradient of a transposed array is not
    kernels = kernels_for(g, x)
    if kernels is None:
        t = np.tanh(_u(x))
        return g / 2 * ((1 + t) + x * (1 - t * t) * C * (1 + 3 * A * x * x))
    z = np.empty_like(x)
    c, a = x.dtype.type(C), x.dtype.type(A)
    kernels.gelu_tanh_vjp(g.reshape(-1), x.reshape(-1), c, a, z.reshape(-1))
    return z


def _gelu_tanh_second(x: Any) -> Any:
    """d²/dx² of ½ x (1 + tanh u): with t = tanh u, (1 - t²) (u' + ½ x (u'' - 2 t u'²))."""
    t = np.tanh(_u(x))
    slope = C * (1 + 3 * A * x * x)
    return (1 - t * t) * (slope + x / 2 * (6 * A * C * x - 2 * t * slope * slope))


# The first derivative of x Φ(x) is Φ(x) + x φ(x), and the second (2 - x²) φ(x), as φ' = -x φ.
# fmt: off
gelu_exact: Primitive = Primitive(_gelu,
    lambda g, z, x: gelu_exact_vjp(g, x),
    name="gelu")
gelu_exact_vjp: Primitive = Primitive(_gelu_vjp,
    lambda h, w, g, x: gelu_exact_vjp(h, x),
    lambda h, w, g, x: h * g * (2 - x * x) * _density(x),
    name="gelu_vjp")
gelu_tanh: Primitive = Primitive(_gelu_tanh,
    lambda g, z, x: gelu_tanh_vjp(g, x),
    name="gelu_tanh")
gelu_tanh_vjp: Primitive = Primitive(_gelu_tanh_vjp,
    lambda h, w, g, x: gelu_tanh_vjp(h, x),
    lambda h, w, g, x: h * g * _gelu_tanh_second(x),
    name="gelu_tanh_vjp")
# fmt: on
