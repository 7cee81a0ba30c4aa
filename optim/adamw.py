"""AdamW: Adam whose weight decay stays outside the gradient.

Loshchilov & Hutter, *Decoupled Weight Decay Regularization*, ICLR 2019 (arXiv:1711.05101),
algorithm 2.  In the textbook's notation, with g_t = ∇f(x_{t-1}):

    v_t = β₁ v_{t-1} + (1 - β₁) g_t
    s_t = β₂ s_{t-1} + (1 - β₂) g_t²
    v̂_t = v_t / (1 - β₁ᵗ)
    ŝ_t = s_t / (1 - β₂ᵗ)
    x_t = (1 - ηλ) x_{t-1} - η v̂_t / (√ŝ_t + ε)     the factor, where Adam has λx in g

Adam divides λx by √ŝ, as all that is in g, so that coordinates with large gradients hardly decay.
Here every coordinate shrinks at the same rate: under zero gradients x_t = (1 - ηλ)ᵗ x_0.  With
λ = 0 the two are the same.

Which variant
-------------
The decay is ηλ, with the learning rate as it is at this step, as in PyTorch, Keras and Optax
(which subtracts η(... + λx): the same up to rounding).  In the paper λ is multiplied by the
schedule, but not by η: to compare, divide its λ by the η that the schedule multiplies.  λ = 0.01
by default here and in PyTorch, 0.004 in Keras, 1e-4 in Optax.

In float32 the factor 1 - ηλ is rounded to a multiple of 6e-8, here and in PyTorch: where ηλ is
below 3e-8, for example η = λ = 1e-4, it is 1, and nothing decays.  In Optax's form the decay joins
the step before it is rounded, and is lost only where the step is 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import prange

from optim.hyperparameters import check_betas, check_flag, check_nonnegative
from optim.loop import coordinatewise, inlinable
from optim.optimizer import NonFinite, Optimizer

__all__ = ["AdamW", "adamw_rule"]


@inlinable
def adamw_rule(
    x: Any, g: Any, v: Any, s: Any,
    lr: Any, beta1: Any, one_minus_beta1: Any, debias1: Any,
    beta2: Any, one_minus_beta2: Any, debias2: Any, eps: Any, decay: Any,
) -> tuple[Any, Any, Any]:
    """One step of one coordinate, or of whole arrays; returns the new x, v and s.

    `debias1` is 1/(1 - β₁ᵗ), `debias2` 1/(1 - β₂ᵗ), and `decay` 1 - ηλ.

    Examples
    --------
    Adam's first step is η long, whatever the gradient; the decay comes on top of it:

    >>> c = (0.25, 0.9, 0.1, 10.0, 0.999, 0.001, 1000.0, 0.0)
    >>> for decay in 1.0, 0.5:
    ...     x, v, s = adamw_rule(1.0, 5.0, 0.0, 0.0, *c, decay)
    ...     print(round(float(x), 12))
    0.75
    0.25
    """
    v = beta1 * v + one_minus_beta1 * g
    s = beta2 * s + one_minus_beta2 * (g * g)
    v_hat = v * debias1
    s_hat = s * debias2
    x = decay * x - lr * v_hat / (np.sqrt(s_hat) + eps)
    return x, v, s


@coordinatewise
def adamw_loop(x: Any, g: Any, v: Any, s: Any, sign: Any, coefficients: Any) -> None:
    """Apply `adamw_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], v[i], s[i] = adamw_rule(x[i], sign * g[i], v[i], s[i], *coefficients)


class AdamW(Optimizer):
    """AdamW, as in the equations above.

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
        λ of the decoupled decay: each step multiplies x by 1 - ηλ.
    maximize : bool
        Ascend: the rule is given -g; weight decay still shrinks x.
    nonfinite : {"raise", "skip", "ignore"}
        What to do about NaN or infinity in a gradient; see `Optimizer`.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> x = Tensor([5.0, -3.0], requires_grad=True)
    >>> optimizer = AdamW([x], lr=0.1)
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
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
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
        return adamw_loop

    @staticmethod
    def initial_state(**_: Any) -> dict[str, float]:
        """v₀ = s₀ = 0."""
        return {"v": 0.0, "s": 0.0}

    @staticmethod
    def coefficients(
        t: int, *, lr: float, betas: tuple[float, float], eps: float, weight_decay: float
    ) -> tuple[float, ...]:
        """η; β₁, 1-β₁, 1/(1-β₁ᵗ); β₂, 1-β₂, 1/(1-β₂ᵗ); ε; 1-ηλ."""
        beta1, beta2 = betas
        return (
            lr,
            beta1, 1 - beta1, 1 / (1 - beta1**t),
            beta2, 1 - beta2, 1 / (1 - beta2**t),
            eps,
            1 - lr * weight_decay,
        )  # fmt: skip
