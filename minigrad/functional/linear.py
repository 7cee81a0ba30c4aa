"""Affine maps, and looking up rows of a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import linear_maps
from minigrad.compiled import kernels_for
from minigrad.functional.checks import check_range
from minigrad.primitive import Primitive, bare
from minigrad.recording import is_traced

__all__ = ["affine", "embedding", "rows_at", "rows_at_transpose"]


def _affine(x: Any, weight: Any, bias: Any) -> Any:
    if getattr(weight, "ndim", 0) == 2 and (n := getattr(x, "ndim", 0)) > 1:
        if n == 2:
            return linear_maps.product(x, weight, bias)
        z = linear_maps.product(linear_maps.rows(x), weight, bias)
        return z.reshape(*x.shape[:-1], weight.shape[1])
    z = linear_maps.matmul(x, weight)
    if getattr(bias, "dtype", None) != z.dtype:
        return z + bias
    z += bias
    return z


def embedding(weight: Any, index: Any) -> Any:
    """Rows of a matrix: one vector for each number of a token.

    Parameters
    ----------
    weight : array_like or Tensor
        Shape (tokens, d).
    index : array_like of int
        Which rows, any shape.  A row that is named twice receives both gradients.

    Returns
    -------
    Tensor or ndarray
        Shape ``(*index.shape, d)``.

    Raises
    ------
    TypeError
        If `index` is no array of integers.
    ValueError
        If `weight` is no matrix.
    IndexError
        If an index is negative, or not below the number of rows.

    Examples
    --------
    >>> embedding(np.array([[1.0, 2.0], [3.0, 4.0]]), [1, 1, 0])
    array([[3., 4.],
           [3., 4.],
           [1., 2.]])
    """
    if np.ndim(weight) != 2:
        raise ValueError(
            f"embedding: the weight has shape {np.shape(weight)}; it needs two axes, (tokens, d)"
        )
    index = bare(index)
    if not hasattr(index, "dtype"):
        index = np.asarray(index)
    index = check_range("embedding", "index", index, np.shape(weight)[0], "rows")
    return rows_at(weight, index=index)


def _sum_rows_at(g: Any, *, index: Any, rows: int) -> Any:
    """Add each row where it goes."""
    if is_traced(g) or is_traced(index):
        return linear_maps.scatter(g, index, (rows, g.shape[-1]))
    z = np.zeros((rows, g.shape[-1]), g.dtype)
    g = np.ascontiguousarray(g)
    kernels = kernels_for(g)
    if kernels is not None:
        kernels.add_rows_at(linear_maps.rows(g), index.reshape(-1), z)
    else:
        np.add.at(z, index, g)
    return z


# Affine is a row of its own because it is most of a small network's step: it adds the bias where
# the product already lies.  Its last VJP sums over the batch, which the engine would do as well,
# after looking at the shapes.
# fmt: off
affine = Primitive(_affine,
    lambda g, z, x, W, b: linear_maps.times_transposed(g, x, W),
    lambda g, z, x, W, b: linear_maps.transposed_times(x, W, g),
    lambda g, z, x, W, b: linear_maps.sum_of_rows(g) if b.ndim == 1 else g, name="affine")
"""The affine map x W + b, with x of shape (..., d), W of shape (d, e) and b of shape (e,).

Arrays or Tensors in, an array or a Tensor of shape (..., e) out.
"""
rows_at: Primitive = Primitive(lambda W, *, index: W[index],
    lambda g, z, W, index: rows_at_transpose(g, index=index, rows=W.shape[0]),
    name="embedding")
rows_at_transpose: Primitive = Primitive(_sum_rows_at,
    lambda h, z, g, index, rows: rows_at(h, index=index),
    name="embedding_transpose")
# fmt: on
