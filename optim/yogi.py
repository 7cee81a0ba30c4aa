"""Yogi: Adam with a second moment that forgets slowly.

Zaheer, Reddi, Sachan, Kale & Kumar, *Adaptive Methods for Nonconvex Optimization*, NeurIPS 2018.
In the textbook's notation; only the line of s differs from Adam:

    g_t = ∇f(x_{t-1}) + λ x_{t-1}                    weight decay, 0 by default
    v_t = β₁ v_{t-1} + (1 - β₁) g_t
    s_t = s_{t-1} + (1 - β₂) sign(g_t² - s_{t-1}) g_t²
    v̂_t = v_t / (1 - β₁ᵗ)
    ŝ_t = s_t / (1 - β₂ᵗ)
    x_t = x_{t-1} - η v̂_t / (√ŝ_t + ε)               all elementwise

The textbook prints - sign(s - g²), which is the same, and its code + sign(g² - s), as here.

Adam's line is s + (1 - β₂)(g² - s).  Where g² is far above s, Yogi adds (1 - β₂) g², which
is *more* than Adam adds: the textbook's "only grows under large gradients" is no limit on growth.
Where g² is far below s, Yogi takes away (1 - β₂) g² only, and Adam (1 - β₂) s: so what Yogi limits
is forgetting, and after a burst of large gradients its steps stay small for longer.

The bias correction is Adam's.  Yogi's s is no mean, though, but a count: under a constant gradient
it grows by (1 - β₂) g² a step until it reaches g², so that a step, in units of η and with ε = 0, is
√((1 - β₂ᵗ) / min(t (1 - β₂), 1)): 1 at first, 0.795 at t = 1000, then back towards 1.

Which variant
-------------
This file follows the textbook: v and s start at 0, both are bias-corrected, ε = 1e-3 is added
outside the root, and η = 0.01 by default.  `initial_accumulator` sets another s₀.  The first step
for a gradient of 0.01, in units of η, shows how far the published variants part:

    0.909   this file, the textbook
    0.293   Optax, pytorch-optimizer: v₀ = s₀ = 1e-6
    0.154   TensorFlow Addons: s₀ = 1e-6, step η √(1-β₂ᵗ)/(1-β₁ᵗ) v/(√s + ε)

s₀ = 1e-6 alone (``initial_accumulator=1e-6``) comes near Optax's first step.  v₀ stays at 0: with
another value, parameters would move under zero gradients.  The paper starts s at the mean of g²
over a minibatch, and has no bias correction.  PyTorch has no Yogi.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import prange

from optim.hyperparameters import check_betas, check_flag, check_nonnegative
from optim.loop import coordinatewise, inlinable
from optim.optimizer import NonFinite, Optimizer

__all__ = ["Yogi", "yogi_rule"]


@inlinable
def yogi_rule(
    x: Any, g: Any, v: Any, s: Any,
    lr: Any, beta1: Any, one_minus_beta1: Any, debias1: Any,
    one_minus_beta2: Any, debias2: Any, eps: Any, weight_decay: Any,
) -> tuple[Any, Any, Any]:
    """One step of one coordinate, or of whole arrays; returns the new x, v and s.

    What is the same for all coordinates comes ready-made: `debias1` is 1/(1 - β₁ᵗ) and `debias2`
    1/(1 - β₂ᵗ), so that v̂ and ŝ are products, which take less time than divisions.

    Examples
    --------
    A small gradient takes little away from a large s (Adam would have left 0.999):

    >>> x, v, s = yogi_rule(1.0, 0.1, 0.0, 1.0, 0.01, 0.9, 0.1, 10.0, 0.001, 1000.0, 0.001, 0.0)
    >>> float(s)
    0.99999
    """
    g = g + weight_decay * x
    v = beta1 * v + one_minus_beta1 * g
    s = s + one_minus_beta2 * np.sign(g * g - s) * (g * g)
    v_hat = v * debias1
    s_hat = s * debias2
    x = x - lr * v_hat / (np.sqrt(s_hat) + eps)
    return x, v, s


@coordinatewise
def yogi_loop(x: Any, g: Any, v: Any, s: Any, sign: Any, coefficients: Any) -> None:
    """Apply `yogi_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], v[i], s[i] = yogi_rule(x[i], sign * g[i], v[i], s[i], *coefficients)


class Yogi(Optimizer):
    """Yogi, as in the equations above.

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
    initial_accumulator : float
        s₀, 0 or above; used when the parameters are taken up.  The bias correction divides it too:
        with the default β₂, ŝ starts at about 1000 s₀.
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
    >>> optimizer = Yogi([x], lr=0.3)
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
        "initial_accumulator": check_nonnegative,
        "weight_decay": check_nonnegative,
        "maximize": check_flag,
    }
    lr: float
    betas: tuple[float, float]
    eps: float
    initial_accumulator: float
    weight_decay: float
    maximize: bool

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-3,
        initial_accumulator: float = 0.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
    ) -> None:
        super().__init__(
            params, nonfinite,
            lr=lr, betas=betas, eps=eps, initial_accumulator=initial_accumulator,
            weight_decay=weight_decay, maximize=maximize,
        )  # fmt: skip

    @staticmethod
    def loop_for(**_: Any) -> coordinatewise:
        """The one above."""
        return yogi_loop

    @staticmethod
    def initial_state(*, initial_accumulator: float, **_: Any) -> dict[str, float]:
        """v₀ = 0; s₀ is the initial accumulator."""
        return {"v": 0.0, "s": initial_accumulator}

    @staticmethod
    def coefficients(
        t: int, *, lr: float, betas: tuple[float, float], eps: float, weight_decay: float, **_: Any
    ) -> tuple[float, ...]:
        """η; β₁, 1-β₁, 1/(1-β₁ᵗ); 1-β₂, 1/(1-β₂ᵗ); ε; λ."""
        beta1, beta2 = betas
        return (
            lr,
            beta1, 1 - beta1, 1 / (1 - beta1**t),
            1 - beta2, 1 / (1 - beta2**t),
            eps,
            weight_decay,
        )  # fmt: skip
