"""Adam: momentum, and RMSProp's step size per coordinate, both corrected for their start.

Kingma & Ba, *Adam: A Method for Stochastic Optimization*, 2014 (arXiv:1412.6980), algorithm 1.
In the textbook's notation, with gradient g, first moment v, second moment s, and t from 1:

    g_t = ∇f(x_{t-1}) + λ x_{t-1}                    weight decay, 0 by default
    v_t = β₁ v_{t-1} + (1 - β₁) g_t                  momentum: a running mean of gradients
    s_t = β₂ s_{t-1} + (1 - β₂) g_t²                 RMSProp: their running mean square
    v̂_t = v_t / (1 - β₁ᵗ)                            both means start at 0 and are too small
    ŝ_t = s_t / (1 - β₂ᵗ)                            at first: bias correction
    x_t = x_{t-1} - η v̂_t / (√ŝ_t + ε)               all elementwise

Which variant
-------------
ε is added outside the root, to the bias-corrected √ŝ: so do algorithm 1 of the paper, the
textbook, PyTorch and Optax.  Keras follows the paper's section 2, which leaves the correction to
the learning rate, η √(1-β₂ᵗ)/(1-β₁ᵗ) · v / (√s + ε̂): the same with ε = ε̂/√(1-β₂ᵗ), thus with a
larger effective ε early on.  Defaults are η = 0.001, β₁ = 0.9, β₂ = 0.999, ε = 1e-8 here and in
PyTorch; the textbook's text has the same β and ε, its from-scratch code ε = 1e-6, Keras 1e-7.

Weight decay is coupled here, as in PyTorch: λx, the gradient of ½λ|x|², is part of g, and so is
divided by √ŝ as everything in g is.  Where ∇f is 0, the first step takes x towards 0 by η for any
λ above 0: it does not matter how large.  `optim/adamw.py` has the decoupled form.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import prange

from optim.hyperparameters import check_betas, check_flag, check_nonnegative
from optim.loop import coordinatewise, inlinable
from optim.optimizer import NonFinite, Optimizer

__all__ = ["Adam", "adam_rule"]


@inlinable
def adam_rule(
    x: Any, g: Any, v: Any, s: Any,
    lr: Any, beta1: Any, one_minus_beta1: Any, debias1: Any,
    beta2: Any, one_minus_beta2: Any, debias2: Any, eps: Any, weight_decay: Any,
) -> tuple[Any, Any, Any]:
    """One step of one coordinate, or of whole arrays; returns the new x, v and s.

    What is the same for all coordinates comes ready-made: `debias1` is 1/(1 - β₁ᵗ) and `debias2`
    1/(1 - β₂ᵗ), so that v̂ and ŝ are products, which take less time than divisions.

    Examples
    --------
    With ε = 0 the first step is η long, however large the gradient:

    >>> x, v, s = adam_rule(1.0, 5.0, 0.0, 0.0, 0.1, 0.9, 0.1, 10.0, 0.999, 0.001, 1000.0, 0.0, 0.0)
    >>> round(float(x), 12)
    0.9
    """
    g = g + weight_decay * x
    v = beta1 * v + one_minus_beta1 * g
    s = beta2 * s + one_minus_beta2 * (g * g)
    v_hat = v * debias1
    s_hat = s * debias2
    x = x - lr * v_hat / (np.sqrt(s_hat) + eps)
    return x, v, s


@coordinatewise
def adam_loop(x: Any, g: Any, v: Any, s: Any, sign: Any, coefficients: Any) -> None:
    """Apply `adam_rule` to every coordinate of flat arrays, in place.

    `sign` is -1 to maximize and 1 otherwise; `coefficients` are what `Adam.coefficients` returns,
    in the order of the rule's arguments.  The loops of the other optimizers are made alike.
    """
    for i in prange(x.size):
        x[i], v[i], s[i] = adam_rule(x[i], sign * g[i], v[i], s[i], *coefficients)


class Adam(Optimizer):
    """Adam, as in the equations above.

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
        λ of the coupled decay: λx is part of the gradient.
    amsgrad : bool
        Divide by the root of the largest s so far, as in `optim/amsgrad.py`.
    maximize : bool
        Ascend: the rule is given -g; weight decay still shrinks x.
    nonfinite : {"raise", "skip", "ignore"}
        What to do about NaN or infinity in a gradient; see `Optimizer`.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> x = Tensor([5.0, -3.0], requires_grad=True)
    >>> optimizer = Adam([x], lr=0.1)
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
        "amsgrad": check_flag,
        "maximize": check_flag,
    }
    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    amsgrad: bool
    maximize: bool

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
    ) -> None:
        super().__init__(
            params, nonfinite,
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad,
            maximize=maximize,
        )  # fmt: skip

    @staticmethod
    def loop_for(*, amsgrad: bool, **_: Any) -> coordinatewise:
        """The loop of Adam, or of AMSGrad."""
        from optim.amsgrad import amsgrad_loop  # here, since that file builds on this one

        return amsgrad_loop if amsgrad else adam_loop

    @staticmethod
    def initial_state(*, amsgrad: bool, **_: Any) -> dict[str, float]:
        """v₀ = s₀ = 0; with AMSGrad, the largest s so far is 0 too."""
        return {"v": 0.0, "s": 0.0} | ({"s_max": 0.0} if amsgrad else {})

    @staticmethod
    def coefficients(
        t: int, *, lr: float, betas: tuple[float, float], eps: float, weight_decay: float, **_: Any
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
