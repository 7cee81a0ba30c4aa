"""What all optimizers share: checked parameters, checked gradients, and the step over them.

An optimizer asks two things of a parameter: `data`, an array that it updates in place, and
`grad`, an array of the same shape and dtype, or None.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from optim.hyperparameters import check_choice
from optim.loop import all_finite, coordinatewise, staggered

__all__ = ["NonFinite", "Optimizer", "Parameter"]

NonFinite = Literal["raise", "skip", "ignore"]


class Parameter(Protocol):
    """What an optimizer knows of a parameter: minigrad's `Tensor` fits, and so may others."""

    data: npt.NDArray[Any]
    grad: Any


@dataclass(slots=True)
class _Slot:
    """One parameter, what the optimizer remembers about it, and what fits it."""

    name: str
    parameter: Parameter
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    data: npt.NDArray[Any]  # the parameter's array when it was last looked at,
    x: npt.NDArray[Any]  # and a flat view of it
    state: list[npt.NDArray[Any]]  # flat arrays, in the order of the loop's arguments
    loop: Callable[..., None]
    all_finite: Callable[[npt.NDArray[Any]], bool]
    cast: Callable[[tuple[float, ...]], tuple[Any, ...]]  # coefficients to the parameter's dtype
    t: int = 0


class Optimizer(ABC):
    """Base of all optimizers: a subclass adds a rule, its loop and its hyperparameters.

    Parameters
    ----------
    params : iterable
        The parameters, or pairs ``(name, parameter)`` whose names will stand in errors.
    nonfinite : {"raise", "skip", "ignore"}
        What `step` does when a gradient holds NaN or infinity: raise `FloatingPointError`, skip
        the whole step (counted in `skipped`), or not look.  "raise" and "skip" happen before any
        parameter or state has changed, and cost one more read of the gradients.  The check is of
        the gradients: a finite one above 1.3e154 in float64, or 1.8e19 in float32, still overflows
        when a rule squares it, and its coordinate is then stuck or NaN.
    **hyperparameters
        One for each name in the class's `hyperparameters`.  They are attributes, and are checked
        when they are set, also between steps.

    Attributes
    ----------
    skipped : int
        Number of steps that ``nonfinite="skip"`` has skipped.

    Raises
    ------
    TypeError
        If `params` is a single tensor or no iterable, if an element is no parameter or is not of
        float32 or float64, or if a hyperparameter is no number.
    ValueError
        If `params` is empty or holds a parameter twice, a parameter cannot receive a gradient, or
        a hyperparameter is out of range.
    """

    loop: ClassVar[coordinatewise]
    """The compiled loop: ``loop(x, g, *state, *coefficients)``, all arrays flat, in place."""

    hyperparameters: ClassVar[dict[str, Callable[[str, Any], Any]]]
    """Name of each hyperparameter and the check that it has to pass."""

    def __init__(
        self, params: Iterable[Any], nonfinite: NonFinite, **hyperparameters: Any
    ) -> None:
        self._dtypes: set[np.dtype[Any]] = set()
        self.nonfinite = nonfinite
        self.skipped = 0
        for name, value in hyperparameters.items():
            setattr(self, name, value)
        named = _checked_parameters(params)
        self._dtypes = {parameter.data.dtype for _, parameter in named}
        self._check_coefficients()
        self._slots = [self._slot(name, parameter) for name, parameter in named]

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "nonfinite":
            value = check_choice(name, value, get_args(NonFinite))
        elif name in self.hyperparameters:
            before = getattr(self, name, None)
            super().__setattr__(name, self.hyperparameters[name](name, value))
            try:
                self._check_coefficients()
            except ValueError:
                super().__setattr__(name, before)
                raise
            return
        super().__setattr__(name, value)

    @abstractmethod
    def initial_state(self) -> dict[str, float]:
        """Return the name and initial value of each state array."""

    @abstractmethod
    def coefficients(self, t: int) -> tuple[float, ...]:
        """Return the scalars of step t (from 1) in the order in which the loop takes them.

        They are computed in float64 once a step, and cast to the parameter's dtype.
        """

    def step(self) -> None:
        """Update every parameter that has a gradient.

        Raises
        ------
        RuntimeError
            If no parameter has a gradient.
        ValueError, TypeError
            If a gradient or parameter has another shape or dtype than it should.
        FloatingPointError
            If a gradient holds NaN or infinity, with ``nonfinite="raise"``.

        A step that is refused has changed no parameter and no state.
        """
        updates = []
        coefficients: tuple[Any, ...] = ()
        computed_for: tuple[int, Any] | None = None
        for slot in self._slots:
            g = slot.parameter.grad
            if g is None:
                continue
            if (slot.parameter.data is not slot.data or type(g) is not np.ndarray
                    or g.shape != slot.shape or g.dtype != slot.dtype):  # fmt: skip
                g = _accepted(slot, g)
            if computed_for != (slot.t, slot.dtype):
                computed_for = (slot.t, slot.dtype)
                coefficients = slot.cast(self.coefficients(slot.t + 1))
            updates.append((slot, g.ravel(), coefficients))
        if not updates:
            raise RuntimeError(
                f"{type(self).__name__}.step() found no gradient in any of "
                f"{len(self._slots)} parameter(s); call loss.backward() first, and check that "
                "these parameters are the ones that the loss was computed from"
            )
        if self.nonfinite != "ignore":
            for slot, g, _ in updates:
                if not slot.all_finite(g):
                    if self.nonfinite == "skip":
                        self.skipped += 1
                        return
                    raise FloatingPointError(_describe_nonfinite(slot, g))
        for slot, g, coefficients in updates:  # all that could be refused has been looked at
            slot.loop(slot.x, g, *slot.state, *coefficients)
            slot.parameter.data = slot.data  # says that it changed: see Tensor.serial
            slot.t += 1

    def zero_grad(self) -> None:
        """Forget the gradients: set `grad` of every parameter to None."""
        for slot in self._slots:
            slot.parameter.grad = None

    def _settings(self) -> str:
        names = (*self.hyperparameters, "nonfinite")
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({values})"

    def __repr__(self) -> str:
        lines = [self._settings()]
        for slot in self._slots:
            steps = f"{slot.t} step" + "s" * (slot.t != 1)
            lines.append(f"  {slot.name}: shape {slot.shape}, {slot.dtype}, {steps}")
        return "\n".join(lines)

    def _check_coefficients(self) -> None:
        """See that the parameters' dtypes can hold what the loops will be given."""
        for dtype in self._dtypes:
            for value in (*self.coefficients(1), *self.initial_state().values()):
                with np.errstate(over="ignore"):
                    held = dtype.type(value)
                if not np.isfinite(held) or (held == 0) != (value == 0):
                    raise ValueError(
                        f"{self._settings()} needs the number {value!r}, which is {held} in "
                        f"{dtype}; choose a less extreme hyperparameter, or float64"
                    )

    def _slot(self, name: str, parameter: Parameter) -> _Slot:
        data = parameter.data
        state = staggered(data.size, list(self.initial_state().values()), data.dtype)
        return _Slot(
            name=name,
            parameter=parameter,
            shape=data.shape,
            dtype=data.dtype,
            data=data,
            x=_flat(name, data),
            state=state,
            loop=self.loop.version(data.size),
            all_finite=all_finite.version(data.size),
            cast=tuple if data.dtype == np.float64 else _to_float32,
        )


