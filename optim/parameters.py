"""What an optimizer knows of its parameters: which it takes, and what it remembers of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from numpy.lib.array_utils import byte_bounds

__all__ = [
    "Parameter", "Slot", "checked_parameters", "describe_nonfinite", "fitting_gradient",
    "flat_view", "gradient_array", "refuse_single", "where_nonfinite",
]  # fmt: skip


class Parameter(Protocol):
    """What an optimizer knows of a parameter: minigrad's `Tensor` fits, and so may others."""

    data: npt.NDArray[Any]
    grad: Any


@dataclass(slots=True, eq=False)
class Slot:
    """One parameter, what the optimizer remembers about it, and what fits it."""

    label: str  # for messages: its place, and its name where it has one
    name: str | None
    parameter: Parameter
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    view: Callable[[str, Any], npt.NDArray[Any]]  # of an array, as the loop takes it
    data: npt.NDArray[Any]  # the parameter's array when it was last looked at,
    x: npt.NDArray[Any]  # and a view of it through which the loop updates it
    state: dict[str, npt.NDArray[Any]]  # in the order of the loop's arguments
    arrays: tuple[npt.NDArray[Any], ...]  # the same, without the names
    loop: Callable[..., Any]
    all_finite: Callable[[npt.NDArray[Any]], bool]
    t: int = 0


def refuse_single(params: Any) -> None:
    """Raise if `params` is no iterable of parameters, but a parameter, or something else."""
    if hasattr(params, "grad") or isinstance(params, np.ndarray):
        raise TypeError("params is one tensor: give a list of parameters, e.g. [w] or [w, b]")
    if isinstance(params, Mapping):
        raise TypeError(
            "params is a dict: give a list, of parameters or of groups, e.g. "
            "[{'params': [w, b], 'lr': 0.1}]"
        )
    if isinstance(params, str) or not isinstance(params, Iterable):
        raise TypeError(
            f"params is of type {type(params).__name__}: give a list of parameters, e.g. "
            "net.parameters() with its parentheses"
        )


def checked_parameters(
    params: Iterable[Any], taken: Sequence[tuple[str, Parameter]] = (), first: int | None = None
) -> list[tuple[str, str | None, Parameter]]:
    """Return label, name and parameter for each of `params`; raise if one of them is none.

    Parameters
    ----------
    params : iterable
        Parameters, or pairs ``(name, parameter)``.
    taken : sequence
        Label and parameter of those that the optimizer has already; none may come again.
    first : int, optional
        The place of the first of `params` in messages; by default, behind those taken.
    """
    refuse_single(params)
    found: list[tuple[str, str | None, Parameter]] = []
    label_of = {id(parameter): label for label, parameter in taken}
    for i, entry in enumerate(params, start=len(taken) if first is None else first):
        label, name, parameter = f"parameter {i}", None, entry
        if isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str):
            name, parameter = entry
            label = f"parameter {i} ({name!r})"
        data = getattr(parameter, "data", None)
        if not isinstance(data, np.ndarray) or not hasattr(parameter, "grad"):
            raise TypeError(
                f"{label} is of type {type(parameter).__name__}: accepted is a Tensor with "
                "requires_grad=True"
            )
        if data.dtype not in (np.float32, np.float64):
            raise TypeError(
                f"{label} has dtype {data.dtype}: accepted are float32 and float64"
                + _dtype_advice(data.dtype)
            )
        if not getattr(parameter, "requires_grad", True):
            raise ValueError(
                f"{label} has requires_grad=False and would never receive a gradient; make it "
                "with Tensor(values, requires_grad=True)"
            )
        if getattr(parameter, "op", None) is not None:
            raise ValueError(
                f"{label} is the result of an operation, and backward() leaves gradients on "
                "leaves only; give the tensors it was computed from"
            )
        if id(parameter) in label_of:
            raise ValueError(
                f"{label} is {label_of[id(parameter)]} again: it would be updated twice a step; "
                "list every parameter once, in one group"
            )
        label_of[id(parameter)] = label
        found.append((label, name, parameter))
    if not found:
        raise ValueError("params is empty: there is nothing to optimize (a spent generator?)")
    _refuse_shared_values([*taken, *((label, parameter) for label, _, parameter in found)])
    return found


