"""Millions of steps on a gradient that is a formula of t and x, in a moment.

``optimizer.step()`` checks what it is given, which takes longer than the update of one coordinate.
Where a question needs 2,000,000 steps of one coordinate, `walk` runs the same compiled loop, with
the same coefficients, inside one more compiled loop: the path is that of ``step()``, to the bit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, typeof

from experiments.lineup import OPTIMIZERS, build
from minigrad import Tensor
from optim.loop import coordinatewise

__all__ = ["SETTLED", "Trajectory", "walk"]

Array = npt.NDArray[np.float64]

SETTLED = 10**9
"""A step so late that βᵗ is 0 beside 1: bias corrections are 1 there, to the last bit."""


@dataclass(frozen=True)
class Trajectory:
    """Where an optimizer has been.

    Attributes
    ----------
    t : ndarray, shape (records,)
        Number of steps made, at each record.
    x : ndarray, shape (records, coordinates)
        The parameter after step t.
    state : dict
        The state arrays after step t, by name, each of the shape of `x`.
    """

    t: npt.NDArray[np.int64]
    x: Array
    state: dict[str, Array]


def walk(
    optimizer: str,
    gradient: Callable[..., None],
    steps: int,
    *,
    start: npt.ArrayLike = 0.0,
    problem: npt.ArrayLike = (),
    every: int = 1,
    corrected: bool = True,
    **hyperparameters: Any,
) -> Trajectory:
    """Make steps of an optimizer from `start`, and keep every so many of them.

    Parameters
    ----------
    optimizer : str
        A name of `experiments.lineup`; any whose rule is coordinatewise, so not "muon".
    gradient : callable
        ``gradient(t, x, g, problem)``, which Numba can compile, writes the gradient of step t (from
        1) at x into g.
    steps : int
        How many.
    start : array_like
        x₀, one number for each coordinate: coordinates do not see each other, so one walk goes
        through many versions of a problem side by side.
    problem : array_like
        Numbers for `gradient`.
    every : int
        Keep the first of each so many steps' ends: t = every, 2 every, ...
    corrected : bool
        Whether moments are corrected for their start; without, as if t were late from the first.
    **hyperparameters
        The optimizer's.

    Raises
    ------
    ValueError
        If the optimizer's rule is not coordinatewise, or as the optimizer itself.

    Examples
    --------
    >>> def slope(t, x, g, problem):
    ...     g[:] = problem
    >>> path = walk("adam", slope, 3000, problem=[1.0, -100.0], start=[0, 0], every=1000, lr=0.01)
    >>> path.t, path.x.round(3)[-1]
    (array([1000, 2000, 3000]), array([-30.,  30.]))
    """
    x = np.array(start, np.float64, ndmin=1)
    (group,) = build(optimizer, [Tensor(x, requires_grad=True)], **hyperparameters).param_groups
    loop = OPTIMIZERS[optimizer].loop_for(**group)
    if not isinstance(loop, coordinatewise):
        raise ValueError(
            "a walk goes coordinate by coordinate, but the rule of "
            f"{optimizer} is not coordinatewise"
        )
    initial = OPTIMIZERS[optimizer].initial_state(**group)
    arrays = (x.copy(), *(np.full_like(x, value) for value in initial.values()))
    kept = np.empty((len(arrays), steps // every, x.size))
    settled, t = group.coefficients(SETTLED), 1
    numbers = np.array(problem, np.float64, ndmin=1)
    formula = _compiled(gradient)
    fixed = loop.version(1), formula, numbers, arrays, np.empty_like(x), kept, every
    # The machine code itself: to find it anew would take longer than a step.
    types = tuple(typeof(argument) for argument in (*fixed, settled, t, steps))
    go = _compiled(_go).compile(types)

    # Bias corrections change the coefficients until βᵗ has vanished beside 1; then they stay.
    while corrected and t <= steps and (coefficients := group.coefficients(t)) != settled:
        go(*fixed, coefficients, t, t)
        t += 1
    go(*fixed, settled, t, steps)
    moved, *states = kept
    t_kept = np.arange(1, steps // every + 1) * every
    return Trajectory(t_kept, moved, dict(zip(initial, states, strict=True)))


@functools.cache  # machine code is kept for this process only: Numba's cache on disk would not
def _compiled(function: Callable[..., None]) -> Any:  # notice a change in the optimizer's file
    return njit(error_model="numpy")(function)


def _go(
    loop: Any, gradient: Any, problem: Any, arrays: Any, g: Any, kept: Any, every: int,
    coefficients: Any, first: int, last: int,
) -> None:  # fmt: skip
    x = arrays[0]
    for t in range(first, last + 1):
        gradient(t, x, g, problem)
        loop(x, g, *arrays[1:], 1.0, coefficients)
        if t % every == 0:
            for k in range(len(arrays)):
                kept[k, t // every - 1] = arrays[k]
