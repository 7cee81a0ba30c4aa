"""Shuffled batches."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["minibatches"]


def minibatches(
    X: npt.NDArray[Any], y: npt.NDArray[Any], batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Yield the examples once, in random order, `batch_size` at a time: one epoch.

    Parameters
    ----------
    X, y : ndarray
        Examples along the first axis, equally many.
    batch_size : int
        Examples in a batch; the last batch holds what is left.
    rng : numpy.random.Generator
        Draws the order; one permutation an epoch.

    Yields
    ------
    (ndarray, ndarray)
        Views of shuffled copies of X and y.

    Raises
    ------
    ValueError
        At the call, if the lengths differ or are 0, or `batch_size` is below 1.
    TypeError
        If `batch_size` is no whole number.

    Examples
    --------
    >>> X, y = np.arange(10.0).reshape(5, 2), np.arange(5.0)
    >>> [len(batch) for batch, _ in minibatches(X, y, 2, np.random.default_rng(0))]
    [2, 2, 1]
    """
    n = len(X)
    if n != len(y):
        raise ValueError(f"X has {n} examples and y {len(y)}; every example needs its target")
    if n == 0:
        raise ValueError("X and y are empty: there is no batch to draw")
    if operator.index(batch_size) < 1:
        raise ValueError(f"batch_size={batch_size}: accepted is a whole number from 1")
    order = rng.permutation(n)
    return _slices(X[order], y[order], batch_size)


def _slices(
    X: npt.NDArray[Any], y: npt.NDArray[Any], batch_size: int
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    for start in range(0, len(X), batch_size):
        stop = start + batch_size
        yield X[start:stop], y[start:stop]