def _refuse_shared_values(parameters: list[tuple[str, Parameter]]) -> None:
    """Raise if two parameters' arrays overlap in memory."""
    ranges = sorted((*byte_bounds(p.data), label) for label, p in parameters if p.data.size)
    for (_, end, first), (start, _, second) in pairwise(ranges):
        if start < end:
            raise ValueError(
                f"{second} shares its values with {first}: each would update them; use one Tensor "
                "in both places, and list it once"
            )


def _dtype_advice(dtype: np.dtype[Any]) -> str:
    if dtype.kind in "iub":
        return " (a step is a fraction)"
    if dtype == np.float16:
        return (
            " (Numba has no float16 on the CPU, and there ε = 1e-8 would be 0); keep the "
            "parameter in float32, e.g. Tensor(values.astype(np.float32), requires_grad=True)"
        )
    return ""


def fitting_gradient(slot: Slot, gradient: Any) -> npt.NDArray[Any]:
    """The gradient as an array; raises if it, or an array new to the parameter, does not fit."""
    data = slot.parameter.data
    if data is not slot.data:
        x = slot.view(slot.label, data)
        if data.shape != slot.shape or data.dtype != slot.dtype:
            raise ValueError(
                f"{slot.label} now holds {data.dtype} values of shape {data.shape}, but the "
                f"optimizer was made for {slot.dtype} and {slot.shape}; make a new optimizer"
            )
        slot.x, slot.data = x, data
    return gradient_array(slot.label, gradient, slot.shape, slot.dtype)


def gradient_array(
    label: str, gradient: Any, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """Return a gradient as an array; raise if it has not its parameter's shape and dtype."""
    if isinstance(gradient, np.ndarray | np.generic):
        gradient = np.asarray(gradient)  # without a subclass; NumPy makes scalars of 0-d arrays
    else:
        gradient = getattr(gradient, "data", gradient)  # a Tensor, after create_graph=True
    if not isinstance(gradient, np.ndarray) or gradient.dtype != dtype:
        given = getattr(gradient, "dtype", type(gradient).__name__)
        raise TypeError(
            f"the gradient of {label} is of type {given}, the parameter of {dtype}; "
            "the two must be equal"
            + (_dtype_advice(given) if isinstance(given, np.dtype) and given == "f2" else "")
        )
    if gradient.shape != shape:
        raise ValueError(
            f"the gradient of {label} has shape {gradient.shape}, the parameter "
            f"{shape}; the two must be equal"
        )
    return gradient


def flat_view(label: str, data: Any) -> npt.NDArray[Any]:
    """Return a flat view, through which a loop updates the array itself; raise if there is none."""
    if type(data) is not np.ndarray:
        raise ValueError(
            f"{label} now holds a {type(data).__name__} instead of a NumPy array; write new values "
            "with p.data[...] = values"
        )
    if not (data.flags.c_contiguous and data.flags.writeable):
        raise ValueError(
            f"{label} is strided, Fortran-ordered or read-only, and cannot be updated in place; "
            "use Tensor(values, requires_grad=True), which makes a C-ordered copy, or write new "
            "values with p.data[...] = values"
        )
    return data.reshape(-1)


def describe_nonfinite(slot: Slot, g: npt.NDArray[Any]) -> str:
    """Say where the gradient holds NaN or infinity, and what to do."""
    return (
        f"{where_nonfinite(slot.label, g.reshape(slot.shape))}; nothing was updated. Lower the "
        "learning rate or look for the operation that overflows; nonfinite='skip' leaves such "
        "steps out"
    )


def where_nonfinite(label: str, gradient: npt.NDArray[Any]) -> str:
    """Say which elements of a gradient are NaN or infinite."""
    bad = np.argwhere(~np.isfinite(gradient))
    index = tuple(bad[0].tolist())
    return (
        f"the gradient of {label} (shape {gradient.shape}) holds {gradient[index]} at index "
        f"{index} ({len(bad)} of {gradient.size} elements are not finite)"
    )
