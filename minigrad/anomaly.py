"""Find where a NaN comes from, and arrays that were changed behind the graph's back."""

from __future__ import annotations

import linecache
import os
import sys
import zlib
from collections.abc import Iterable, Sequence
from contextlib import ContextDecorator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from minigrad.primitive import bare
from minigrad.recording import watchers
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from minigrad.primitive import Primitive

__all__ = ["detect_anomaly"]

PACKAGE = str(Path(__file__).parent) + os.sep


class detect_anomaly(ContextDecorator):
    """Stop at the first NaN, and name the operation and the line that built it.

    Inside, in all threads,

    - an operation on tensors whose result holds NaN where no input does raises at once;
    - so does a backward pass in which a vector-Jacobian product makes the first NaN: the message
      names its operation, and the line of the forward pass that called for it;
    - so does a backward pass through an operation with an array, also an index or a mask, that
      was written to after the forward pass.

    For looking for a mistake, not for training: every array is read twice more.

    Raises
    ------
    FloatingPointError
        At a NaN.
    RuntimeError
        At an array that was changed since an operation used it.

    Examples
    --------
    >>> x = Tensor([1.0, 0.0], requires_grad=True)
    >>> with detect_anomaly(), np.errstate(all="ignore"):
    ...     y = x / x
    Traceback (most recent call last):
        ...
    FloatingPointError: divide made a NaN, at index (1,) of a result of shape (2,), ...
    """

    def __init__(self) -> None:
        # For each result: the line that called for it, and checksums of its inputs and options.
        self._seen: WeakKeyDictionary[Tensor, tuple[str, list[Any], list[Any]]] = (
            WeakKeyDictionary()
        )

    def __enter__(self) -> None:
        watchers.append(self)

    def __exit__(self, *exception: object) -> None:
        watchers.remove(self)

    def _recreate_cm(self) -> detect_anomaly:
        return type(self)()

    def forward(
        self, op: Primitive, values: Sequence[Any], kwargs: dict[str, Any], result: Tensor
    ) -> None:
        """Look at an operation's result; called by the engine."""
        line = _line_of_caller()
        if _has_nan(result.data) and not any(map(_has_nan, values)):
            index = _first_nan(result.data)
            raise FloatingPointError(
                f"{op.name} made a NaN, at index {index} of a result of shape {result.shape}, from "
                f"the inputs {_describe(values)}, {line}"
            )
        if result.op is not None:
            self._seen[result] = line, _checksums(values), _checksums(kwargs.values())

    def before_backward(self, z: Tensor) -> None:
        """See that the inputs of z are what they were; called by the engine."""
        assert z.op is not None
        if z not in self._seen:
            return
        line, inputs, options = self._seen[z]
        names = [f"input {i} of {z.op.name}" for i in range(len(inputs))]
        names += [f"{key}= of {z.op.name}" for key in z.kwargs]
        now = _checksums(z.values) + _checksums(z.kwargs.values())
        for name, before, after in zip(names, inputs + options, now, strict=True):
            if before != after:
                raise RuntimeError(
                    f"{name} was changed in place after the forward pass used it, {line}; backward "
                    "may need the old values"
                )

    def after_vjp(self, z: Tensor, i: int, z_bar: Any, x_bar: Any) -> None:
        """Look at the gradient that z sends to its input i; called by the engine."""
        assert z.op is not None
        if _has_nan(x_bar) and not _has_nan(z_bar):
            line = self._seen[z][0] if z in self._seen else "built before detect_anomaly() began"
            raise FloatingPointError(
                f"the gradient of {z.op.name} with respect to its input {i} holds a NaN, at index "
                f"{_first_nan(x_bar)} of shape {x_bar.shape}; its inputs were "
                f"{_describe(z.values)}, {line}"
            )


def _has_nan(x: Any) -> bool:
    x = np.asarray(bare(x))
    return x.dtype.kind in "fc" and bool(np.isnan(x).any())


def _first_nan(x: Any) -> tuple[int, ...]:
    return tuple(map(int, np.argwhere(np.isnan(bare(x)))[0]))


def _checksums(values: Iterable[Any]) -> list[Any]:
    """A number for each array, and for each array in a tuple, as an index may be one."""
    return [
        zlib.crc32(np.ascontiguousarray(x).data)
        if isinstance(x, np.ndarray)
        else _checksums(x)
        if isinstance(x, tuple)
        else None
        for x in values
    ]


def _describe(values: Sequence[Any]) -> str:
    """Small inputs by value, large ones by shape and range."""
    return " and ".join(
        np.array2string(np.asarray(x), separator=", ", threshold=5, edgeitems=2).replace("\n", "")
        if np.size(x) <= 10
        else f"of shape {np.shape(x)} between {np.min(x):.4g} and {np.max(x):.4g}"
        for x in values
    )


def _line_of_caller() -> str:
    """Where the innermost line outside this package is, and what it says."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    file, number = frame.f_code.co_filename, frame.f_lineno
    return f"built at {file}:{number}: {linecache.getline(file, number).strip()}".rstrip(": ")
