"""NumPy's functions in the few forms that nodes have.

``x.sum()``, ``np.add.reduce(x, None)`` and ``np.sum(x)`` are one node, of `numpy.sum` with all axes
written out; whatever changes only the shape is `numpy.reshape`, whatever reorders axes
`numpy.transpose`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from minigrad.tracing.record import Recorder, called
from minigrad.tracing.symbol import Symbol, run, value_of

__all__ = [
    "CANONICAL", "REDUCTIONS", "STATIC", "VALUE_DEPENDENT", "canonical", "cast", "copied",
    "reduction",
]  # fmt: skip

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
    | {np.empty_like, np.iscomplexobj, np.isrealobj}
)
VALUE_DEPENDENT = frozenset(
    {np.nonzero, np.flatnonzero, np.argwhere, np.unique, np.extract, np.compress, np.allclose}
    | {np.array_equal, np.array_equiv, np.array2string, np.array_repr, np.array_str}
    | {np.count_nonzero, np.bincount, np.histogram}
)


def canonical(
    symbol: Symbol, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Note a call of a function of `CANONICAL`.

    Its rule has the parameters of NumPy's function that it knows, by name; the others have to
    have their default values.
    """
    rule, signature = CANONICAL[function], _signature(function)
    given = signature.bind(*args, **kwargs).arguments
    known = {key: given.pop(key) for key in _signature(rule).parameters if key in given}
    foreign = [key for key, x in given.items() if x is not signature.parameters[key].default]
    if foreign:
        symbol.refuse_call(called(function), *foreign)
    return rule(symbol._recorder, **known)


@functools.cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    if function is np.concatenate:  # written in C, and without a signature before NumPy 2.4
        return inspect.signature(_concatenate_of_numpy)
    return inspect.signature(function)


def _concatenate_of_numpy(
    arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind"
) -> None:
    """Have the parameters of `numpy.concatenate`."""


def cast(recorder: Recorder, x: Any, dtype: npt.DTypeLike) -> Any:
    """Return x in another type; a number or an array as an array."""
    dtype = np.dtype(dtype)
    if not isinstance(x, Symbol):
        return np.asarray(x, dtype)
    if x.dtype == dtype:
        return x
    value = x.node.value.astype(dtype)
    result = recorder.operation(value, np.astype, (x,), {"dtype": dtype})
    result.is_scalar = x.is_scalar
    return result


def copied(x: Symbol, order: Literal["C", "F", "A", "K"]) -> Symbol:
    """Return a Symbol of its own for the values of x: of a new node only if its layout is another.

    For the order in which a sum adds them up follows the layout.
    """
    value = x.node.value.copy(order)
    if value.strides == x.node.value.strides or value.size < 2:
        result = Symbol(x.node, x._recorder)
        result._owned = True
    else:
        result = x._recorder.operation(value, np.copy, (x,), {"order": order})
    result.is_scalar = x.is_scalar
    return result


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
    foreign = [key for key, value in others.items() if value is not np._NoValue]
    if foreign:
        x.refuse_call(called(function), *foreign)
    if dtype is not None:
        x = cast(recorder, x, dtype)
    keepdims = keepdims is not np._NoValue and bool(keepdims)
    if axis is None or (x.ndim == 0 and axis in (0, -1)):  # which NumPy allows
        axes: Any = range(x.ndim)
    else:
        axes = sorted(normalize_axis_tuple(axis, x.ndim))
    options = {"axis": tuple(axes), "keepdims": keepdims}
    return recorder.operation(run(function, x, **options), function, (x,), options)


def _sum_like(function: Callable[..., Any]) -> Callable[..., Symbol]:
    def rule(
        recorder: Recorder, a: Any, axis: Any = None, dtype: Any = None, keepdims: Any = False
    ) -> Symbol:
        return reduction(recorder, function, a, axis, dtype, keepdims)

    return rule


def _max_like(function: Callable[..., Any]) -> Callable[..., Symbol]:
    def rule(recorder: Recorder, a: Any, axis: Any = None, keepdims: Any = False) -> Symbol:
        return reduction(recorder, function, a, axis, None, keepdims)

    return rule


def _reshape(recorder: Recorder, a: Symbol, shape: Any) -> Symbol:
    value = a.node.value.reshape(shape)
    result = recorder.operation(value, np.reshape, (a,), {"shape": value.shape})
    result.disown_shared((a,))
    return result


