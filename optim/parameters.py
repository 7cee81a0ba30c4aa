"""What is asked of parameters and their gradients, wherever they are handed over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Parameter", "checked_parameters", "gradient_array", "refuse_single", "where_nonfinite"]


class Parameter(Protocol):
    """What an optimizer knows of a parameter: minigrad's `Tensor` fits, and so may others."""

    data: npt.NDArray[Any]
    grad: Any


def refuse_single(params: Any) -> None:
    """Raise if `params` is no iterable of parameters, but a parameter, or something else."""
    if hasattr(params, "grad") or isinstance(params, np.ndarray):
        raise TypeError("params is one tensor: give a list of parameters, e.g. [w] or [w, b]")
    if isinstance(params, str) or not isinstance(params, Iterable):
        raise TypeError(
            f"params is of type {type(params).__name__}: give a list of parameters, e.g. "
            "net.parameters() with its parentheses"
        )


def checked_parameters(
    params: Iterable[Any], first: int, place_of: dict[Any, str]
) -> list[tuple[str, str | None, Parameter]]:
    """Return label, name and parameter for each of `params`; raise if one of them is none.

    Parameters
    ----------
    params : iterable
        Parameters, or pairs ``(name, parameter)``.
    first : int
        The place of the first of them among all parameters.
    place_of : dict
        The label of each parameter there is, by its `id`; those of `params` are added.
    """
    refuse_single(params)
    found: list[tuple[str, str | None, Parameter]] = []
    for i, entry in enumerate(params, start=first):
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
                + (" (a step is a fraction)" if data.dtype.kind in "iub" else "")
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
        if id(parameter) in place_of:
            raise ValueError(
                f"{label} is {place_of[id(parameter)]} again: it would be updated twice a step; "
                "list every parameter once"
            )
        place_of[id(parameter)] = label
        found.append((label, name, parameter))
    if not found:
        raise ValueError("params is empty: there is nothing to optimize (a spent generator?)")
    return found


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
        )
    if gradient.shape != shape:
        raise ValueError(
            f"the gradient of {label} has shape {gradient.shape}, the parameter "
            f"{shape}; the two must be equal"
        )
    return gradient


def where_nonfinite(label: str, gradient: npt.NDArray[Any]) -> str:
    """Say which elements of a gradient are NaN or infinite."""
    bad = np.argwhere(~np.isfinite(gradient))
    index = tuple(bad[0].tolist())
    return (
        f"the gradient of {label} (shape {gradient.shape}) holds {gradient[index]} at index "
        f"{index} ({len(bad)} of {gradient.size} elements are not finite)"
    )
