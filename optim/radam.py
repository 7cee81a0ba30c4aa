"""RAdam: Adam that waits with dividing by √ŝ until ŝ can be trusted.

Liu et al., *On the Variance of the Adaptive Learning Rate and Beyond*, ICLR 2020
(arXiv:1908.03265), algorithm 2.  ρ_t is about how many gradients s is a mean of.  Up to 5 of them
the step is momentum's; then it is Adam's, shorter by the rectification r_t.  In the textbook's
notation:

    g_t = ∇f(x_{t-1}) + λ x_{t-1}                    weight decay, 0 by default
    v_t = β₁ v_{t-1} + (1 - β₁) g_t
    s_t = β₂ s_{t-1} + (1 - β₂) g_t²
    v̂_t = v_t / (1 - β₁ᵗ)
    ρ_t = ρ_∞ - 2t β₂ᵗ / (1 - β₂ᵗ)                   ρ_∞ = 2/(1 - β₂) - 1
    if ρ_t > 5:
        r_t = √[(ρ_t - 4)(ρ_t - 2) ρ_∞ / ((ρ_∞ - 4)(ρ_∞ - 2) ρ_t)]
        x_t = x_{t-1} - η r_t √(1 - β₂ᵗ) v̂_t / (√s_t + ε)
    else:
        x_t = x_{t-1} - η v̂_t                        all elementwise

ρ_t and r_t are the same for all coordinates.  With β₂ = 0.999 the first rectified step is the 6th,
and r_t is 0.026 then, 0.22 at t = 100, and 0.83 at t = 2000.  ρ_t stays below ρ_∞: with β₂ up to
2/3 no step is ever rectified.  Decoupled weight decay leaves g alone, and x_t starts from
(1 - ηλ) x_{t-1}.

Which variant
-------------
PyTorch's.  The paper rectifies from ρ_t > 4 on, Optax from ρ_t ≥ 5.  ε is added to √s before the
bias correction, and so counts as ε/√(1-β₂ᵗ) beside √ŝ; Optax has √ŝ + ε.  Before the
rectification a step is as long as η v̂, thus not independent of the gradient's scale.  Keras has no
RAdam.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import prange

from optim.hyperparameters import check_betas, check_flag, check_nonnegative
from optim.loop import coordinatewise, inlinable
from optim.optimizer import NonFinite, Optimizer

__all__ = ["RAdam", "radam_rule", "rectification"]


@inlinable
def radam_rule(
    x: Any, g: Any, v: Any, s: Any,
    step: Any, beta1: Any, one_minus_beta1: Any, debias1: Any,
    beta2: Any, one_minus_beta2: Any, eps: Any, rectified: Any, unrectified: Any,
    weight_decay: Any, decay: Any,
) -> tuple[Any, Any, Any]:
    """One step of one coordinate, or of whole arrays; returns the new x, v and s.

    Of `rectified` and `unrectified` one is 1 and the other 0, so that the denominator is √s + ε
    or 1; `step` is η r_t √(1-β₂ᵗ) or η.  `debias1` is 1/(1 - β₁ᵗ).  Coupled decay has `decay` 1;
    decoupled decay has 1 - ηλ, and `weight_decay` 0.

    Examples
    --------
    >>> c = (0.125, 0.5, 0.5, 2.0, 0.75, 0.25, 0.0)
    >>> for rectified in 0.0, 1.0:
    ...     x, v, s = radam_rule(1.0, 4.0, 0.0, 0.0, *c, rectified, 1 - rectified, 0.0, 1.0)
    ...     print(float(x), float(v), float(s))
    0.5 2.0 4.0
    0.75 2.0 4.0
    """
    x = decay * x
    g = g + weight_decay * x
    v = beta1 * v + one_minus_beta1 * g
    s = beta2 * s + one_minus_beta2 * (g * g)
    v_hat = v * debias1
    divisor = rectified * (np.sqrt(s) + eps) + unrectified
    x = x - step * v_hat / divisor
    return x, v, s


@coordinatewise
def radam_loop(x: Any, g: Any, v: Any, s: Any, sign: Any, coefficients: Any) -> None:
    """Apply `radam_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], v[i], s[i] = radam_rule(x[i], sign * g[i], v[i], s[i], *coefficients)


def rectification(t: int, beta2: float) -> float | None:
    """Return r_t, or None where ρ_t is at most 5.

    Examples
    --------
    >>> rectification(5, 0.999), round(rectification(6, 0.999), 4)
    (None, 0.0258)
    """
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
    if not rho > 5:
        return None
    return math.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))


class RAdam(Optimizer):
    """RAdam, as in the equations above.

    Parameters
    ----------
    params : iterable
        Parameters, pairs ``(name, parameter)``, or groups; see `Optimizer`.
    lr : float
        Learning rate η: once rectified, about how far a coordinate moves in one step.
    betas : (float, float)
        β₁ and β₂, each in [0, 1).  β₂ above 1 - 1e-7 leaves ρ_t, a difference of two large
        numbers, to rounding.
    eps : float
        ε, 0 or above.  With 0, a coordinate whose gradients have all been 0 becomes NaN.
    weight_decay : float
        λ: of the coupled decay (λx is part of the gradient), or of the decoupled one.
    decoupled_weight_decay : bool
        Multiply x by 1 - ηλ each step, instead of adding λx to the gradient.
    maximize : bool
        Ascend: the rule is given -g; weight decay still shrinks x.
    nonfinite : {"raise", "skip", "ignore"}
        What to do about NaN or infinity in a gradient; see `Optimizer`.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> x = Tensor([5.0, -3.0], requires_grad=True)
    >>> optimizer = RAdam([x], lr=0.1)
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
        "decoupled_weight_decay": check_flag,
        "maximize": check_flag,
    }
    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    decoupled_weight_decay: bool
    maximize: bool

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
    ) -> None:
        super().__init__(
            params, nonfinite,
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
        )  # fmt: skip

    @staticmethod
    def loop_for(**_: Any) -> coordinatewise:
        """The one above."""
        return radam_loop

    @staticmethod
    def initial_state(**_: Any) -> dict[str, float]:
        """v₀ = s₀ = 0."""
        return {"v": 0.0, "s": 0.0}

    @staticmethod
    def coefficients(
        t: int, *, lr: float, betas: tuple[float, float], eps: float, weight_decay: float,
        decoupled_weight_decay: bool,
    ) -> tuple[float, ...]:  # fmt: skip
        """η r √(1-β₂ᵗ) or η; β₁, 1-β₁, 1/(1-β₁ᵗ); β₂, 1-β₂; ε; 1 and 0 or 0 and 1; the decays."""
        beta1, beta2 = betas
        r = rectification(t, beta2)
        return (
            lr if r is None else lr * r * math.sqrt(1 - beta2**t),
            beta1, 1 - beta1, 1 / (1 - beta1**t),
            beta2, 1 - beta2,
            eps,
            0.0 if r is None else 1.0,
            1.0 if r is None else 0.0,
            0.0 if decoupled_weight_decay else weight_decay,
            1 - lr * weight_decay if decoupled_weight_decay else 1.0,
        )  # fmt: skip
