"""Parameter groups: parameters that share hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from optim.hyperparameters import did_you_mean
from optim.loop import coordinatewise
from optim.parameters import Parameter, Slot

if TYPE_CHECKING:
    from optim.optimizer import Optimizer

__all__ = ["ParamGroup"]

FLOAT32_ABOVE, FLOAT32_BELOW = 2.0**-150, (2 - 2.0**-24) * 2.0**127
"""Between these a number is neither 0 nor infinite in float32.

A learning rate may come down to 0, and schedules do; ε would then no longer keep 0/0 away.
"""


class ParamGroup(Mapping[str, Any]):
    """Parameters of an optimizer that share hyperparameters.

    ``optimizer.param_groups`` lists them.  Each hyperparameter is an attribute, and an item as in
    PyTorch; it is checked when it is set, and takes effect from the next step.

    Attributes
    ----------
    params : tuple
        The parameters.

    Raises
    ------
    AttributeError, KeyError
        If there is no such hyperparameter.
    TypeError, ValueError
        If a hyperparameter is set to a value that is not accepted; the old one stays.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> from optim import Adam
    >>> w, b = Tensor([1.0, 2.0], requires_grad=True), Tensor(0.0, requires_grad=True)
    >>> optimizer = Adam([{"params": [w], "weight_decay": 0.1}, {"params": [b]}], lr=0.01)
    >>> optimizer.param_groups[0].lr = 0.02
    >>> [group["lr"] for group in optimizer.param_groups]
    [0.02, 0.01]
    """

    _optimizer: type[Optimizer]
    _slots: list[Slot]
    _dtypes: set[np.dtype[Any]]
    _values: dict[str, Any]
    _arguments: dict[str, Any]
    _sign: float
    _loop: Any

    def __init__(
        self, optimizer: type[Optimizer], slots: list[Slot], values: dict[str, Any]
    ) -> None:
        dtypes = {slot.dtype for slot in slots}
        vars(self).update(
            _optimizer=optimizer, _slots=slots, _dtypes=dtypes, _values={}, _loop=None
        )
        self._set(values)

    @property
    def params(self) -> tuple[Parameter, ...]:
        """The parameters; an optimizer's `add_param_group` takes more."""
        return tuple(slot.parameter for slot in self._slots)

    def coefficients(self, t: int) -> tuple[float, ...]:
        """Return the scalars of step t (from 1): what the loop takes after the arrays."""
        return self._optimizer.coefficients(t, **self._arguments)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, name: str) -> Any:
        if name == "params":
            return self.params
        try:
            return self._values[name]
        except KeyError:
            raise KeyError(self._unknown(name)) from None

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self._values:
            raise KeyError(self._unknown(name))
        self._set(self.checked({name: value}))

    def __getattr__(self, name: str) -> Any:
        values = vars(self).get("_values", {})
        if name.startswith("_") or name not in values:
            raise AttributeError(self._unknown(name) if values else name)
        return values[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._values:
            raise AttributeError(self._unknown(name))
        self[name] = value

    def __repr__(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self._values.items())

    def checked(self, changes: dict[str, Any], *, loading: bool = False) -> dict[str, Any]:
        """Return all values with some of them changed; raise if that cannot be.

        Where the state starts may change only when a state is loaded over it.
        """
        checks = self._optimizer.hyperparameters
        values = self._values | {k: checks[k](k, value) for k, value in changes.items()}
        self._optimizer.check_together(**values)
        before = self._optimizer.initial_state(**self._values)
        after = self._optimizer.initial_state(**values)
        if list(before) != list(after):
            raise ValueError(
                f"{_shown(changes)}: with it the optimizer would remember "
                f"{_names(after)} of each parameter; it was made to remember {_names(before)}. "
                "Make a new optimizer"
            )
        if before != after and not loading:
            raise ValueError(
                f"{_shown(changes)}: the state has started at {_shown(before)} already; make a "
                "new optimizer"
            )
        check_representable(self._optimizer, values, self._dtypes)
        return values

    def _set(self, values: dict[str, Any]) -> None:
        """Take over values that have been checked."""
        arguments = dict(values)
        sign = -1.0 if arguments.pop("maximize", False) else 1.0
        vars(self).update(_values=values, _arguments=arguments, _sign=sign)
        loop = self._optimizer.loop_for(**values)
        if loop is not self._loop:
            vars(self).update(_loop=loop)
            for slot in self._slots:
                slot.loop = self._compiled(slot) if isinstance(loop, coordinatewise) else loop

    def _compiled(self, slot: Slot) -> Callable[..., Any]:
        arrays, coefficients = 2 + len(slot.arrays), len(self.coefficients(1))
        return self._loop.compiled(slot.x.size, slot.dtype, arrays, coefficients)

    def _unknown(self, name: str) -> str:
        return (
            f"{self._optimizer.__name__} has no hyperparameter {name!r}"
            + did_you_mean(str(name), self._values)
        )


def check_representable(
    optimizer: type[Optimizer], values: dict[str, Any], dtypes: set[np.dtype[Any]]
) -> None:
    """See that the parameters' dtypes can hold what the loop will be given."""
    arguments = {name: value for name, value in values.items() if name != "maximize"}
    scalars = (
        *optimizer.coefficients(1, **arguments),
        *optimizer.initial_state(**values).values(),
    )
    for value in scalars:
        if not math.isfinite(value):
            raise ValueError(
                f"{optimizer.__name__}({_shown(values)}) needs the number {value!r} in its first "
                "step; choose a less extreme hyperparameter"
            )
        vanishes = 0 < value <= FLOAT32_ABOVE and value == values.get("eps")
        if np.dtype(np.float32) in dtypes and (vanishes or abs(value) >= FLOAT32_BELOW):
            held = "0.0" if vanishes else "inf"
            raise ValueError(
                f"{optimizer.__name__}({_shown(values)}) needs the number {value!r}, which is "
                f"{held} in float32; choose a less extreme hyperparameter, or float64"
            )


def _shown(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())


def _names(state: dict[str, float]) -> str:
    return " and ".join(state) or "nothing"
