"""Adamax: Adam with the largest recent gradient in place of the root mean square.

Kingma & Ba, *Adam: A Method for Stochastic Optimization*, 2014 (arXiv:1412.6980), algorithm 2.
In the textbook's notation, with the infinity norm u where Adam has √ŝ:

    g_t = ∇f(x_{t-1}) + λ x_{t-1}                    weight decay, 0 by default
    v_t = β₁ v_{t-1} + (1 - β₁) g_t
    u_t = max(β₂ u_{t-1}, |g_t| + ε)                 a maximum that fades
    v̂_t = v_t / (1 - β₁ᵗ)
    x_t = x_{t-1} - η v̂_t / u_t                      all elementwise

u needs no bias correction: a maximum does not start too small.  Nor is anything squared, so that
no gradient overflows or underflows.  A spike shows in the whole of u at once, and fades by β₂ a
step; in Adam it shows as (1 - β₂) of its square.

Which variant
-------------
ε is added to |g|, inside the maximum, as in PyTorch and Optax; the paper has none, and Keras adds
it to the denominator.  Inside, it fades with the rest of u, and u never falls below ε.  η = 0.002
here, in PyTorch and in the paper; 0.001 in Keras.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import prange

from optim.hyperparameters import check_betas, check_flag, check_nonnegative
from optim.loop import coordinatewise, inlinable
from optim.optimizer import NonFinite, Optimizer

__all__ = ["Adamax", "adamax_rule"]


@inlinable
def adamax_rule(
    x: Any, g: Any, v: Any, u: Any,
    lr: Any, beta1: Any, one_minus_beta1: Any, debias1: Any, beta2: Any, eps: Any,
    weight_decay: Any,
) -> tuple[Any, Any, Any]:
    """One step of one coordinate, or of whole arrays; returns the new x, v and u.

    `debias1` is 1/(1 - β₁ᵗ).

    Examples
    --------
    A gradient of 3 does not show beside one of 8 the step before, which has faded to 4:

    >>> c = (1.0, 0.5, 0.5, 2.0, 0.5, 0.0, 0.0)
    >>> x, v, u = adamax_rule(1.0, 3.0, 0.0, 8.0, *c)
    >>> float(x), float(v), float(u)
    (0.25, 1.5, 4.0)
    """
    g = g + weight_decay * x
    v = beta1 * v + one_minus_beta1 * g
    u = np.maximum(beta2 * u, np.abs(g) + eps)
    v_hat = v * debias1
    x = x - lr * v_hat / u
    return x, v, u


@coordinatewise
def adamax_loop(x: Any, g: Any, v: Any, u: Any, sign: Any, coefficients: Any) -> None:
    """Apply `adamax_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], v[i], u[i] = adamax_rule(x[i], sign * g[i], v[i], u[i], *coefficients)


class Adamax(Optimizer):
    """Adamax, as in the equations above.

    Parameters
    ----------
    params : iterable
        Parameters, pairs ``(name, parameter)``, or groups; see `Optimizer`.
    lr : float
        Learning rate η: a coordinate moves at most about that far in one step.
    betas : (float, float)
        β₁ and β₂, each in [0, 1).
    eps : float
        ε, 0 or above.  With 0, a coordinate whose gradients have all been 0 becomes NaN.
    weight_decay : float
        λ of the coupled decay: λx is part of the gradient.
    maximize : bool
        Ascend: the rule is given -g; weight decay still shrinks x.
    nonfinite : {"raise", "skip", "ignore"}
        What to do about NaN or infinity in a gradient; see `Optimizer`.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> x = Tensor([5.0, -3.0], requires_grad=True)
    >>> optimizer = Adamax([x], lr=0.1)
    >>> for _ in range(300):
    ...     optimizer.zero_grad()
    ...     (x * x).sum().backward()
    ...     optimizer.step()
    >>> bool(abs(x.data).max() < 1e-3)
    True
    """

    hyperparameters = {
        "lr": check_nonnegative,
        "betas": check_betas,
        "eps": check_nonnegative,
        "weight_decay": check_nonnegative,
        "maximize": check_flag,
    }
    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    maximize: bool

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
    ) -> None:
        super().__init__(
            params, nonfinite,
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize,
        )  # fmt: skip

    @staticmethod
    def loop_for(**_: Any) -> coordinatewise:
        """The one above."""
        return adamax_loop

    @staticmethod
    def initial_state(**_: Any) -> dict[str, float]:
        """v₀ = u₀ = 0."""
        return {"v": 0.0, "u": 0.0}

    @staticmethod
    def coefficients(
        t: int, *, lr: float, betas: tuple[float, float], eps: float, weight_decay: float
    ) -> tuple[float, ...]:
        """η; β₁, 1-β₁, 1/(1-β₁ᵗ); β₂; ε; λ."""
        beta1, beta2 = betas
        return lr, beta1, 1 - beta1, 1 / (1 - beta1**t), beta2, eps, weight_decay
