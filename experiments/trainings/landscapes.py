"""Functions of two variables, one line each, and how an optimizer descends on them.

They are written with operators alone, so the same line is differentiated on tensors and evaluated
on a whole grid of NumPy numbers for the contours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from experiments.lineup import build
from minigrad import Tensor

__all__ = [
    "LANDSCAPES", "ROTATION", "SETTLED", "STEPS", "USEFUL", "Descent", "Landscape", "contours",
    "descend", "quadratic",
]  # fmt: skip

STEPS = 500
USEFUL = 1e-3  # of the value at the start: the tolerance
SETTLED = 50  # steps at the end that have to be within tolerance
DIVERGED = 1e6  # a value of f from which nothing comes back

Point = tuple[float, float]

ROTATION = np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2.0)
"""R, by 45° clockwise: what was at x is then at y = R x."""


@dataclass(frozen=True)
class Landscape:
    """A function f of two variables, and what is needed to descend and to draw it.

    Attributes
    ----------
    title : str
        Its name in figures.
    f : callable
        ``f(x1, x2)``, on tensors or arrays.
    start : (float, float)
        Where every path begins.
    minimum : (float, float)
        Where f is least; it is 0 there.
    window : (float, float, float, float)
        What a figure shows: x₁ from and to, x₂ from and to.
    coordinates : (str, str)
        What its variables are called.
    """

    title: str
    f: Callable[[Any, Any], Any]
    start: Point
    minimum: Point
    window: tuple[float, float, float, float]
    coordinates: tuple[str, str] = ("x₁", "x₂")

    def shows(self, points: npt.NDArray[np.float64]) -> bool:
        """Whether points, a row each, all lie in the window."""
        left, right, bottom, top = self.window
        inside = (points >= [left, bottom]) & (points <= [right, top])
        return bool(inside.all())


def quadratic(a1: float, a2: float) -> Callable[[Any, Any], Any]:
    """Return a₁x₁² + a₂x₂², whose curvatures are 2a; the textbook's f has a = (0.1, 2).

    Examples
    --------
    >>> quadratic(0.1, 2.0)(-5.0, -2.0)
    10.5
    """
    return lambda x1, x2: a1 * x1**2 + a2 * x2**2


def rotated_quadratic(y1: Any, y2: Any) -> Any:
    """Return 0.1x₁² + 2x₂² at x = R⁻¹y, which is x₁ = (y₁ - y₂)/√2 and x₂ = (y₁ + y₂)/√2."""
    return 0.05 * (y1 - y2) ** 2 + (y1 + y2) ** 2


def rosenbrock(x1: Any, x2: Any) -> Any:
    """Return Rosenbrock's function (1960): a flat valley along the parabola x₂ = x₁²."""
    return (1 - x1) ** 2 + 100 * (x2 - x1**2) ** 2


def beale(x1: Any, x2: Any) -> Any:
    """Return Beale's function (1958): flat around the minimum, steep towards the corners."""
    return (
        (1.5 - x1 * (1 - x2)) ** 2 + (2.25 - x1 * (1 - x2**2)) ** 2
        + (2.625 - x1 * (1 - x2**3)) ** 2
    )  # fmt: skip


# The starts of Rosenbrock's and Beale's functions are those of Moré, Garbow and Hillstrom, *Testing
# Unconstrained Optimization Software*, 1981; the quadratic's is the textbook's.
START = (-5.0, -2.0)
rotated_start = ROTATION @ START

LANDSCAPES = {
    "quadratic": Landscape(
        "0.1x₁² + 2x₂²", quadratic(0.1, 2.0), START, (0.0, 0.0), (-5.7, 1.9, -2.8, 2.9)
    ),
    "rotated": Landscape(
        "Turned by 45°", rotated_quadratic,
        (float(rotated_start[0]), float(rotated_start[1])), (0.0, 0.0), (-5.7, 1.9, -1.2, 4.5),
        ("y₁", "y₂"),
    ),
    "rosenbrock": Landscape(
        "Rosenbrock", rosenbrock, (-1.2, 1.0), (1.0, 1.0), (-1.7, 1.7, -0.6, 1.95)
    ),
    "beale": Landscape("Beale", beale, (1.0, 1.0), (3.0, 0.5), (0.5, 4.5, -1.4, 1.6)),
}  # fmt: skip
"""The functions, by the names that runs of a sweep have for them."""


@dataclass(frozen=True)
class Descent:
    """A path: points x_0 ... x_T, and f at each; nan and inf from where it diverged."""

    lr: float
    points: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]

    @property
    def rest(self) -> float:
        """The largest f of the last 50 steps."""
        return float(self.values[-SETTLED - 1 :].max())

    @property
    def steps(self) -> float:
        """After how many steps f was within tolerance to stay; inf if not 50 before the end."""
        tolerance = USEFUL * self.values[0]
        if not self.rest <= tolerance:
            return np.inf
        return float(np.flatnonzero(self.values > tolerance)[-1] + 1)

    @property
    def length(self) -> float:
        """The length of the path up to its arrival, its end, or where it diverged."""
        end = int(min(self.steps, len(self.values) - 1))
        steps = np.diff(self.points[: end + 1], axis=0)
        return float(np.nansum(np.linalg.norm(steps, axis=1)))


def descend(
    optimizer: str, landscape: Landscape, lr: float, *, steps: int = STEPS, **hyperparameters: Any
) -> Descent:
    """Follow an optimizer from the landscape's start.

    Weight decay is 0: it would move the minimum.

    Examples
    --------
    >>> descend("sgd", LANDSCAPES["quadratic"], lr=0.1).points[1].round(3)
    array([-4.9, -1.2])
    """
    x = Tensor(np.array(landscape.start)[:, None], requires_grad=True)
    rule = build(optimizer, [x], lr=lr, weight_decay=0.0, nonfinite="ignore", **hyperparameters)
    points = np.full((steps + 1, 2), np.nan)
    values = np.full(steps + 1, np.inf)
    with np.errstate(all="ignore"):  # a descent that diverges is a result
        for t in range(steps + 1):
            f = landscape.f(x[0, 0], x[1, 0])
            value = f.item()
            if not value < DIVERGED:
                break
            points[t], values[t] = x.data[:, 0], value
            rule.zero_grad()
            f.backward()
            rule.step()
    return Descent(lr, points, values)


def contours(ax: Axes, landscape: Landscape) -> None:
    """Draw a landscape: its start, its minimum, contours a factor apart, and the tolerance's."""
    left, right, bottom, top = landscape.window
    x1, x2 = np.meshgrid(np.linspace(left, right, 201), np.linspace(bottom, top, 201))
    f = landscape.f(x1, x2)
    tolerance = USEFUL * landscape.f(*landscape.start)
    levels = np.geomspace(tolerance, f.max(), 11)[1:-1]
    ax.contour(x1, x2, f, levels, colors="0.8", linewidths=0.6)
    ax.contour(x1, x2, f, [tolerance], colors="0.5", linewidths=1.2)
    ax.plot(*landscape.start, "o", color="0.4", markersize=4, zorder=4)
    ax.plot(*landscape.minimum, "*", color="0.4", markersize=7, zorder=4)
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
