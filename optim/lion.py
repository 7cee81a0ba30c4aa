"""Lion: the sign of the momentum, so that all coordinates move equally far.

Chen et al., *Symbolic Discovery of Optimization Algorithms*, NeurIPS 2023 (arXiv:2302.06675),
algorithm 2, which a program search found.  In the textbook's notation, with g_t = ∇f(x_{t-1}):

    c_t = β₁ v_{t-1} + (1 - β₁) g_t                  1 - β₁: the newest gradient in the step,
    x_t = (1 - ηλ) x_{t-1} - η sign(c_t)
    v_t = β₂ v_{t-1} + (1 - β₂) g_t                  1 - β₂: in what is remembered, after it

Only the sign counts: there is no second moment, hence less to read and write than in Adam, and no
ε.  Every coordinate moves by η, unless c is exactly 0, where sign(0) = 0.  A step is thus longer
than most of Adam's, so that the paper takes η 3 to 10 times smaller, and λ larger by as much.

Which variant
-------------
The decay is decoupled, as in the paper, Keras and Optax (which subtracts η(sign(c) + λx): the same
up to rounding).  η = 1e-4 and λ = 0 by default as in the authors' code; λ = 1e-3 in Optax, η =
0.001 in Keras.  PyTorch has no Lion.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import prange

from optim.hyperparameters import check_betas, check_flag, check_nonnegative
from optim.loop import coordinatewise, inlinable
from optim.optimizer import NonFinite, Optimizer

__all__ = ["Lion", "lion_rule"]


@inlinable
def lion_rule(
    x: Any, g: Any, v: Any,
    lr: Any, beta1: Any, one_minus_beta1: Any, beta2: Any, one_minus_beta2: Any, decay: Any,
) -> tuple[Any, Any]:
    """One step of one coordinate, or of whole arrays; returns the new x and v.

    `decay` is 1 - ηλ.

    Examples
    --------
    The momentum outweighs a gradient that points the other way:

    >>> x, v = lion_rule(1.0, -4.0, 1.0, 0.25, 0.875, 0.125, 0.5, 0.5, 1.0)
    >>> float(x), float(v)
    (0.75, -1.5)
    """
    c = beta1 * v + one_minus_beta1 * g
    x = decay * x - lr * np.sign(c)
    v = beta2 * v + one_minus_beta2 * g
    return x, v


@coordinatewise
def lion_loop(x: Any, g: Any, v: Any, sign: Any, coefficients: Any) -> None:
    """Apply `lion_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], v[i] = lion_rule(x[i], sign * g[i], v[i], *coefficients)


class Lion(Optimizer):
    """Lion, as in the equations above.

    Parameters
    ----------
    params : iterable
        Parameters, pairs ``(name, parameter)``, or groups; see `Optimizer`.
    lr : float
        Learning rate η: how far a coordinate moves in one step, besides the decay.
    betas : (float, float)
        β₁ (of the step) and β₂ (of what is remembered), each in [0, 1).
    weight_decay : float
        λ of the decoupled decay: each step multiplies x by 1 - ηλ.
    maximize : bool
        Ascend: the rule is given -g; weight decay still shrinks x.
    nonfinite : {"raise", "skip", "ignore"}
        What to do about NaN or infinity in a gradient; see `Optimizer`.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> x = Tensor([5.0, -3.0], requires_grad=True)
    >>> optimizer = Lion([x], lr=0.0625)
    >>> for _ in range(300):
    ...     optimizer.zero_grad()
    ...     (x * x).sum().backward()
    ...     optimizer.step()
    >>> bool(abs(x.data).max() < 1)
    True
    """

    hyperparameters = {
        "lr": check_nonnegative,
        "betas": check_betas,
        "weight_decay": check_nonnegative,
        "maximize": check_flag,
    }
    lr: float
    betas: tuple[float, float]
    weight_decay: float
    maximize: bool

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
    ) -> None:
        super().__init__(
            params, nonfinite,
            lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize,
        )  # fmt: skip

    @staticmethod
    def loop_for(**_: Any) -> coordinatewise:
        """The one above."""
        return lion_loop

    @staticmethod
    def initial_state(**_: Any) -> dict[str, float]:
        """v₀ = 0."""
        return {"v": 0.0}

    @staticmethod
    def coefficients(
        t: int, *, lr: float, betas: tuple[float, float], weight_decay: float
    ) -> tuple[float, ...]:
        """η; β₁, 1-β₁; β₂, 1-β₂; 1-ηλ: the same at every step."""
        beta1, beta2 = betas
        return lr, beta1, 1 - beta1, beta2, 1 - beta2, 1 - lr * weight_decay
