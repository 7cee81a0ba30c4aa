"""Adadelta: steps in the parameter's own unit, from the size of the steps before.

Zeiler, *ADADELTA: An Adaptive Learning Rate Method*, 2012 (arXiv:1212.5701), algorithm 1.  With
gradient g, its mean square s, the step Δ and its mean square u:

    g_t = ∇f(x_{t-1}) + λ x_{t-1}                    weight decay, 0 by default
    s_t = ρ s_{t-1} + (1 - ρ) g_t²                   as in RMSProp
    Δ_t = √(u_{t-1} + ε) / √(s_t + ε) · g_t          in place of η, the size of the last steps
    u_t = ρ u_{t-1} + (1 - ρ) Δ_t²
    x_t = x_{t-1} - η Δ_t                            all elementwise

A gradient has the unit of f over that of x, so g/√s has none; times √u it has that of x.  The first
step lives on ε alone: Δ_1 is about √(ε/(1-ρ)) for any gradient that is large beside √ε, 0.003 with
the defaults, and steps grow from there.

Which variant
-------------
PyTorch's, which is the paper's with a learning rate: ε is inside both roots, Δ takes the u of the
step before, and u is updated with Δ as it is, without η.  Defaults are η = 1, ρ = 0.9, ε = 1e-6.
Keras takes η = 0.001, which makes it much slower, ρ = 0.95 and ε = 1e-7; the textbook's code has no
η, ρ = 0.9 and ε = 1e-5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import prange

from optim.hyperparameters import check_flag, check_fraction, check_nonnegative
from optim.loop import coordinatewise, inlinable
from optim.optimizer import NonFinite, Optimizer

__all__ = ["Adadelta", "adadelta_rule"]


@inlinable
def adadelta_rule(
    x: Any, g: Any, s: Any, u: Any,
    lr: Any, rho: Any, one_minus_rho: Any, eps: Any, weight_decay: Any,
) -> tuple[Any, Any, Any]:
    """One step of one coordinate, or of whole arrays; returns the new x, s and u.

    √(u + ε)/√(s + ε) is computed as √((u + ε)/(s + ε)): one root takes less time, and rounds less.

    Examples
    --------
    >>> x, s, u = adadelta_rule(1.0, 4.0, 0.0, 0.0, 1.0, 0.75, 0.25, 0.25, 0.0)
    >>> round(float(x), 12), s, round(float(u), 12)
    (0.029857499855, 4.0, 0.235294117647)
    """
    g = g + weight_decay * x
    s = rho * s + one_minus_rho * (g * g)
    delta = np.sqrt((u + eps) / (s + eps)) * g
    u = rho * u + one_minus_rho * (delta * delta)
    x = x - lr * delta
    return x, s, u


@coordinatewise
def adadelta_loop(x: Any, g: Any, s: Any, u: Any, sign: Any, coefficients: Any) -> None:
    """Apply `adadelta_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], s[i], u[i] = adadelta_rule(x[i], sign * g[i], s[i], u[i], *coefficients)


class Adadelta(Optimizer):
    """Adadelta, as in the equations above.

    Parameters
    ----------
    params : iterable
        Parameters, pairs ``(name, parameter)``, or groups; see `Optimizer`.
    lr : float
        η, a factor on the step that the rule finds by itself.
    rho : float
        ρ in [0, 1).
    eps : float
        ε, 0 or above.  It starts the steps: with 0 there are none, and a coordinate whose gradients
        have all been 0 becomes NaN.
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
    >>> optimizer = Adadelta([x])
    >>> for _ in range(2000):
    ...     optimizer.zero_grad()
    ...     (x * x).sum().backward()
    ...     optimizer.step()
    >>> bool(abs(x.data).max() < 1e-3)
    True
    """

    hyperparameters = {
        "lr": check_nonnegative,
        "rho": check_fraction,
        "eps": check_nonnegative,
        "weight_decay": check_nonnegative,
        "maximize": check_flag,
    }
    lr: float
    rho: float
    eps: float
    weight_decay: float
    maximize: bool

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
    ) -> None:
        super().__init__(
            params, nonfinite,
            lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize,
        )  # fmt: skip

    @staticmethod
    def loop_for(**_: Any) -> coordinatewise:
        """The one above."""
        return adadelta_loop

    @staticmethod
    def initial_state(**_: Any) -> dict[str, float]:
        """s₀ = u₀ = 0."""
        return {"s": 0.0, "u": 0.0}

    @staticmethod
    def coefficients(
        t: int, *, lr: float, rho: float, eps: float, weight_decay: float, **_: Any
    ) -> tuple[float, ...]:
        """η; ρ, 1-ρ; ε; λ."""
        return lr, rho, 1 - rho, eps, weight_decay
