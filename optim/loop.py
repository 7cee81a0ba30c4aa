"""How a loop over the coordinates of an array is compiled, and when it runs on all cores."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from numba import from_dtype, njit, prange, types
from numba.extending import register_jitable

__all__ = ["PARALLEL_FROM", "all_finite", "coordinatewise", "inlinable", "staggered"]

PARALLEL_FROM = 1 << 20
"""Number of coordinates from which a loop runs on all cores.

Below it, waking the other cores costs more than they save.  They wake fast as long as nothing else
runs; but between two matrix products BLAS keeps threads of its own awake on the same cores, and to
wait for those can take longer than the step.
"""

PAGE = 4096
"""Bytes in a memory page."""

Function = TypeVar("Function", bound=Callable[..., Any])


def inlinable(rule: Function) -> Function:
    """Let compiled loops call `rule`; called from Python it stays plain Python, on any array."""
    return register_jitable(rule)


class coordinatewise:
    """Decorator that compiles a ``prange`` loop with Numba: for one core, and for all of them.

    Arithmetic is IEEE's, with nothing fused or reordered, unless `fastmath` names what is
    allowed: so the compiled rule gives the bits that NumPy gives, on one core or many.  The
    machine code is kept on disk, beside the source or in the user's cache, and made again when the
    loop's file changes.  So the rule that a loop calls stands in the same file; and after a change
    of the options here, the ``__pycache__`` folders have to be deleted.

    Parameters
    ----------
    loop : callable
        A module-level function whose first argument is a flat array; its outer loop is a
        ``prange``.
    fastmath : set of str
        LLVM's names of the liberties that the loop may take.

    Examples
    --------
    `all_finite` below is such a loop; calling it picks the version by the array's size.

    >>> all_finite.version(10) is all_finite.version(10_000_000)
    False
    """

    def __init__(self, loop: Callable[..., Any], *, fastmath: set[str] | bool = False) -> None:
        options: dict[str, Any] = {"error_model": "numpy", "fastmath": fastmath}
        self._serial = _compiled(loop, options)
        # Numba's cache tells functions apart by name; the `parallel` option is no part of it.
        twin = _renamed(loop, f"{loop.__name__}_parallel")
        self._parallel = _compiled(twin, {"parallel": True, **options})
        functools.update_wrapper(self, loop)

    def version(self, size: int) -> Callable[..., Any]:
        """Return the function that is meant for arrays of `size` elements."""
        return self._serial if size < PARALLEL_FROM else self._parallel

    def compiled(
        self, size: int, dtype: npt.DTypeLike, arrays: int, coefficients: int | None = None
    ) -> Callable[..., Any]:
        """Return the machine code of a loop, compiled now if it is not on disk.

        Numba's functions look at the type of every argument to find the code that fits.  This is
        that code itself, for ``loop(*arrays, sign, coefficients)``: a call takes 0.2 us less, and
        checks nothing.  Numbers are converted to `dtype`.

        Parameters
        ----------
        size : int
            Number of elements of each array.
        dtype : dtype
            float32 or float64: of all arrays, which have to be flat and contiguous.
        arrays : int
            Number of arrays.
        coefficients : int, optional
            Number of coefficients; without it, the loop takes arrays only.
        """
        number = from_dtype(np.dtype(dtype))
        signature = (types.Array(number, 1, "C"),) * arrays
        if coefficients is not None:
            signature += (number, types.UniTuple(number, coefficients))
        return self.version(size).compile(signature)  # type: ignore[attr-defined]

    def __call__(self, x: npt.NDArray[Any], *arguments: Any) -> Any:
        """Run the loop on flat arrays."""
        return self.version(x.size)(x, *arguments)


def _compiled(loop: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    try:
        return njit(cache=True, **options)(loop)
    except (RuntimeError, OSError):  # nowhere to keep it: no writable folder, or no source file
        return njit(**options)(loop)


def _renamed(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    assert isinstance(function, FunctionType)
    copy = FunctionType(
        function.__code__, function.__globals__, name, function.__defaults__, function.__closure__
    )
    copy.__qualname__ = name
    copy.__module__ = function.__module__
    return copy


@functools.partial(coordinatewise, fastmath={"reassoc"})
def all_finite(x: npt.NDArray[np.floating[Any]]) -> bool:
    """Whether no element of a flat array is NaN or infinite; reads the array once.

    Examples
    --------
    >>> all_finite(np.array([1.0, -2.0])), all_finite(np.array([1.0, -np.inf]))
    (True, False)
    """
    # 0 x is 0 for a number and NaN for the rest, and a sum with a NaN in it is NaN.  Four quarters
    # are read side by side; they start a quarter page apart within their pages, so that they
    # reach the end of one, where the processor's prefetching starts anew, at different times.
    page = PAGE // x.itemsize
    n = max((x.size - page) // 4 // page * page + page // 4, 0)
    x0, x1, x2, x3 = x[:n], x[n : 2 * n], x[2 * n : 3 * n], x[3 * n : 4 * n]
    zero = x.dtype.type(0)
    a = b = c = d = zero
    for i in prange(n):
        a += zero * x0[i]
        b += zero * x1[i]
        c += zero * x2[i]
        d += zero * x3[i]
    for i in range(4 * n, x.size):
        a += zero * x[i]
    return bool(a + b + c + d == 0)


def staggered(
    size: int, values: Sequence[float], dtype: npt.DTypeLike
) -> list[npt.NDArray[Any]]:
    """Return a flat array for each value, filled with it; they enter new pages at other indices.

    A loop that reads several large arrays at one index waits least if not all of them reach the
    end of a memory page at once.  NumPy starts every large array at one place in its page; these
    start a quarter page later than the array before, and than NumPy's.

    Examples
    --------
    >>> staggered(3, [0.0, 1.0], np.float64)
    [array([0., 0., 0.]), array([1., 1., 1.])]
    """
    quarter = PAGE // 4 // np.dtype(dtype).itemsize
    return [
        np.full(k * quarter + size, value, dtype)[k * quarter :]
        for k, value in enumerate(values, start=1)
    ]
