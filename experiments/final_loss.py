"""The final loss, by which the best of several learning rates is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FINAL", "edge_remark", "final_loss", "final_steps", "is_at_edge", "smoothed"]

FINAL = 100


def final_steps(steps: int) -> int:
    """Return over how many steps the final loss is a mean: the last 100, or the last quarter.

    Examples
    --------
    >>> final_steps(2000), final_steps(120), final_steps(1)
    (100, 30, 1)
    """
    return max(1, min(FINAL, steps // 4))


def final_loss(losses: npt.NDArray[Any]) -> float:
    """Return the mean of the last steps' losses, over all trainings if there are several.

    Parameters
    ----------
    losses : ndarray
        Shape (..., steps); inf from a divergence on.
    """
    return float(losses[..., -final_steps(losses.shape[-1]) :].mean())


def smoothed(losses: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    """Return the mean of each `width` losses in a row; the first one is that of step `width`.

    Examples
    --------
    >>> smoothed(np.array([4.0, 2.0, 3.0]), 2)
    array([3. , 2.5])
    """
    return np.convolve(losses, np.full(width, 1 / width), mode="valid")


def is_at_edge(lr: float, lrs: Sequence[float]) -> bool:
    """Return whether a learning rate is the smallest or the largest of those that were tried."""
    return lr in (min(lrs), max(lrs))


def edge_remark(label: str, lr: float, lrs: Sequence[float]) -> str:
    """Return what is to be said of the best of the rates that were tried: nothing if it is inside.

    Examples
    --------
    >>> edge_remark("Adam", 0.01, [0.001, 0.003, 0.01])
    "Adam's best η is the largest of its 3: there may be a better one beyond."
    >>> edge_remark("Adam", 0.003, [0.001, 0.003, 0.01])
    ''
    """
    if not is_at_edge(lr, lrs):
        return ""
    which = "smallest" if lr == min(lrs) else "largest"
    return f"{label}'s best η is the {which} of its {len(lrs)}: there may be a better one beyond."
