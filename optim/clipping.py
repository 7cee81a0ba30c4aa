"""Gradient clipping: a bound on each element of the gradient, or on the length of all of it.

Pascanu, Mikolov & Bengio, *On the difficulty of training recurrent neural networks*, ICML 2013
(arXiv:1211.5063), algorithm 1: where the loss has a cliff, its gradient is so long that one step
along it undoes many.  So a gradient longer than a threshold c keeps its direction only:

    g ← g · c / ‖g‖     if ‖g‖ > c,         ‖g‖ = √(Σ gᵢ²) over the elements of all parameters

That is `clip_grad_norm`.  `clip_grad_value` bounds each element by itself, which turns the
gradient towards the diagonal:

    gᵢ ← min(max(gᵢ, -c), c)

Both stand between ``backward()`` and ``optimizer.step()``.

Which variant
-------------
`clip_grad_norm` is the paper's, as is Optax's `clip_by_global_norm`: a gradient within the limit
keeps every bit, and a longer one gets the norm c, up to rounding.  PyTorch always multiplies, by
min(1, c/(‖g‖ + 10⁻⁶)): so a clipped norm is below c, by the factor ‖g‖/(‖g‖ + 10⁻⁶), which is small
where the gradients are.  Keras has two: `global_clipnorm` is this one; `clipnorm` takes the norm of
each variable by itself, and so turns the gradient (here: a call for each parameter).

Where a gradient holds NaN or infinity, PyTorch scales by NaN or by 0 in silence, which leaves all
gradients NaN, or all 0 and NaN.  Here that is an error or, by choice, nothing is scaled.

The norm in floating-point numbers
----------------------------------
Squares and their sum are float64 for float32 gradients too.  A block of 2048 elements is summed by
a compiled loop, the sums of the blocks are added exactly (`math.fsum`), so that the result does not
depend on the number of threads.  Its relative error is at most 1.2e-13 and, on random numbers,
below 1e-15.  Only where squares leave the range of float64 (elements around 1e-140 or 1e140) is the
gradient read again, multiplied by a power of two, which is exact.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from numba import prange

from optim.hyperparameters import check_choice, check_positive
from optim.loop import all_finite, coordinatewise
from optim.parameters import (
    Parameter,
    checked_parameters,
    gradient_array,
    refuse_single,
    where_nonfinite,
)

__all__ = ["clip_grad_norm", "clip_grad_value"]

NonFinite = Literal["raise", "ignore"]

BLOCK = 2048
"""Number of elements that are summed in floating point before the sum becomes exact."""

PACKED = 4096
"""Gradients of up to this many elements are copied together: one loop over them all, not many."""

SMALLEST, LARGEST = 2.0**-900, 2.0**900
"""Between these, a sum of squares has lost nothing to the ends of float64's range."""


FLOATS = (np.dtype(np.float64), np.dtype(np.float32))

Found = list[tuple[int, Parameter, npt.NDArray[Any]]]
"""Place in `params`, parameter and gradient, for each parameter that has a gradient."""


@functools.partial(coordinatewise, fastmath={"reassoc"})
def sums_of_squares(x: Any, sums: Any) -> None:
    """Write the sum of squares of each block of a flat array into `sums`."""
    for b in prange(sums.size):
        block = x[BLOCK * b : BLOCK * (b + 1)]
        total = 0.0
        for i in range(block.size):
            element = np.float64(block[i])
            total += element * element
        sums[b] = total


@coordinatewise
def scale_loop(g: Any, unit: Any, factor: Any) -> None:
    """Multiply a flat array by two float64 numbers, in place; float32 is rounded once."""
    for i in prange(g.size):
        g[i] = g[i] * unit * factor


@coordinatewise
def clip_loop(g: Any, limit: Any) -> None:
    """Bring every element of a flat array into [-limit, limit], in place; NaN stays NaN."""
    c = g.dtype.type(limit)
    for i in prange(g.size):
        g[i] = min(max(g[i], -c), c)


