"""Scaled dot-product attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad.compiled import kernels_for
from minigrad.functional.softmax import normalized_exponentials, softmax_vjp
from minigrad.linear_maps import rows
from minigrad.primitive import Primitive
from minigrad.primitives import matmul, transpose

__all__ = ["attention_weights", "scaled_dot_product_attention"]


def scaled_dot_product_attention(q: Any, k: Any, v: Any, *, causal: bool = False) -> Any:
    """Means of the values, weighted by how well each key answers the query.

        softmax(q kᵀ / √d) v

    Parameters
    ----------
    q : array_like or Tensor
        Queries, shape (..., T, d).
    k : array_like or Tensor
        Keys, shape (..., S, d).
    v : array_like or Tensor
        Values, shape (..., S, dᵥ).  The axes in front broadcast.
    causal : bool
        Whether query t sees only the keys 0 to t.

    Returns
    -------
    Tensor or ndarray
        Shape (..., T, dᵥ).

    Raises
    ------
    ValueError
        If the shapes do not match, or there are queries and no keys.

    References
    ----------
    Vaswani et al., Attention Is All You Need, 2017, equation (1).

    Examples
    --------
    >>> x = np.array([[1.0, 0.0], [0.0, 2.0]])
    >>> scaled_dot_product_attention(1e4 * x, x, x)
    array([[1., 0.],
           [0., 2.]])
    >>> scaled_dot_product_attention(0 * x, x, x, causal=True)
    array([[1. , 0. ],
           [0.5, 1. ]])
    """
    shapes = q_shape, k_shape, v_shape = np.shape(q), np.shape(k), np.shape(v)
    if (
        min(map(len, shapes)) < 2
        or q_shape[-1] != k_shape[-1]
        or k_shape[-2] != v_shape[-2]
        or not q_shape[-1]
    ):
        raise ValueError(
            f"scaled_dot_product_attention of shapes q {q_shape}, k {k_shape} and v {v_shape}: "
            "they need to be (..., T, d), (..., S, d) and (..., S, dᵥ), with d at least 1"
        )
    try:
        np.broadcast_shapes(q_shape[:-2], k_shape[:-2], v_shape[:-2])
    except ValueError:
        raise ValueError(
            f"scaled_dot_product_attention of shapes q {q_shape}, k {k_shape} and v {v_shape}: "
            "the axes in front of the last two must broadcast"
        ) from None
    if q_shape[-2] and not k_shape[-2]:
        raise ValueError(
            f"scaled_dot_product_attention of shapes q {q_shape}, k {k_shape} and v {v_shape}: "
            "there is no key, so no mean of the values"
        )
    n = len(k_shape)
    scores = matmul(q, transpose(k, axes=(*range(n - 2), n - 1, n - 2)))
    weights = attention_weights(scores, scale=1 / math.sqrt(q_shape[-1]), causal=causal)
    return matmul(weights, v)


def _attention_weights(scores: Any, *, scale: float, causal: bool) -> Any:
    kernels = kernels_for(scores)
    if kernels is not None:
        z = np.empty_like(scores)
        period = scores.shape[-2] if causal else 0
        kernels.softmax(rows(scores), scores.dtype.type(scale), period, rows(z))
        return z
    u = scores * scale
    if not u.size:
        return u
    if causal:
        np.copyto(u, -np.inf, where=np.logical_not(np.tri(*u.shape[-2:])))
    u -= np.maximum.reduce(u, axis=-1, keepdims=True)
    return normalized_exponentials(u, -1)


def _attention_weights_vjp(g: Any, p: Any, *, scale: float) -> Any:
    kernels = kernels_for(p, g)
    if kernels is None:
        return softmax_vjp(g, p, axis=-1) * scale
    w = np.empty_like(p)
    kernels.softmax_vjp(rows(g), rows(p), p.dtype.type(scale), rows(w))
    return w


# Softmax of scaled scores, with 0 for what a query must not see.  A weight of 0 sends nothing
# back, so the VJP need not know about the mask.
# fmt: off
attention_weights = Primitive(_attention_weights,
    lambda g, p, scores, scale, causal: _attention_weights_vjp(g, p, scale=scale),
    name="attention_weights")
# fmt: on
