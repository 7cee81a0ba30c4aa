"""What a compiled epoch is given, checked: machine code reads what it is pointed at, and no less.

Each function raises before anything of the training has changed, or returns what it checked in the
form that the code takes.  `look_again` alone sets something, as an optimizer's step does: which
array a slot updates.
"""

from __future__ import annotations

import math
import numbers
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from minigrad.tensor import Tensor
from minigrad.tracing.clip import Clip
from minigrad.tracing.epoch import Part
from minigrad.tracing.node import Node, Trace

__all__ = [
    "Input", "as_traced", "check_limit", "checked_clip", "checked_examples",
    "checked_order", "checked_rates", "look_again",
]  # fmt: skip

Array = npt.NDArray[Any]
COMPILED = "?bBhHiIlLqQfd"
"""The types of numbers for which code can be compiled."""


class Input(NamedTuple):
    """An array of examples, as the loss was traced with it."""

    name: str
    shape: tuple[int, ...]  # of one example
    dtype: np.dtype[Any]


def checked_examples(examples: tuple[Any, ...], inputs: list[Input]) -> list[Array]:
    """Return the examples as C-ordered arrays; raise if they do not fit each other, or the trace.

    `inputs` is empty before there is a trace.
    """
    if not examples:
        raise TypeError("no examples were given; call it as epoch(X, y, rng=rng)")
    if inputs and len(examples) != len(inputs):
        raise TypeError(
            f"{len(examples)} arrays of examples were given; the loss was traced with "
            f"{len(inputs)}: {', '.join(x.name for x in inputs)}"
        )
    names = [x.name for x in inputs] or [f"argument {i}" for i in range(len(examples))]
    arrays = []
    for x, name in zip(examples, names, strict=True):
        if not isinstance(x, np.ndarray):
            raise TypeError(
                f"{name} is of type {type(x).__name__}; accepted is a NumPy array of all examples"
                + (", such as its .data" if isinstance(x, Tensor) else "")
            )
        if x.ndim == 0:
            raise ValueError(f"{name} has no axis of examples: its shape is ()")
        if len(x) != len(examples[0]):
            raise ValueError(
                f"{names[0]} has {len(examples[0])} examples and {name} {len(x)}; every example "
                "needs all its parts"
            )
        if x.dtype.char not in COMPILED or not x.dtype.isnative:
            raise TypeError(
                f"{name} is of {x.dtype!r}; accepted are float64, float32, integers and booleans, "
                "in the machine's own byte order"
            )
        arrays.append(np.ascontiguousarray(x))
    if not len(arrays[0]):
        raise ValueError(f"{names[0]} is empty: there is no batch to draw")
    for x, (name, shape, dtype) in zip(arrays, inputs, strict=False):
        if x.shape[1:] != shape:
            raise ValueError(
                f"an example of {name} has shape {x.shape[1:]}; the loss was traced with examples "
                f"of shape {shape}. Compile another epoch for others"
            )
        if x.dtype != dtype:
            raise ValueError(
                f"{name} is of {x.dtype}; the loss was traced with {dtype}. Convert it with "
                f"{name}.astype(np.{dtype}), or compile another epoch"
            )
    return arrays


def checked_order(
    order: npt.ArrayLike | None, rng: np.random.Generator | None, count: int
) -> Array | None:
    """Return the order as int64, each an index that exists; None if there is none."""
    if order is None:
        if rng is not None and not isinstance(rng, np.random.Generator):
            raise TypeError(
                f"rng={rng!r} is of type {type(rng).__name__}; it must be a "
                "numpy.random.Generator, such as np.random.default_rng(0)"
            )
        return None
    if rng is not None:
        raise ValueError("both rng and order were given; rng draws an order of its own")
    indices = np.asarray(order)
    if indices.ndim != 1 or not indices.size:
        raise ValueError(
            f"order has shape {indices.shape}; accepted is a list of one or more examples' indices"
        )
    if indices.dtype.kind not in "iu":
        raise TypeError(f"order is of dtype {indices.dtype}; accepted are whole numbers, indices")
    if indices.min() < 0 or indices.max() >= count:
        bad = indices[(indices < 0) | (indices >= count)][0]
        raise ValueError(f"order holds {bad}; accepted are indices from 0, below {count}")
    return np.ascontiguousarray(indices, np.int64)