def clip_grad_norm(
    params: Iterable[Any], max_norm: float, *, nonfinite: NonFinite = "raise"
) -> float:
    """Scale all gradients together, if their norm is above `max_norm`, down to that norm.

    Parameters
    ----------
    params : iterable
        Parameters, or pairs ``(name, parameter)``; those without a gradient count as 0.
    max_norm : float
        The limit c, above 0.  With ``math.inf`` the norm is measured and nothing changed.
    nonfinite : {"raise", "ignore"}
        What to do if a gradient holds NaN or infinity: raise `FloatingPointError`, or leave all
        gradients as they are and return the norm, NaN or infinity.  An optimizer with
        ``nonfinite="skip"`` then leaves the step out.

    Returns
    -------
    float
        The norm before clipping; infinity if it is above 1.8e308 (and clipped all the same).

    Raises
    ------
    RuntimeError
        If no parameter has a gradient.
    FloatingPointError
        If a gradient holds NaN or infinity, with ``nonfinite="raise"``.
    TypeError, ValueError
        If `params` is a single tensor, an element is no parameter or is there twice, a gradient
        does not have its parameter's shape and dtype, or `max_norm` is no number above 0.

    Where an error is raised, nothing has changed.

    Notes
    -----
    A gradient that is an array of its own is scaled in place.  One that is a view, read-only,
    a scalar or a Tensor (after ``create_graph=True``) is replaced by a new array.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> w, b = Tensor([1.0, 2.0], requires_grad=True), Tensor(0.0, requires_grad=True)
    >>> w.grad, b.grad = np.array([6.0, 0.0]), np.array(8.0)
    >>> clip_grad_norm([w, b], 1.0)
    10.0
    >>> w.grad, b.grad
    (array([0.6, 0. ]), array(0.8))
    """
    infinite = isinstance(max_norm, float | np.floating) and max_norm == math.inf
    limit = math.inf if infinite else check_positive("max_norm", max_norm)
    check_choice("nonfinite", nonfinite, get_args(NonFinite))
    entries, found = _gradients(params, "clip_grad_norm")
    unit, root = _norm([g for _, _, g in found])
    norm = root / unit
    if not math.isfinite(root):
        if nonfinite == "raise":
            _refuse_nonfinite(entries, found)
    elif norm > limit:
        _apply(scale_loop, found, unit, limit / root)
    return norm


def clip_grad_value(
    params: Iterable[Any], limit: float, *, nonfinite: NonFinite = "raise"
) -> None:
    """Bring every element of every gradient into [-limit, limit].

    Parameters
    ----------
    params : iterable
        Parameters, or pairs ``(name, parameter)``; those without a gradient are left out.
    limit : float
        The limit c, above 0; rounded to the gradient's dtype.
    nonfinite : {"raise", "ignore"}
        What to do if a gradient holds NaN or infinity: raise `FloatingPointError`, or clip ±∞ to
        ±limit and leave NaN.

    Raises
    ------
    RuntimeError, FloatingPointError, TypeError, ValueError
        As `clip_grad_norm`, and if `limit` is 0 or infinite in the dtype of a gradient.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> w = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> w.grad = np.array([-7.0, 0.25, 1.5])
    >>> clip_grad_value([w], 1.0)
    >>> w.grad
    array([-1.  ,  0.25,  1.  ])
    """
    limit = check_positive("limit", limit)
    check_choice("nonfinite", nonfinite, get_args(NonFinite))
    entries, found = _gradients(params, "clip_grad_value")
    if any(g.dtype == np.float32 for _, _, g in found):
        with np.errstate(over="ignore", under="ignore"):
            held = np.float32(limit)
        if not 0 < held < np.inf:
            raise ValueError(
                f"limit={limit!r}, which is {held} in float32, the dtype of a gradient; choose a "
                "less extreme limit"
            )
    if nonfinite == "raise" and not all(all_finite(g) for g in _flat([g for _, _, g in found])):
        _refuse_nonfinite(entries, found)
    _apply(clip_loop, found, limit)


