"""Layer normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.compiled import kernels_for
from minigrad.functional.checks import number
from minigrad.linear_maps import rows
from minigrad.primitive import Primitive

__all__ = ["layer_norm", "standardized", "standardized_affine", "standardized_vjp"]


def layer_norm(x: Any, weight: Any = None, bias: Any = None, *, eps: float = 1e-5) -> Any:
    """Shift and scale each vector to mean 0 and variance 1, then to learned ones.

        μ = mean xᵢ      σ² = mean (xᵢ - μ)²      yᵢ = (xᵢ - μ) / √(σ² + ε) · weightᵢ + biasᵢ

    Parameters
    ----------
    x : array_like or Tensor
        Vectors along the last axis, shape (..., d).
    weight, bias : array_like or Tensor, optional
        Shape (d,); 1 and 0 if left out.
    eps : float
        ε, which keeps the root from 0.

    Returns
    -------
    Tensor or ndarray
        Of the shape of x.

    Raises
    ------
    TypeError
        If `eps` is no number.
    ValueError
        If x has no last axis or an empty one, the shape of `weight` or `bias` is another, or
        `eps` is below 0.

    References
    ----------
    Ba, Kiros and Hinton, Layer Normalization, 2016.

    Examples
    --------
    >>> layer_norm(np.array([[1.0, 3.0], [20.0, 40.0]])).round(4)
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    shape = np.shape(x)
    if not shape or not shape[-1]:
        raise ValueError(f"layer_norm of shape {shape}: there is no mean of a vector of length 0")
    if not number("layer_norm", "eps", eps) >= 0:
        raise ValueError(f"layer_norm: eps={eps!r} must be at least 0")
    eps = float(eps)
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None and np.shape(given) != shape[-1:]:
            raise ValueError(
                f"layer_norm of shape {shape}: the {name} has shape {np.shape(given)}, it must be "
                f"{shape[-1:]}"
            )
    if weight is not None and bias is not None:
        return standardized_affine(x, weight, bias, eps=eps)
    z = standardized(x, eps=eps)
    if weight is not None:
        return z * weight
    return z if bias is None else z + bias


def _mean(x: Any) -> Any:
    return x.mean(axis=-1, keepdims=True)


def _inverse_sigma(x: Any, eps: float) -> Any:
    """1 / √(σ² + ε) of each vector."""
    centered = x - _mean(x)
    sigma = np.sqrt(_mean(centered * centered) + eps)
    return 1 / sigma


def _standardized(x: Any, *, eps: float) -> Any:
    centered = x - _mean(x)
    sigma = np.sqrt(_mean(centered * centered) + eps)
    standardized = np.divide(centered, sigma, out=centered)
    return standardized  # noqa: RET504  a trace calls it so


def _standardized_affine(x: Any, weight: Any, bias: Any, *, eps: float) -> Any:
    kernels = kernels_for(x)
    if kernels is not None and x.dtype == weight.dtype == bias.dtype:
        z = np.empty_like(x)
        kernels.layer_norm(rows(x), weight, bias, x.dtype.type(eps), rows(z))
        return z
    z = _standardized(x, eps=eps)
    if np.result_type(z, weight, bias) != z.dtype:
        return z * weight + bias
    z *= weight
    z += bias
    return z


def _input_gradient(g: Any, x: Any, weight: Any, *, eps: float) -> Any:
    kernels = kernels_for(x, g)
    if kernels is None or x.dtype != weight.dtype:
        return standardized_vjp(g * weight, standardized(x, eps=eps), x, eps=eps)
    z = np.empty_like(x)
    kernels.layer_norm_vjp(rows(g), rows(x), weight, x.dtype.type(eps), rows(z))
    return z


def _weight_gradient(g: Any, x: Any, *, eps: float) -> Any:
    kernels = kernels_for(x, g)
    if kernels is None:
        return g * standardized(x, eps=eps)
    z = np.empty(x.shape[-1], x.dtype)
    kernels.layer_norm_weight_vjp(rows(g), rows(x), x.dtype.type(eps), z)
    return z


def _standardized_vjp(g: Any, z: Any, x: Any, *, eps: float) -> Any:
    w = g - _mean(g)
    w -= z * _mean(g * z)
    w *= _inverse_sigma(x, eps)
    return w


# With r = 1 / √(σ² + ε), z = r (x - μ) has the Jacobian  r (1 - 1 1ᵀ/d - z zᵀ/d),  symmetric.  The
# VJP is a row in g and z, and in x through r only, whose own derivative is  ∂r/∂x = -r² z / d.
# The row with weight and bias keeps x alone for the way back, instead of z and z · weight as well.
# fmt: off
standardized: Primitive = Primitive(_standardized,
    lambda g, z, x, eps: standardized_vjp(g, z, x, eps=eps),
    name="layer_norm")
standardized_vjp: Primitive = Primitive(_standardized_vjp,
    lambda h, w, g, z, x, eps: standardized_vjp(h, z, x, eps=eps),
    lambda h, w, g, z, x, eps: -(h * _mean(g * z) + g * _mean(h * z)) * _inverse_sigma(x, eps),
    lambda h, w, g, z, x, eps: -_mean(h * w) * standardized(x, eps=eps) * _inverse_sigma(x, eps),
    name="layer_norm_vjp")
standardized_affine = Primitive(_standardized_affine,
    lambda g, y, x, w, b, eps: _input_gradient(g, x, w, eps=eps),
    lambda g, y, x, w, b, eps: _weight_gradient(g, x, eps=eps),
    lambda g, y, x, w, b, eps: g,
    name="layer_norm")
# fmt: on
