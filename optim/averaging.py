"""Weight averaging: the mean of the weights along the way, which is less noisy than the last ones.

Polyak & Juditsky, *Acceleration of Stochastic Approximation by Averaging*, 1992, and Ruppert,
*Efficient Estimations from a Slowly Convergent Robbins-Monro Process*, 1988: near a minimum the
weights move around it, and their mean lies nearer to it than any of them.  Theirs is the mean of
all weights; an exponential moving average forgets the early ones.  With weights x, decay d and t
from 1:

    x̄_t = d x̄_{t-1} + (1 - d) x_t,        x̄_0 = x_0, the weights when the average is made

The weights of step t - k count (1 - d) dᵏ: the average looks back about 1/(1 - d) steps.  It is
evaluated and deployed; training goes on with x.

Which variant
-------------
Computed is x̄ + (1 - d)(x - x̄), the same but for rounding: so weights that stay keep their average
exactly.  x̄ starts at x_0, not at 0, and so needs no bias correction.  Optax's `ema` starts at 0 and
divides by 1 - dᵗ, as Adam does, which leaves x_0 out: x̄_t = dᵗ x_0 + (1 - dᵗ) x̄_t(Optax).
PyTorch's `AveragedModel` with `get_ema_multi_avg_fn`, and Keras' `use_ema` (d = 0.99), have this
file's rule, but take the weights at their first update whole: updated once before the first step,
they compute the same.  A `decay` of t/(t + 1), set before each update, gives the mean of all
weights, x_0 too.

The average is float64 for float32 weights too.  Next to x̄ in float32, (1 - d)(x - x̄) rounds to
nothing once x - x̄ is below 2⁻²⁵ x̄/(1 - d): with d = 0.9999 an average stops at least 0.03% short of
weights that stay.  PyTorch and Keras average in the weights' dtype.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from numba import prange

from optim.hyperparameters import check_fraction, refuse_misspelt
from optim.loop import coordinatewise, inlinable
from optim.parameters import Parameter, checked_parameters

__all__ = ["ExponentialMovingAverage", "averaging_rule"]

Self = TypeVar("Self", bound="ExponentialMovingAverage")


@inlinable
def averaging_rule(average: Any, x: Any, one_minus_decay: Any) -> Any:
    """One update of one coordinate, or of whole arrays; returns the new average.

    Examples
    --------
    >>> averaging_rule(1.0, 5.0, 0.25)
    2.0
    """
    return average + one_minus_decay * (x - average)


@coordinatewise
def averaging_loop(average: Any, x: Any, one_minus_decay: Any) -> None:
    """Apply `averaging_rule` to every coordinate of flat arrays, in place."""
    for i in prange(average.size):
        average[i] = averaging_rule(average[i], x[i], one_minus_decay)


@dataclass(slots=True)
class _Slot:
    """One parameter and its average."""

    label: str
    parameter: Parameter
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    average: npt.NDArray[np.float64]  # flat


class ExponentialMovingAverage:
    """An average of parameters, as in the equation above.

    Parameters
    ----------
    params : iterable
        Parameters, or pairs ``(name, parameter)`` whose names will stand in errors.
    decay : float
        d, in [0, 1).  An attribute that can be set between updates.

    Raises
    ------
    TypeError
        If `params` is a single tensor or no iterable, if an element is no parameter or is not of
        float32 or float64, or if `decay` is no number.
    ValueError
        If `params` is empty or holds a parameter twice, or `decay` is out of range.

    Notes
    -----
    Only parameters are averaged, no running statistics (`nn.BatchNorm2d`).  A NaN among the weights
    is there to stay in the average; an optimizer with ``nonfinite="raise"`` stops before it.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> from optim import SGD
    >>> x = Tensor(8.0, requires_grad=True)
    >>> optimizer, ema = SGD([x], lr=0.25), ExponentialMovingAverage([x], decay=0.5)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (x * x).backward()
    ...     optimizer.step()
    ...     ema.update()
    >>> x.item()
    2.0
    >>> with ema.swapped():
    ...     x.item()
    4.0
    >>> x.item()
    2.0
    """

    def __new__(cls: type[Self], *args: Any, **kwargs: Any) -> Self:
        """Refuse a misspelt keyword with a suggestion, which Python's own message lacks."""
        refuse_misspelt(cls, kwargs)
        return super().__new__(cls)

    def __init__(self, params: Iterable[Any], decay: float = 0.999) -> None:
        self.decay = decay
        self._swapped = False
        self._slots = [
            _Slot(label, p, p.data.shape, p.data.dtype, np.array(p.data, np.float64).ravel())
            for label, _, p in checked_parameters(params)
        ]

    @property
    def decay(self) -> float:
        """How much of the old average an update keeps: d."""
        return self._decay

    @decay.setter
    def decay(self, value: float) -> None:
        self._decay = check_fraction("decay", value)

    def update(self) -> None:
        """Take the parameters' present values into the average; call it after a step.

        Raises
        ------
        ValueError
            If a parameter holds values of another shape or dtype than it did; no average has
            changed.
        RuntimeError
            Within `swapped`, where the parameters hold the average.
        """
        self._refuse_swapped("update()")
        arrays = []
        for slot in self._slots:
            x = slot.parameter.data
            if not isinstance(x, np.ndarray) or x.shape != slot.shape or x.dtype != slot.dtype:
                now = getattr(x, "dtype", type(x).__name__), getattr(x, "shape", "unknown")
                raise ValueError(
                    f"{slot.label} now holds {now[0]} values of shape {now[1]}, but the average "
                    f"was made for {slot.dtype} and {slot.shape}; make a new one"
                )
            arrays.append(x)
        one_minus_decay = 1 - self.decay
        for slot, x in zip(self._slots, arrays, strict=True):
            averaging_loop(slot.average, x.ravel(), one_minus_decay)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Let the parameters hold the averages, in their own dtype, within a ``with`` block.

        At its end, also after an exception, they hold the arrays that they held before.  The
        averages are read-only copies: an optimizer's step, which would be lost, raises, and what
        else is assigned to a parameter's `data` within the block is dropped.

        Raises
        ------
        RuntimeError
            Within another such block of this object.
        """
        self._refuse_swapped("swapped()")
        weights = [slot.parameter.data for slot in self._slots]
        averages = [slot.average.astype(slot.dtype).reshape(slot.shape) for slot in self._slots]
        self._swapped = True
        try:
            for slot, average in zip(self._slots, averages, strict=True):
                average.flags.writeable = False
                slot.parameter.data = average
            yield
        finally:
            for slot, x in zip(self._slots, weights, strict=True):
                slot.parameter.data = x
            self._swapped = False

    def state_dict(self) -> dict[str, Any]:
        """Return the decay, and copies of the averages in the order of the parameters.

        Raises
        ------
        RuntimeError
            Within `swapped`.

        Examples
        --------
        >>> from minigrad import Tensor
        >>> ExponentialMovingAverage([Tensor([1.0, 2.0], requires_grad=True)]).state_dict()
        {'decay': 0.999, 'averages': [array([1., 2.])]}
        """
        self._refuse_swapped("state_dict()")  # a checkpoint would take the averages for weights
        averages = [slot.average.reshape(slot.shape).copy() for slot in self._slots]
        return {"decay": self.decay, "averages": averages}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set the decay and the averages to what `state_dict` returned.

        Raises
        ------
        TypeError
            If `state` is no mapping, its averages are no list of arrays of float64, or its decay is
            no number.
        ValueError
            If an entry is missing or unknown, or there are other numbers or shapes of averages than
            of parameters.
        RuntimeError
            Within `swapped`.

        Where an error is raised, nothing has changed.
        """
        self._refuse_swapped("load_state_dict()")
        if not isinstance(state, Mapping):
            raise TypeError(
                "load_state_dict takes a dict, as state_dict() returns it, got a "
                f"{type(state).__name__}"
            )
        if set(state) != {"decay", "averages"}:
            raise ValueError(
                f"this state's entries are {', '.join(map(repr, state)) or 'none'}; needed are "
                "'decay' and 'averages', as state_dict() returns them"
            )
        decay, averages = check_fraction("decay", state["decay"]), state["averages"]
        if not isinstance(averages, list | tuple):
            raise TypeError(
                f"'averages' is of type {type(averages).__name__}: accepted is a list of arrays"
            )
        if len(averages) != len(self._slots):
            raise ValueError(
                f"this state has averages of {len(averages)} parameters, and there are "
                f"{len(self._slots)}"
            )
        for slot, average in zip(self._slots, averages, strict=True):
            if not isinstance(average, np.ndarray) or average.dtype.newbyteorder("=") != np.float64:
                given = getattr(average, "dtype", type(average).__name__)
                raise TypeError(
                    f"the average of {slot.label} is of type {given}: accepted is an array of "
                    "float64"
                )
            if average.shape != slot.shape:
                raise ValueError(
                    f"the average of {slot.label} has shape {average.shape}, the parameter "
                    f"{slot.shape}; the two must be equal"
                )
        self.decay = decay
        for slot, average in zip(self._slots, averages, strict=True):
            slot.average[:] = average.ravel()

    def __repr__(self) -> str:
        size = sum(slot.average.size for slot in self._slots)
        return (
            f"ExponentialMovingAverage(decay={self.decay}): {len(self._slots)} parameters, "
            f"{size} elements"
        )

    def _refuse_swapped(self, call: str) -> None:
        if self._swapped:
            raise RuntimeError(
                f"{call} within `with ema.swapped()`: there the parameters hold the averages; call "
                "it after the block"
            )
