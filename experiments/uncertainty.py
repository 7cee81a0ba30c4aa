"""How sure a mean over seeds is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["mean_and_error"]


def mean_and_error(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the mean of independent values, and its standard error, s/√n.

    Examples
    --------
    >>> mean_and_error(np.array([1.0, 2.0, 3.0, 6.0]))
    (3.0, 1.0801234497346435)
    """
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
