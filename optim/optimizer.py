"""What all optimizers share: parameter groups, checked gradients, the step, and state that resumes.

An optimizer asks two things of a parameter: `data`, an array that it updates in place, and
`grad`, an array of the same shape and dtype, or None.

The t of the equations counts from 1, for each parameter by itself, the steps in which it had a
gradient: so bias correction is right also for one that joins late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from optim.groups import ParamGroup, check_representable
from optim.hyperparameters import (
    check_choice,
    check_nonnegative_whole,
    did_you_mean,
    refuse_misspelt,
)
from optim.loop import all_finite, coordinatewise, staggered
from optim.parameters import (
    Parameter,
    Slot,
    checked_parameters,
    describe_nonfinite,
    fitting_gradient,
    flat_view,
    refuse_single,
)
from optim.state import checked_state, state_of

__all__ = ["NonFinite", "Optimizer"]

NonFinite = Literal["raise", "skip", "ignore"]
Self = TypeVar("Self", bound="Optimizer")


def _accept_all(**hyperparameters: Any) -> None:
    pass


class Optimizer:
    """Base of all optimizers: a subclass adds a rule, its loop and its hyperparameters.

    Parameters
    ----------
    params : iterable
        The parameters, or pairs ``(name, parameter)`` whose names will stand in errors.  Or dicts,
        one for each group of parameters: ``{"params": [...]}`` with hyperparameters of the group's
        own; those that it does not give are the optimizer's.
    nonfinite : {"raise", "skip", "ignore"}
        What `step` does when a gradient holds NaN or infinity: raise `FloatingPointError`, skip
        the whole step (counted in `skipped`), or not look.  "raise" and "skip" happen before any
        parameter or state has changed, and cost one more read of the gradients.  The check is of
        the gradients: a finite one above 1.3e154 in float64, or 1.8e19 in float32, still overflows
        when a rule squares it, and its coordinate is then stuck or NaN.
    **hyperparameters
        One for each name in the class's `hyperparameters`.  They are attributes, of the optimizer
        for all groups and of each group, and are checked when they are set, also between steps.

    Attributes
    ----------
    param_groups : tuple of ParamGroup
        The groups; one if `params` has no dicts.
    skipped : int
        Number of steps that ``nonfinite="skip"`` has skipped.

    Raises
    ------
    TypeError
        If `params` is a single tensor or no iterable, if an element is no parameter or is not of
        float32 or float64, if a hyperparameter is no number, or if there is none of that name.
    ValueError
        If `params` or a group is empty or a parameter is in it twice, a parameter cannot receive a
        gradient, or a hyperparameter is out of range.
    """

    hyperparameters: ClassVar[dict[str, Callable[[str, Any], Any]]]
    """Name of each hyperparameter and the check that it has to pass."""

    check_together: ClassVar[Callable[..., None]] = staticmethod(_accept_all)
    """``check_together(**hyperparameters)`` raises ValueError if they, each fine alone, do not go
    together."""

    initial_state: ClassVar[Callable[..., dict[str, float]]]
    """``initial_state(**hyperparameters)``: name and first value of each state array."""

    loop_for: ClassVar[Callable[..., coordinatewise | Callable[..., None]]]
    """``loop_for(**hyperparameters)``: the compiled loop.  It is called as ``loop(x, g, *state,
    sign, coefficients)``, with flat arrays that it updates in place, and gives its rule the
    coefficients, and the gradient times sign, which is -1 with ``maximize=True``."""

    coefficients: ClassVar[Callable[..., tuple[float, ...]]]
    """``coefficients(t, **hyperparameters)``, without `maximize`: the scalars of step t (from 1) in
    the order in which the rule takes them, computed in float64 once a step, and then cast."""

    view: ClassVar[Callable[..., npt.NDArray[Any]]] = staticmethod(flat_view)
    """``view(label, data)``: the parameter's array as the loop takes it."""

    def __new__(cls: type[Self], *args: Any, **kwargs: Any) -> Self:
        """Refuse a misspelt keyword with a suggestion, and the base itself."""
        if cls is Optimizer:
            raise TypeError("Optimizer is the base of all and has no rule; use one, e.g. Adam")
        refuse_misspelt(cls, kwargs)
        return super().__new__(cls)

    def __init__(
        self, params: Iterable[Any], nonfinite: NonFinite, **hyperparameters: Any
    ) -> None:
        self._groups: list[ParamGroup] = []
        self._slots: list[Slot] = []
        self._defaults = {k: self.hyperparameters[k](k, v) for k, v in hyperparameters.items()}
        self.check_together(**self._defaults)
        self.nonfinite = nonfinite
        self.skipped = 0
        refuse_single(params)
        entries = list(params)
        groups = entries if any(isinstance(e, dict) for e in entries) else [{"params": entries}]
        for group in groups:
            self.add_param_group(group)

    @property
    def param_groups(self) -> tuple[ParamGroup, ...]:
        """The groups; `add_param_group` adds one."""
        return tuple(self._groups)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Let the optimizer update more parameters, with hyperparameters of their own.

        Parameters
        ----------
        group : mapping
            ``"params"``, as for the optimizer itself, and the hyperparameters that differ from
            the optimizer's: those it was made with, or that were set on it since.

        Raises
        ------
        TypeError, ValueError
            As for the optimizer itself, also if a parameter is in another group already.  The
            optimizer is then unchanged.
        """
        if not isinstance(group, Mapping):
            raise TypeError(
                f"a parameter group is a dict like {{'params': [w, b], 'lr': 0.1}}, got a "
                f"{type(group).__name__}; where one entry of params is a dict, all have to be"
            )
        place = f"parameter group {len(self._groups)}"
        if "params" not in group:
            raise ValueError(f"{place} has no 'params'; its keys are {', '.join(map(repr, group))}")
        values = dict(self._defaults)
        for name, value in group.items():
            if name == "params":
                continue
            if name not in values:
                raise TypeError(
                    f"{place} has a key {name!r}, which is no hyperparameter of "
                    f"{type(self).__name__}" + did_you_mean(str(name), ["params", *values])
                )
            values[name] = value
        try:
            values = {name: self.hyperparameters[name](name, v) for name, v in values.items()}
            self.check_together(**values)
            found = checked_parameters(
                group["params"], [(slot.label, slot.parameter) for slot in self._slots]
            )
            check_representable(type(self), values, {p.data.dtype for _, _, p in found})
        except (TypeError, ValueError) as error:
            if self._groups or len(group) > 1:  # else there is one group, and no word of it
                raise type(error)(f"{place}: {error}") from None
            raise
        initial = self.initial_state(**values)
        slots = [self._slot(*parameter, initial) for parameter in found]
        self._groups.append(ParamGroup(type(self), slots, values))
        self._slots += slots

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
        updates: list[tuple[Slot, npt.NDArray[Any], float, tuple[float, ...]]] = []
        for group in self._groups:
            t, sign = -1, group._sign
            coefficients: tuple[float, ...] = ()
            for slot in group._slots:
                g = slot.parameter.grad
                if g is None:
                    continue
                if (slot.parameter.data is not slot.data or type(g) is not np.ndarray
                        or g.shape != slot.shape or g.dtype != slot.dtype):  # fmt: skip
                    g = fitting_gradient(slot, g)
                if slot.t != t:
                    t = slot.t
                    coefficients = group.coefficients(t + 1)
                updates.append((slot, g.ravel(), sign, coefficients))
        if not updates:
            raise RuntimeError(
                f"{type(self).__name__}.step() found no gradient in any of "
                f"{len(self._slots)} parameter(s); call loss.backward() first, and check that "
                "these parameters are the ones that the loss was computed from"
            )
        if self.nonfinite != "ignore":
            for slot, g, _, _ in updates:
                if not slot.all_finite(g):
                    if self.nonfinite == "skip":
                        self.skipped += 1
                        return
                    raise FloatingPointError(describe_nonfinite(slot, g))
        for slot, g, sign, coefficients in updates:  # what could be refused has been looked at
            slot.loop(slot.x, g, *slot.arrays, sign, coefficients)
            slot.parameter.data = slot.data  # says that it changed: see Tensor.serial
            slot.t += 1

    def zero_grad(self) -> None:
        """Forget the gradients: set `grad` of every parameter to None."""
        for slot in self._slots:
            slot.parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return what the next steps depend on, besides parameters, gradients and `nonfinite`.

        Returns
        -------
        dict
            ``"optimizer"``, the class's name; ``"skipped"``; ``"param_groups"``, for each group its
            hyperparameters and the places of its parameters; ``"state"``, for each parameter its
            name or None, shape, dtype, number of steps, and its state arrays.  It consists of
            dicts, lists, strings, numbers and arrays, which are copies.

        Examples
        --------
        >>> from minigrad import Tensor
        >>> from optim import Adam
        >>> w = Tensor([1.0, 2.0], requires_grad=True)
        >>> w.grad = np.ones(2)
        >>> optimizer = Adam([w], lr=0.1)
        >>> optimizer.step()
        >>> twin = Adam([w])
        >>> twin.load_state_dict(optimizer.state_dict())
        >>> twin.lr, twin.state_dict()["state"][0]["v"]
        (0.1, array([0.1, 0.1]))
        """
        return state_of(self)

    def load_state_dict(
        self, state: Mapping[str, Any], *, keep: str | Iterable[str] = ()
    ) -> None:
        """Set the state to one that `state_dict` returned: the next step is then the same.

        Parameters
        ----------
        state : mapping
            Of an optimizer of the same class, whose groups had as many parameters, with the same
            shapes, dtypes and names in the same order.
        keep : str or iterable of str
            Hyperparameters that stay as they are now, e.g. ``["lr"]`` to go on with a new learning
            rate; all others become the saved ones.

        Raises
        ------
        TypeError, ValueError
            If `state` or an entry is missing, unknown, of another kind, shape or dtype, or not
            accepted.  The optimizer is then unchanged.
        """
        found = checked_state(self, state, [keep] if isinstance(keep, str) else list(keep))
        for group, values in zip(self.param_groups, found.groups, strict=True):
            group._set(values)
        for slot, t, arrays in found.slots:
            slot.t = t
            for name, array in arrays.items():
                slot.state[name][...] = array.ravel()
        self.skipped = found.skipped

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self.hyperparameters:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        values = [group[name] for group in self.param_groups]
        if any(value != values[0] for value in values):
            raise AttributeError(
                f"the parameter groups differ in {name}: {values}; read param_groups[i].{name}"
            )
        return values[0]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.hyperparameters:
            checked = [group.checked({name: value}) for group in self.param_groups]
            for group, values in zip(self.param_groups, checked, strict=True):
                group._set(values)
            self._defaults[name] = checked[0][name]
            return
        if name == "nonfinite":
            value = check_choice(name, value, get_args(NonFinite))
        elif name == "skipped":
            value = check_nonnegative_whole(name, value)
        elif name == "param_groups":
            raise AttributeError("param_groups cannot be set; add_param_group adds a group")
        elif not name.startswith("_"):
            known = [*self.hyperparameters, "nonfinite"]
            raise AttributeError(
                f"{type(self).__name__} has no attribute {name!r}" + did_you_mean(name, known)
                + "; those of a subclass of your own start with an underscore"
            )
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        name, groups = type(self).__name__, self.param_groups
        if len(groups) == 1:
            lines = [f"{name}({groups[0]}, nonfinite={self.nonfinite!r})"]
        else:
            lines = [f"{name}({len(groups)} parameter groups, nonfinite={self.nonfinite!r})"]
        for i, group in enumerate(groups):
            if len(groups) > 1:
                lines.append(f"  group {i}: {group}")
            for slot in group._slots:
                steps = f"{slot.t} step" + "s" * (slot.t != 1)
                lines.append(f"  {slot.label}: shape {slot.shape}, {slot.dtype}, {steps}")
        return "\n".join(lines)

    def _slot(
        self, label: str, name: str | None, parameter: Parameter, initial: dict[str, float]
    ) -> Slot:
        data = parameter.data
        x = type(self).view(label, data)
        arrays = staggered(data.size, list(initial.values()), data.dtype)
        return Slot(
            label=label,
            name=name,
            parameter=parameter,
            shape=data.shape,
            dtype=data.dtype,
            view=type(self).view,
            data=data,
            x=x,
            state=dict(zip(initial, arrays, strict=True)),
            arrays=tuple(arrays),
            loop=_no_loop,  # its group sets it
            all_finite=all_finite.compiled(data.size, data.dtype, 1),
        )


def _no_loop(*arrays: Any) -> None:
    raise AssertionError("a slot without a group has no loop")
