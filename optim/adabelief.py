"""AdaBelief: Adam whose second moment measures how far the gradient is from its running mean.

Zhuang et al., *AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients*,
NeurIPS 2020 (arXiv:2010.07468), algorithm 2.  In the textbook's notation; only the line of s
differs from Adam:

    g_t = ∇f(x_{t-1}) + λ x_{t-1}                    weight decay, 0 by default
    v_t = β₁ v_{t-1} + (1 - β₁) g_t
    s_t = β₂ s_{t-1} + (1 - β₂) (g_t - v_t)² + ε     v_t is the new one
    v̂_t = v_t / (1 - β₁ᵗ)
    ŝ_t = s_t / (1 - β₂ᵗ)
    x_t = x_{t-1} - η v̂_t / (√ŝ_t + ε)               all elementwise

Where gradients are as v predicts, s is small and the steps are long: v is believed.  Under a
constant gradient, the steps grow from η/β₁ on.  Where gradients are independent noise around 0, s
is on average 2β₁²/(1+β₁) of Adam's, 0.85 with β₁ = 0.9: the two rules then hardly differ.

Which variant
-------------
ε stands in both places, as in the paper and in the authors' code.  The one in s is remembered, so
that ŝ is never below ε/(1 - β₂).  Optax has a number for each place, `eps_root` in s and `eps`
outside the root: with both the same, as they are by default, it is this file's rule.  ε is 1e-16
there, here and in the authors' code, 1e-8 in the paper.  As s is a square, 1e-8 in it counts as
3e-3 in the denominator: do not carry Adam's ε over.  PyTorch and Keras have no AdaBelief.  Weight
decay is coupled, as in Adam, and there is no rectification; the authors' package decouples the one
and rectifies as RAdam does, by default.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import prange

from optim.hyperparameters import check_betas, check_flag, check_nonnegative
from optim.loop import coordinatewise, inlinable
from optim.optimizer import NonFinite, Optimizer

__all__ = ["AdaBelief", "adabelief_rule"]


@inlinable
def adabelief_rule(
    x: Any, g: Any, v: Any, s: Any,
    lr: Any, beta1: Any, one_minus_beta1: Any, debias1: Any,
    beta2: Any, one_minus_beta2: Any, debias2: Any, eps: Any, weight_decay: Any,
) -> tuple[Any, Any, Any]:
    """One step of one coordinate, or of whole arrays; returns the new x, v and s.

    `debias1` is 1/(1 - β₁ᵗ) and `debias2` 1/(1 - β₂ᵗ).

    Examples
    --------
    With β₁ = 1/2 half of the first gradient is a surprise, and the step is 2η long:

    >>> x, v, s = adabelief_rule(1.0, 4.0, 0.0, 0.0, 0.25, 0.5, 0.5, 2.0, 0.75, 0.25, 4.0, 0.0, 0.0)
    >>> float(x), float(v), float(s)
    (0.5, 2.0, 1.0)
    """
    g = g + weight_decay * x
    v = beta1 * v + one_minus_beta1 * g
    s = beta2 * s + one_minus_beta2 * ((g - v) * (g - v)) + eps
    v_hat = v * debias1
    s_hat = s * debias2
    x = x - lr * v_hat / (np.sqrt(s_hat) + eps)
    return x, v, s


@coordinatewise
def adabelief_loop(x: Any, g: Any, v: Any, s: Any, sign: Any, coefficients: Any) -> None:
    """Apply `adabelief_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], v[i], s[i] = adabelief_rule(x[i], sign * g[i], v[i], s[i], *coefficients)


class AdaBelief(Optimizer):
    """AdaBelief, as in the equations above.

    Parameters
    ----------
    params : iterable
        Parameters, pairs ``(name, parameter)``, or groups; see `Optimizer`.
    lr : float
        Learning rate η: about how far a coordinate moves in one step; further where gradients
        are steady.
    betas : (float, float)
        β₁ and β₂, each in [0, 1).  With β₁ = 0 v is g, nothing is a surprise, and only ε limits
        the steps: it must then not be 0.
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
    >>> optimizer = AdaBelief([x], lr=0.1)
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
        eps: float = 1e-16,
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
    def check_together(*, betas: tuple[float, float], eps: float, **_: Any) -> None:
        """With β₁ = 0 and ε = 0 every step would be a division by 0."""
        if betas[0] == 0 and eps == 0:
            raise ValueError(
                f"betas={betas}, eps={eps}: with β1 = 0 nothing but eps is in the denominator; "
                "accepted are a β1 above 0, e.g. 0.9, or an eps above 0, e.g. 1e-16"
            )

    @staticmethod
    def loop_for(**_: Any) -> coordinatewise:
        """The one above."""
        return adabelief_loop

    @staticmethod
    def initial_state(**_: Any) -> dict[str, float]:
        """v₀ = s₀ = 0."""
        return {"v": 0.0, "s": 0.0}

    @staticmethod
    def coefficients(
        t: int, *, lr: float, betas: tuple[float, float], eps: float, weight_decay: float
    ) -> tuple[float, ...]:
        """η; β₁, 1-β₁, 1/(1-β₁ᵗ); β₂, 1-β₂, 1/(1-β₂ᵗ); ε; λ."""
        beta1, beta2 = betas
        return (
            lr,
            beta1, 1 - beta1, 1 / (1 - beta1**t),
            beta2, 1 - beta2, 1 / (1 - beta2**t),
            eps,
            weight_decay,
        )  # fmt: skip
