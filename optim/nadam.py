"""NAdam: Adam with Nesterov's look ahead, and a momentum that warms up.

Dozat, *Incorporating Nesterov Momentum into Adam*, ICLR 2016 workshop.  In the textbook's
notation, with ψ, the pace of the warm-up:

    g_t = ∇f(x_{t-1}) + λ x_{t-1}                    weight decay, 0 by default
    v_t = β₁ v_{t-1} + (1 - β₁) g_t
    s_t = β₂ s_{t-1} + (1 - β₂) g_t²
    μ_t = β₁ (1 - ½ · 0.96^{tψ})                     from β₁/2 up to β₁
    P_t = μ₁ μ₂ ⋯ μ_t
    v̄_t = μ_{t+1} v_t / (1 - P_{t+1}) + (1 - μ_t) g_t / (1 - P_t)
    ŝ_t = s_t / (1 - β₂ᵗ)
    x_t = x_{t-1} - η v̄_t / (√ŝ_t + ε)               Adam's, with v̄ in place of v̂

v̄ counts the newest gradient twice: in v, and once more with the weight 1 - μ.  Decoupled weight
decay leaves g alone, and x_t starts from (1 - ηλ) x_{t-1}.

Which variant
-------------
PyTorch's: v is averaged with β₁, and only v̄ is made with the schedule.  So v̄ is no mean: under a
constant gradient the steps, in units of η and with ε = 0, are 1.056, 0.784, 0.732, 0.731, 0.746,
and then rise to 1.  Keras has another pace, ψ = 1 where this file and PyTorch have 0.004.  Optax
has no schedule, v̄ = β₁v/(1-β₁ᵗ⁺¹) + (1-β₁)g/(1-β₁ᵗ), and a first step of 1.474.

PyTorch remembers P; here it is computed from t, β₁ and ψ.  The two differ if β₁ or ψ is changed
during a run: PyTorch's P then holds what they were at each step, this one what they are now.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numba import prange

from optim.hyperparameters import check_betas, check_flag, check_nonnegative
from optim.loop import coordinatewise, inlinable
from optim.optimizer import NonFinite, Optimizer

__all__ = ["NAdam", "momentum_at", "momentum_product", "nadam_rule"]


@inlinable
def nadam_rule(
    x: Any, g: Any, v: Any, s: Any,
    lr: Any, beta1: Any, one_minus_beta1: Any, weight_of_v: Any, weight_of_g: Any,
    beta2: Any, one_minus_beta2: Any, debias2: Any, eps: Any, weight_decay: Any, decay: Any,
) -> tuple[Any, Any, Any]:
    """One step of one coordinate, or of whole arrays; returns the new x, v and s.

    `weight_of_v` is μ_{t+1}/(1 - P_{t+1}), `weight_of_g` (1 - μ_t)/(1 - P_t), and `debias2`
    1/(1 - β₂ᵗ).  Coupled decay has `decay` 1; decoupled decay has 1 - ηλ, and `weight_decay` 0.

    Examples
    --------
    >>> c = (0.25, 0.5, 0.5, 1.0, 1.0, 0.75, 0.25, 4.0, 0.0, 0.0, 1.0)
    >>> x, v, s = nadam_rule(1.0, 4.0, 0.0, 0.0, *c)
    >>> float(x), float(v), float(s)
    (0.625, 2.0, 4.0)
    """
    x = decay * x
    g = g + weight_decay * x
    v = beta1 * v + one_minus_beta1 * g
    s = beta2 * s + one_minus_beta2 * (g * g)
    v_bar = weight_of_v * v + weight_of_g * g
    s_hat = s * debias2
    x = x - lr * v_bar / (np.sqrt(s_hat) + eps)
    return x, v, s


@coordinatewise
def nadam_loop(x: Any, g: Any, v: Any, s: Any, sign: Any, coefficients: Any) -> None:
    """Apply `nadam_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], v[i], s[i] = nadam_rule(x[i], sign * g[i], v[i], s[i], *coefficients)


def momentum_at(t: int, beta1: float, momentum_decay: float) -> float:
    """Return μ_t.

    Examples
    --------
    >>> momentum_at(0, 0.75, 0.004), momentum_at(10**6, 0.75, 0.004)
    (0.375, 0.75)
    """
    return beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))


PRODUCTS_KEPT = 64
_products: dict[tuple[int, float, float], float] = {}


def _remembered(product: Callable[..., float]) -> Callable[[int, float, float], float]:
    """Let a product start from the one of the step before, if that is among the last ones."""

    @functools.wraps(product)
    def remembered(t: int, beta1: float, momentum_decay: float) -> float:
        key = (t, beta1, momentum_decay)
        if key not in _products:
            before = _products.get((t - 1, beta1, momentum_decay))
            known = (0, 1.0) if before is None else (t - 1, before)
            if len(_products) >= PRODUCTS_KEPT:
                del _products[next(iter(_products))]
            _products[key] = product(t, beta1, momentum_decay, *known)
        return _products[key]

    return remembered


@_remembered
def momentum_product(
    t: int, beta1: float, momentum_decay: float, known: int = 0, product: float = 1.0
) -> float:
    """Return P_t, or 0 where it is too small for 1 - P_t to differ from 1.

    It is one multiplication if P_{t-1} was asked for a moment ago, and t of them otherwise; it is
    the same number either way.

    Examples
    --------
    >>> momentum_product(3, 0.5, 0.0), momentum_product(100, 0.5, 0.0)
    (0.015625, 0.0)
    """
    for i in range(known + 1, int(t) + 1):
        product *= momentum_at(i, beta1, momentum_decay)
        if product < 2**-54:  # then 1 - P is 1, for this and all later t
            return 0.0
    return product


class NAdam(Optimizer):
    """NAdam, as in the equations above.

    Parameters
    ----------
    params : iterable
        Parameters, pairs ``(name, parameter)``, or groups; see `Optimizer`.
    lr : float
        Learning rate η: about how far a coordinate moves in one step.
    betas : (float, float)
        β₁ and β₂, each in [0, 1).
    eps : float
        ε, 0 or above.  With 0, a coordinate whose gradients have all been 0 becomes NaN.
    weight_decay : float
        λ: of the coupled decay (λx is part of the gradient), or of the decoupled one.
    momentum_decay : float
        ψ, 0 or above: how fast μ goes from β₁/2 to β₁; with 0 it stays.
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
    >>> optimizer = NAdam([x], lr=0.1)
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
        "momentum_decay": check_nonnegative,
        "decoupled_weight_decay": check_flag,
        "maximize": check_flag,
    }
    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    momentum_decay: float
    decoupled_weight_decay: bool
    maximize: bool

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
    ) -> None:
        super().__init__(
            params, nonfinite,
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
        )  # fmt: skip

    @staticmethod
    def loop_for(**_: Any) -> coordinatewise:
        """The one above."""
        return nadam_loop

    @staticmethod
    def initial_state(**_: Any) -> dict[str, float]:
        """v₀ = s₀ = 0."""
        return {"v": 0.0, "s": 0.0}

    @staticmethod
    def coefficients(
        t: int, *, lr: float, betas: tuple[float, float], eps: float, weight_decay: float,
        momentum_decay: float, decoupled_weight_decay: bool,
    ) -> tuple[float, ...]:  # fmt: skip
        """η; β₁, 1-β₁, the weights of v and g in v̄; β₂, 1-β₂, 1/(1-β₂ᵗ); ε; λ or 0; 1 or 1-ηλ."""
        beta1, beta2 = betas
        now = momentum_at(t, beta1, momentum_decay)
        ahead = momentum_at(t + 1, beta1, momentum_decay)
        product = momentum_product(t, beta1, momentum_decay)
        return (
            lr,
            beta1, 1 - beta1, ahead / (1 - product * ahead), (1 - now) / (1 - product),
            beta2, 1 - beta2, 1 / (1 - beta2**t),
            eps,
            0.0 if decoupled_weight_decay else weight_decay,
            1 - lr * weight_decay if decoupled_weight_decay else 1.0,
        )  # fmt: skip