def checked_rates(rates: npt.ArrayLike | None, optimizer: Any, steps: int) -> Array:
    """Return the learning rate of each group and step."""
    groups = optimizer._groups
    table = np.empty((len(groups), steps))
    if rates is None:
        for row, group in zip(table, groups, strict=True):
            row.fill(group._values.get("lr", 0.0))
        return table
    given = np.asarray(rates)
    if given.dtype.kind not in "fiu":
        raise TypeError(f"rates is of dtype {given.dtype}; accepted are numbers, one a step")
    if given.shape not in ((steps,), table.shape):
        raise ValueError(
            f"rates has shape {given.shape}; accepted is one rate for each of the {steps} step(s), "
            f"({steps},), or a row of them for each parameter group, {table.shape}"
        )
    table[:] = given
    good = np.isfinite(table) & (table >= 0)
    if not good.all():
        raise ValueError(f"rates holds {table[~good][0]}; accepted are finite numbers, 0 or above")
    for row, group in zip(table, groups, strict=True):
        if "lr" not in group:
            raise ValueError(f"rates were given, and {type(optimizer).__name__} has no rate lr")
        group.checked({"lr": float(row.max())})
    return table


def checked_clip(norm: Any, value: Any) -> Clip | None:
    """Return what is done to gradients before the update."""
    if norm is not None and value is not None:
        raise ValueError(
            f"clip_norm={norm!r} and clip_value={value!r}: accepted is one of the two, as the "
            "order would matter"
        )
    name, limit = ("clip_value", value) if norm is None else ("clip_norm", norm)
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, numbers.Real):
        raise TypeError(f"{name}={limit!r}: accepted is a finite number above 0, e.g. 1.0")
    if not (math.isfinite(limit) and float(limit) > 0):
        raise ValueError(f"{name}={limit!r}: accepted is a finite number above 0, e.g. 1.0")
    return Clip("value" if norm is None else "norm", float(limit))


def check_limit(clip: Clip, trace: Trace, parts: tuple[Part, ...]) -> None:
    """Raise if a limit for each element is 0 or infinite in a parameter's type."""
    updated = [trace.parameters[place] for part in parts for place in part.parameters]
    if clip.kind == "value" and any(node.dtype == np.float32 for node in updated):
        with np.errstate(over="ignore", under="ignore"):
            held = np.float32(clip.limit)
        if not 0 < held < np.inf:
            raise ValueError(
                f"clip_value={clip.limit!r}, which is {held} in float32, the dtype of a gradient; "
                "choose a less extreme limit"
            )


def look_again(slot: Any) -> None:
    """Take the array that a parameter has now, as the optimizer's step does; raise if none fits.

    Also if it is the same array: its shape and flags may have been set.
    """
    data = slot.parameter.data
    x = slot.view(slot.label, data)
    if data.shape != slot.shape or data.dtype != slot.dtype:
        raise ValueError(
            f"{slot.label} now holds {data.dtype} values of shape {data.shape}, but the optimizer "
            f"was made for {slot.dtype} and {slot.shape}; make a new optimizer"
        )
    slot.x, slot.data = x, data


def as_traced(tensor: Tensor, node: Node) -> Array:
    """Return the values of a tensor that is only read; raise if they are of another kind."""
    data = tensor.data
    if data.shape != node.shape or data.dtype != node.dtype:
        raise ValueError(
            f"{node.name} now holds {data.dtype} values of shape {data.shape}; the loss was traced "
            f"with {node.dtype} and {node.shape}. Compile another epoch"
        )
    if data.flags.c_contiguous and data.flags.writeable:
        return data
    return np.array(data, order="C")  # what is read-only would be another type to Numba
