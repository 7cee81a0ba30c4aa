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

__all__ = ["attention_weights", "multi_head_attention", "scaled_dot_product_attention"]

# How many scores are computed at once, in attention of heads: half a megabyte of float32.
SCORES = 1 << 17


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


def multi_head_attention(projections: Any, *, num_heads: int, causal: bool = False) -> Any:
    """Scaled dot-product attention in several heads, of queries, keys and values side by side.

    The same as to cut each into `num_heads` pieces, one `scaled_dot_product_attention` for each,
    and the results side by side; but everything is read and written where it lies.

    Parameters
    ----------
    projections : array_like or Tensor
        At each position first all queries, then all keys, then all values, shape (..., T, 3 d).
    num_heads : int
        A divisor of d.
    causal : bool
        Whether position t sees only the positions 0 to t.

    Returns
    -------
    Tensor or ndarray
        Shape (..., T, d).

    Raises
    ------
    ValueError
        If the last axis cannot be cut into three times `num_heads` equal pieces, or there is no
        axis of positions.

    Examples
    --------
    >>> x = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 3.0]])
    >>> multi_head_attention(x, num_heads=1)
    array([[2.],
           [2.]])
    """
    shape = np.shape(projections)
    if len(shape) < 2 or num_heads < 1 or not shape[-1] or shape[-1] % (3 * num_heads):
        raise ValueError(
            f"multi_head_attention of shape {shape} with num_heads={num_heads}: it takes "
            "(..., T, 3 d), with d a multiple of num_heads"
        )
    return attention_of_heads(projections, num_heads=num_heads, causal=causal)


def _heads(x: Any, count: int) -> Any:
    """Cut (..., T, count d) into heads, (..., count, T, d): a view, into which one can write."""
    *batch, positions, width = x.shape
    cut = x.reshape(*batch, positions, count, width // count)
    return cut.transpose(*range(len(batch)), cut.ndim - 2, cut.ndim - 3, cut.ndim - 1)


def _queries_keys_values(x: Any, num_heads: int) -> tuple[Any, Any, Any]:
    n, heads = num_heads, _heads(x, 3 * num_heads)
    return heads[..., :n, :, :], heads[..., n : 2 * n, :, :], heads[..., 2 * n :, :, :]


def _weights(q: Any, k: Any, causal: bool) -> Any:
    return attention_weights(q @ k.mT, scale=1 / math.sqrt(q.shape[-1]), causal=causal)


def _parts(x: Any, num_heads: int) -> list[slice]:
    """Cut a batch, so that the scores of one part stay in the caches nearest to the core."""
    if x.ndim == 2:
        return [slice(None)]
    scores = num_heads * math.prod(x.shape[1:-1]) * x.shape[-2]  # for each x[i]
    step = max(1, SCORES // max(1, scores))
    return [slice(i, i + step) for i in range(0, len(x), step)]


def _attention_of_heads(x: Any, *, num_heads: int, causal: bool) -> Any:
    z = np.empty((*x.shape[:-1], x.shape[-1] // 3), x.dtype)
    for part in _parts(x, num_heads):
        q, k, v = _queries_keys_values(x[part], num_heads)
        np.matmul(_weights(q, k, causal), v, out=_heads(z[part], num_heads))
    return z


def _factors(g: Any, x: Any, num_heads: int, causal: bool) -> tuple[Any, Any, Any]:
    """From z = A v and A = softmax(u), u = q kᵀ / √d:  q̄ = ū k / √d,  k̄ = ūᵀ q / √d,  v̄ = Aᵀ z̄.

    ``scores_bar`` is ū / √d, the gradient of q kᵀ.  The weights A are computed again, which takes
    less time than to fetch them from memory.
    """
    q, k, v = _queries_keys_values(x, num_heads)
    weights, g = _weights(q, k, causal), _heads(g, num_heads)
    scores_bar = _attention_weights_vjp(g @ v.mT, weights, scale=1 / math.sqrt(q.shape[-1]))
    return (scores_bar, k), (scores_bar.mT, q), (weights.mT, g)


def _attention_of_heads_vjp(g: Any, x: Any, *, num_heads: int, causal: bool) -> Any:
    if type(x) is not np.ndarray or type(g) is not np.ndarray:
        heads = [matmul(*pair) for pair in _factors(g, x, num_heads, causal)]
        return np.swapaxes(np.concatenate(heads, axis=-3), -3, -2).reshape(x.shape)
    x_bar = np.empty(x.shape, x.dtype)
    for part in _parts(x, num_heads):
        outs = _queries_keys_values(x_bar[part], num_heads)
        factors = _factors(g[part], x[part], num_heads, causal)
        for (left, right), out in zip(factors, outs, strict=True):
            np.matmul(left, right, out=out)
    return x_bar


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


# Rows.  Attention of heads is a row of its own because as a composition it is mostly copies: heads
# taken apart and put together again.  On Tensors its VJP is that composition's.
#
# Softmax of scaled scores, with 0 for what a query must not see.  A weight of 0 sends nothing
# back, so the VJP need not know about the mask.
# fmt: off
attention_weights = Primitive(_attention_weights,
    lambda g, p, scores, scale, causal: _attention_weights_vjp(g, p, scale=scale),
    name="attention_weights")
attention_of_heads = Primitive(_attention_of_heads,
    lambda g, z, x, **options: _attention_of_heads_vjp(g, x, **options),
    name="multi_head_attention")
# fmt: on
