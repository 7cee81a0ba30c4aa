"""When a compiled loop takes over from NumPy."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["KERNEL_FROM", "PRODUCT_FROM", "kernels_for", "product_for", "this_thread"]

KERNEL_FROM = 1 << 9
"""Number of elements from which one compiled loop is faster than several calls of NumPy."""
PRODUCT_FROM = 1 << 20
"""Number of terms, in all sums of a matrix product, from which the compiled one is faster."""


class _Thread(threading.local):
    """Whether this thread has one core, with others beside it: see `parallel`."""

    has_one_core = False

    def take_one_core(self) -> None:
        self.has_one_core = True


this_thread = _Thread()


def kernels_for(*arrays: Any) -> ModuleType | None:
    """Return the module `minigrad.kernels` where its loops are faster, else None.

    That is for arrays of one shape and one type, float32 or float64, all C-ordered, of
    `KERNEL_FROM` elements or more; not for Tensors, nor for arrays that broadcast: a loop would
    read past the end of the smaller one.

    Examples
    --------
    >>> kernels_for(np.ones(10)) is None, kernels_for(np.ones(10_000_000)) is None
    (True, False)
    """
    first = arrays[0]
    if type(first) is not np.ndarray or first.size < KERNEL_FROM:
        return None
    dtype = first.dtype
    if dtype not in (np.float32, np.float64):
        return None
    for x in arrays:
        if type(x) is not np.ndarray or x.dtype != dtype or x.shape != first.shape:
            return None
        if not x.flags.c_contiguous:
            return None
    from minigrad import kernels

    return kernels


def product_for(x: np.ndarray, y: np.ndarray) -> Callable[..., None] | None:
    """Return `kernels.products.product` where it can multiply x by y faster than BLAS, or None.

    That is in a thread of `DataParallel`, as BLAS has all cores elsewhere; on a processor with
    AVX-512; for large matrices, float32 or float64, x C-ordered, y that or its transpose, which
    full tiles cover.
    """
    if not this_thread.has_one_core or type(x) is not np.ndarray or type(y) is not np.ndarray:
        return None
    (rows, depth), columns = x.shape, y.shape[1]
    if rows * depth * columns < PRODUCT_FROM or depth != len(y):
        return None
    if x.dtype != y.dtype or x.dtype not in (np.float32, np.float64):
        return None
    if not (x.flags.c_contiguous and (y.flags.c_contiguous or y.flags.f_contiguous)):
        return None
    from minigrad.kernels import products

    if not products.AVAILABLE or rows % products.ROWS or columns * x.itemsize % products.WIDTH:
        return None
    return products.product
