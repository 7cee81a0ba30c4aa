"""When a compiled loop takes over from NumPy."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["KERNEL_FROM", "kernels_for"]

KERNEL_FROM = 1 << 9
"""Number of elements from which one compiled loop is faster than several calls of NumPy."""


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