def _to_float32(coefficients: tuple[float, ...]) -> tuple[Any, ...]:
    return tuple(map(np.float32, coefficients))


def _checked_parameters(params: Iterable[Any]) -> list[tuple[str, Parameter]]:
    if hasattr(params, "grad") or isinstance(params, np.ndarray):
        raise TypeError("params is one tensor: give a list of parameters, e.g. [w] or [w, b]")
    if not isinstance(params, Iterable):
        raise TypeError(
            f"params is of type {type(params).__name__}: give a list of parameters, e.g. "
            "net.parameters() with its parentheses"
        )
    named: list[tuple[str, Parameter]] = []
    place_of: dict[int, str] = {}
    for i, entry in enumerate(params):
        name, parameter = f"parameter {i}", entry
        if isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str):
            name, parameter = f"parameter {i} ({entry[0]!r})", entry[1]
        data = getattr(parameter, "data", None)
        if not isinstance(data, np.ndarray) or not hasattr(parameter, "grad"):
            raise TypeError(
                f"{name} is of type {type(parameter).__name__}: accepted is a Tensor with "
                "requires_grad=True"
            )
        if data.dtype not in (np.float32, np.float64):
            raise TypeError(
                f"{name} has dtype {data.dtype}: accepted are float32 and float64"
                + (" (a step is a fraction)" if data.dtype.kind in "iub" else "")
            )
        if not getattr(parameter, "requires_grad", True):
            raise ValueError(
                f"{name} has requires_grad=False and would never receive a gradient; make it "
                "with Tensor(values, requires_grad=True)"
            )
        if getattr(parameter, "op", None) is not None:
            raise ValueError(
                f"{name} is the result of an operation, and backward() leaves gradients on "
                "leaves only; give the tensors it was computed from"
            )
        if id(parameter) in place_of:
            raise ValueError(
                f"{name} is {place_of[id(parameter)]} again: it would be updated twice a step; "
                "list every parameter once"
            )
        place_of[id(parameter)] = name
        named.append((name, parameter))
    if not named:
        raise ValueError("params is empty: there is nothing to optimize (a spent generator?)")
    return named


