"""NumPy's functions in the few forms that nodes have.

``x.sum()``, ``np.add.reduce(x, None)`` and ``np.sum(x)`` are one node, of `numpy.sum` with all axes
written out; whatever changes only the shape is `numpy.reshape`, whatever reorders axes
`numpy.transpose`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from minigrad.tracing.frames import asked_at
from minigrad.tracing.node import EAGER, Unsupported
from minigrad.tracing.record import Recorder
from minigrad.tracing.symbol import Symbol, run, value_of

__all__ = ["CANONICAL", "REDUCTIONS", "STATIC", "VALUE_DEPENDENT", "cast", "reduction"]

REDUCTIONS: dict[Any, Callable[..., Any]] = {
    np.add: np.sum,
    np.maximum: np.max,
    np.minimum: np.min,
    np.multiply: np.prod,
    np.logical_and: np.all,
    np.logical_or: np.any,
}
STATIC = frozenset(
    {np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.zeros_like, np.ones_like}
    | {np.full_like, np.empty_like, np.iscomplexobj, np.isrealobj, np.may_share_memory}
    | {np.shares_memory}
)
VALUE_DEPENDENT = frozenset(
    {np.nonzero, np.flatnonzero, np.argwhere, np.unique, np.extract, np.compress, np.allclose}
    | {np.array_equal, np.array_equiv, np.array2string, np.array_repr, np.array_str}
    | {np.count_nonzero, np.bincount, np.histogram}
)


def cast(recorder: Recorder, x: Any, dtype: npt.DTypeLike) -> Any:
    """Return x in another type; a number or an array as an array."""
    dtype = np.dtype(dtype)
    if not isinstance(x, Symbol):
        return np.asarray(x, dtype)
    if x.dtype == dtype:
        return Symbol(x.node, recorder)
    value = x.node.value.astype(dtype)
    return recorder.operation(value, np.astype, (x,), {"dtype": dtype})


def reduction(
    recorder: Recorder,
    function: Callable[..., Any],
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    keepdims: Any = False,
    **others: Any,
) -> Symbol:
    """Note a sum, product, mean, extremum, all or any, with its axes written out."""
    if any(option is not None and option is not np._NoValue for option in others.values()):
        raise Unsupported(
            f"np.{function.__name__} with {', '.join(others)} at {asked_at()} cannot be traced; "
            + EAGER
        )
    if dtype is not None:
        x = cast(recorder, x, dtype)
    keepdims = keepdims is not np._NoValue and bool(keepdims)
    axes = range(x.ndim) if axis is None else sorted(normalize_axis_tuple(axis, x.ndim))
    options = {"axis": tuple(axes), "keepdims": keepdims}
    return recorder.operation(run(function, x, **options), function, (x,), options)


def _reduced(function: Callable[..., Any]) -> Callable[..., Symbol]:
    def rule(
        recorder: Recorder, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, **kw: Any
    ) -> Symbol:
        if function in (np.max, np.min, np.all, np.any):  # their third parameter is out
            dtype = None
        return reduction(recorder, function, a, axis, dtype, kw.pop("keepdims", False), **kw)

    return rule


def _viewing(rule: Callable[..., Symbol]) -> Callable[..., Symbol]:
    def viewing(recorder: Recorder, x: Symbol, *args: Any, **kwargs: Any) -> Symbol:
        result = rule(recorder, x, *args, **kwargs)
        x._owned = result._owned = False
        return result

    return viewing


@_viewing
def _reshape(recorder: Recorder, x: Symbol, shape: Any = None, **_: Any) -> Symbol:
    value = x.node.value.reshape(shape)
    return recorder.operation(value, np.reshape, (x,), {"shape": value.shape})


@_viewing
def _transpose(recorder: Recorder, x: Symbol, axes: Any = None) -> Symbol:
    axes = tuple(range(x.ndim)[::-1] if axes is None else normalize_axis_tuple(axes, x.ndim))
    return recorder.operation(x.node.value.transpose(axes), np.transpose, (x,), {"axes": axes})


def _swapaxes(recorder: Recorder, x: Symbol, axis1: int, axis2: int) -> Symbol:
    axes = list(range(x.ndim))
    i, j = normalize_axis_index(axis1, x.ndim), normalize_axis_index(axis2, x.ndim)
    axes[i], axes[j] = axes[j], axes[i]
    return _transpose(recorder, x, axes)


def _moveaxis(recorder: Recorder, x: Symbol, source: Any, destination: Any) -> Symbol:
    before = np.moveaxis(np.empty(range(x.ndim)), source, destination).shape  # axis i is i long
    return _transpose(recorder, x, before)


def _another_shape(function: Callable[..., Any]) -> Callable[..., Symbol]:
    def rule(recorder: Recorder, x: Symbol, *args: Any, **kwargs: Any) -> Symbol:
        return _reshape(recorder, x, function(x.node.value, *args, **kwargs).shape)

    return rule


@_viewing
def _broadcast_to(recorder: Recorder, x: Symbol, shape: Any, **_: Any) -> Symbol:
    value = np.array(np.broadcast_to(x.node.value, shape))
    return recorder.operation(value, np.broadcast_to, (x,), {"shape": value.shape})


def _take_along_axis(recorder: Recorder, x: Any, indices: Any, axis: int = -1) -> Symbol:
    options = {"axis": normalize_axis_index(axis, x.ndim)}
    value = run(np.take_along_axis, x, indices, **options)
    return recorder.operation(value, np.take_along_axis, (x, indices), options)


def _concatenate(recorder: Recorder, xs: Any, axis: int = 0, **_: Any) -> Symbol:
    options = {"axis": normalize_axis_index(axis, np.ndim(value_of(xs[0])))}
    value = np.concatenate(value_of(tuple(xs)), axis=options["axis"])
    return recorder.operation(value, np.concatenate, tuple(xs), options)


def _copy(recorder: Recorder, x: Symbol, *_: Any, **__: Any) -> Symbol:
    return x.copy()


def _astype(recorder: Recorder, x: Symbol, dtype: Any, **_: Any) -> Symbol:
    result: Symbol = cast(recorder, x, dtype)
    return result


CANONICAL: dict[Callable[..., Any], Callable[..., Any]] = {
    **{f: _reduced(f) for f in (np.sum, np.mean, np.max, np.min, np.prod, np.all, np.any)},
    np.reshape: _reshape,
    np.ravel: _another_shape(np.ravel),
    np.squeeze: _another_shape(np.squeeze),
    np.expand_dims: _another_shape(np.expand_dims),
    np.transpose: _transpose,
    np.swapaxes: _swapaxes,
    np.moveaxis: _moveaxis,
    np.broadcast_to: _broadcast_to,
    np.take_along_axis: _take_along_axis,
    np.concatenate: _concatenate,
    np.astype: _astype,
    np.copy: _copy,
}
