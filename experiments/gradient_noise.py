"""Gradients of many minibatches at one place: their mean is the signal, the rest is noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from datasets import MinibatchStream
from experiments.trainings.resumable import PARTS
from minigrad import DataParallel

__all__ = ["gradients", "noise_norms", "signal_share"]

Gradients = npt.NDArray[np.float32]


def gradients(model: Any, batches: MinibatchStream, count: int, description: str) -> Gradients:
    """Return the gradients of batches at one place; the parameters stay as they are.

    Parameters
    ----------
    model : nn.Module
        With a method ``loss(*batch)``, a mean over the batch, as for `DataParallel`.
    batches : MinibatchStream
        Where the batches come from.
    count : int
        How many.
    description : str
        For the progress bar.

    Returns
    -------
    ndarray
        Shape (count, coordinates), float32: a row for each batch, the parameters' gradients one
        after the other.
    """
    accumulate = DataParallel(model.loss, parts=PARTS)
    parameters = list(model.parameters())
    rows = np.empty((count, sum(p.size for p in parameters)), np.float32)
    for row in tqdm(rows, desc=description, unit="batch", leave=False, disable=None):
        for p in parameters:
            p.grad = None
        accumulate(*next(batches))
        np.concatenate([p.grad.ravel() for p in parameters], out=row)
    return rows


def signal_share(g: Gradients) -> float:
    """Return |E g|²/E|g|², the part of the gradients' power that is not noise.

    With n batches, |ḡ|² has the expectation |E g|² + tr(Σ)/n, Σ the covariance of one batch; so
    tr(Σ)/n is subtracted, and the result may be a little below 0 where there is only noise.

    Parameters
    ----------
    g : ndarray
        Shape (batches, coordinates), at least 2 batches.

    Examples
    --------
    >>> signal_share(np.full((10, 3), 2.0, np.float32))
    1.0
    """
    mean = g.mean(axis=0, dtype=np.float64)
    noise = float(g.var(axis=0, ddof=1, dtype=np.float64).sum())
    signal = float(mean @ mean) - noise / len(g)
    return signal / (signal + noise)


def noise_norms(g: Gradients) -> npt.NDArray[np.float64]:
    """Return the norm of each row's difference from the mean of all the others."""
    n = len(g)
    factor = n / (n - 1)  # g - (sum - g)/(n-1) is n/(n-1) times g - sum/n
    return factor * np.linalg.norm(g - g.mean(axis=0), axis=1).astype(np.float64)