def _gradients(params: Iterable[Any], caller: str) -> tuple[list[Any], Found]:
    """Return what is in `params`, and what of it has a gradient; raise if something is amiss."""
    refuse_single(params)
    entries = list(params)
    parameters = [entry[1] if _named(entry) else entry for entry in entries]
    if len(set(map(id, parameters))) < len(parameters):
        checked_parameters(entries)  # says which is there twice
    found: Found = []
    for i, parameter in enumerate(parameters):
        g = getattr(parameter, "grad", parameters)
        if g is None:
            continue
        data: Any = getattr(parameter, "data", None)
        if (type(g) is not np.ndarray or type(data) is not np.ndarray or g is data
                or g.dtype is not data.dtype or g.shape != data.shape
                or g.dtype not in FLOATS):  # fmt: skip
            label = checked_parameters([entries[i]], first=i)[0][0]
            g = gradient_array(label, g, data.shape, data.dtype).view()
        found.append((i, parameter, g))
    if not found:
        raise RuntimeError(
            f"{caller}() found no gradient in any of {len(entries)} parameter(s); call "
            "loss.backward() first, and check that these parameters are the ones that the loss "
            "was computed from"
        )
    return entries, found


def _named(entry: Any) -> bool:
    return isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str)


def _refuse_nonfinite(entries: list[Any], found: Found) -> None:
    for i, _, g in found:
        if not np.all(np.isfinite(g)):
            label = f"parameter {i} ({entries[i][0]!r})" if _named(entries[i]) else f"parameter {i}"
            raise FloatingPointError(
                f"{where_nonfinite(label, g)}; nothing was clipped. Lower the learning rate or "
                "look for the operation that overflows; nonfinite='ignore' lets them through"
            )


def _norm(gradients: list[npt.NDArray[Any]]) -> tuple[float, float]:
    """Return a power of two, 1 if possible, and the norm of that times the gradients.

    The norm is NaN or infinite only if an element is.
    """
    unit, sums = 1.0, _sums(gradients)
    if not SMALLEST < np.max(sums, initial=0.0) < LARGEST:
        largest = _largest(gradients)
        if largest == 0 or not math.isfinite(largest):
            return unit, largest
        unit = math.ldexp(1.0, -max(math.frexp(largest)[1], -1000))
        sums = _sums([np.multiply(g, unit, dtype=np.float64) for g in gradients])
    return unit, math.sqrt(math.fsum(sums.tolist()))


def _largest(gradients: list[npt.NDArray[Any]]) -> float:
    """Return the largest magnitude of an element; NaN if there is one."""
    extremes = [(np.max(g), -np.min(g)) for g in gradients if g.size]
    return abs(float(np.max(np.asarray(extremes, np.float64), initial=0.0)))


def _sums(gradients: list[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Return the sums of squares of blocks, which together are all gradients."""
    sums = []
    for g in _flat(gradients):
        of_blocks = np.empty(-(-g.size // BLOCK))
        sums_of_squares.version(g.size)(g, of_blocks)
        sums.append(of_blocks)
    return np.concatenate(sums)


def _flat(gradients: list[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    """Return flat arrays that hold all elements, the small gradients packed into one of them."""
    small = [g for g in gradients if g.size <= PACKED]
    flat = [g.ravel("K") for g in gradients if g.size > PACKED]
    return [*flat, np.concatenate(small, axis=None)] if small else flat


def _apply(loop: coordinatewise, found: Found, *coefficients: float) -> None:
    """Run `loop` once over each array that is a gradient, or over a copy that replaces it."""
    own = {}
    for _, parameter, g in found:
        flat = g.ravel("K")
        if flat.base is g and flat.flags.writeable:
            own[id(g)] = flat  # two parameters may have one gradient
        else:
            # A view, perhaps of another's gradient: so all are copied before any is changed.
            parameter.grad = np.array(g, order="C")
            own[id(parameter.grad)] = parameter.grad.reshape(-1)
    for flat in own.values():
        loop.version(flat.size)(flat, *coefficients)