def _accepted(slot: _Slot, gradient: Any) -> npt.NDArray[Any]:
    """The gradient as an array; raises if it, or an array new to the parameter, does not fit."""
    data = slot.parameter.data
    if data is not slot.data:
        x = _flat(slot.name, data)
        if data.shape != slot.shape or data.dtype != slot.dtype:
            raise ValueError(
                f"{slot.name} now holds {data.dtype} values of shape {data.shape}, but the "
                f"optimizer was made for {slot.dtype} and {slot.shape}; make a new optimizer"
            )
        slot.x, slot.data = x, data
    if isinstance(gradient, np.ndarray | np.generic):
        gradient = np.asarray(gradient)  # without a subclass; NumPy makes scalars of 0-d arrays
    else:
        gradient = getattr(gradient, "data", gradient)  # a Tensor, after create_graph=True
    if not isinstance(gradient, np.ndarray) or gradient.dtype != slot.dtype:
        given = getattr(gradient, "dtype", type(gradient).__name__)
        raise TypeError(
            f"the gradient of {slot.name} is of type {given}, the parameter of {slot.dtype}; "
            "the two must be equal"
        )
    if gradient.shape != slot.shape:
        raise ValueError(
            f"the gradient of {slot.name} has shape {gradient.shape}, the parameter "
            f"{slot.shape}; the two must be equal"
        )
    return gradient


def _flat(name: str, data: Any) -> npt.NDArray[Any]:
    """A flat view, through which the loop updates the array itself."""
    if type(data) is not np.ndarray:
        raise ValueError(
            f"{name} now holds a {type(data).__name__} instead of a NumPy array; write new values "
            "with p.data[...] = values"
        )
    if not (data.flags.c_contiguous and data.flags.writeable):
        raise ValueError(
            f"{name} is strided, Fortran-ordered or read-only, and cannot be updated in place; "
            "use Tensor(values, requires_grad=True), which makes a C-ordered copy, or write new "
            "values with p.data[...] = values"
        )
    return data.reshape(-1)


def _describe_nonfinite(slot: _Slot, g: npt.NDArray[Any]) -> str:
    bad = np.flatnonzero(~np.isfinite(g))
    where = tuple(int(i) for i in np.unravel_index(bad[0], slot.shape))
    return (
        f"the gradient of {slot.name} (shape {slot.shape}) holds {g[bad[0]]} at index {where}"
        f" ({bad.size} of {g.size} elements are not finite); nothing was updated. Lower the "
        "learning rate or look for the operation that overflows; nonfinite='skip' leaves such "
        "steps out"
    )