def _ravel(recorder: Recorder, a: Symbol) -> Symbol:
    return _reshape(recorder, a, -1)


def _squeeze(recorder: Recorder, a: Symbol, axis: Any = None) -> Symbol:
    return _reshape(recorder, a, np.squeeze(a.node.value, axis).shape)


def _expand_dims(recorder: Recorder, a: Symbol, axis: Any) -> Symbol:
    return _reshape(recorder, a, np.expand_dims(a.node.value, axis).shape)


def _transpose(recorder: Recorder, a: Symbol, axes: Any = None) -> Symbol:
    axes = tuple(range(a.ndim)[::-1] if axes is None else normalize_axis_tuple(axes, a.ndim))
    value = a.node.value.transpose(axes)
    result = recorder.operation(value, np.transpose, (a,), {"axes": axes})
    result.disown_shared((a,))
    return result


def _swapaxes(recorder: Recorder, a: Symbol, axis1: int, axis2: int) -> Symbol:
    axes = list(range(a.ndim))
    i, j = normalize_axis_index(axis1, a.ndim), normalize_axis_index(axis2, a.ndim)
    axes[i], axes[j] = axes[j], axes[i]
    return _transpose(recorder, a, axes)


def _moveaxis(recorder: Recorder, a: Symbol, source: Any, destination: Any) -> Symbol:
    # Of an array whose axis i is i long, the shape says afterwards where each axis went.
    axes = np.moveaxis(np.empty(range(a.ndim)), source, destination).shape
    return _transpose(recorder, a, axes)


def _broadcast_to(recorder: Recorder, array: Symbol, shape: Any) -> Symbol:
    value = np.array(np.broadcast_to(array.node.value, shape), order="C")
    result = recorder.operation(value, np.broadcast_to, (array,), {"shape": value.shape})
    array._owned = result._owned = False  # NumPy's is a view
    return result


def _take_along_axis(recorder: Recorder, arr: Any, indices: Any, axis: Any = -1) -> Symbol:
    if axis is None:
        symbol = arr if isinstance(arr, Symbol) else indices
        symbol.refuse_call("np.take_along_axis", "axis=None")
    options = {"axis": normalize_axis_index(axis, arr.ndim)}
    value = run(np.take_along_axis, arr, indices, **options)
    return recorder.operation(value, np.take_along_axis, (arr, indices), options)


def _full_like(
    recorder: Recorder, a: Any, fill_value: Any, dtype: Any = None, shape: Any = None
) -> Any:
    if isinstance(fill_value, Symbol):
        fill_value.refuse_call("np.full_like", "a fill value that is computed")
    return np.full_like(value_of(a), fill_value, dtype, shape=shape)


def _copy(recorder: Recorder, a: Symbol, order: Literal["C", "F", "A", "K"] = "K") -> Symbol:
    return copied(a, order)


def _astype(recorder: Recorder, x: Symbol, dtype: Any, copy: bool = True) -> Symbol:
    return x.astype(dtype, copy=copy)


def _concatenate(recorder: Recorder, arrays: Any, axis: Any = 0) -> Symbol:
    arrays = tuple(arrays)
    if axis is None:
        next(x for x in arrays if isinstance(x, Symbol)).refuse_call("np.concatenate", "axis=None")
    options = {"axis": normalize_axis_index(axis, np.ndim(value_of(arrays[0])))}
    value = np.concatenate(value_of(arrays), axis=options["axis"])
    return recorder.operation(value, np.concatenate, arrays, options)


CANONICAL: dict[Callable[..., Any], Callable[..., Any]] = {
    **{f: _sum_like(f) for f in (np.sum, np.mean, np.prod)},
    **{f: _max_like(f) for f in (np.max, np.min, np.all, np.any)},
    np.reshape: _reshape,
    np.ravel: _ravel,
    np.squeeze: _squeeze,
    np.expand_dims: _expand_dims,
    np.transpose: _transpose,
    np.swapaxes: _swapaxes,
    np.moveaxis: _moveaxis,
    np.broadcast_to: _broadcast_to,
    np.take_along_axis: _take_along_axis,
    np.concatenate: _concatenate,
    np.astype: _astype,
    np.copy: _copy,
    np.full_like: _full_like,
}
