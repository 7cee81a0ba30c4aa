"""Stochastic gradient descent: a step along the negative gradient.

Robbins & Monro, *A Stochastic Approximation Method*, 1951.  With gradient g and learning rate η:

    x_t = x_{t-1} - η g_t

Which variant
-------------
Plain: without momentum there is nothing on which libraries differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numba import prange

from optim.hyperparameters import check_positive
from optim.loop import coordinatewise, inlinable
from optim.optimizer import NonFinite, Optimizer

__all__ = ["SGD", "sgd_rule"]


@inlinable
def sgd_rule(x: Any, g: Any, lr: Any) -> Any:
    """One step of one coordinate, or of whole arrays; returns the new x.

    Examples
    --------
    >>> sgd_rule(1.0, 4.0, 0.125)
    0.5
    """
    return x - lr * g


@coordinatewise
def sgd_loop(x: Any, g: Any, lr: Any) -> None:
    """Apply `sgd_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i] = sgd_rule(x[i], g[i], lr)


class SGD(Optimizer):
    """Stochastic gradient descent, as in the equation above.

    Parameters
    ----------
    params : iterable
        Parameters, or pairs ``(name, parameter)``.
    lr : float
        Learning rate η.
    nonfinite : {"raise", "skip", "ignore"}
        What to do about NaN or infinity in a gradient; see `Optimizer`.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> x = Tensor(3.0, requires_grad=True)
    >>> (x * x).backward()
    >>> SGD([x], lr=0.25).step()
    >>> x.item()
    1.5
    """

    loop = sgd_loop
    hyperparameters = {"lr": check_positive}
    lr: float

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, *, nonfinite: NonFinite = "raise"
    ) -> None:
        super().__init__(params, nonfinite, lr=lr)

    def initial_state(self) -> dict[str, float]:
        """Nothing is remembered."""
        return {}

    def coefficients(self, t: int) -> tuple[float, ...]:
        """η."""
        return (self.lr,)
