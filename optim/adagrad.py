"""AdaGrad: a step size per coordinate that shrinks with the gradients seen so far.

Duchi, Hazan & Singer, *Adaptive Subgradient Methods for Online Learning and Stochastic
Optimization*, JMLR 12, 2011.  In the textbook's notation, with gradient g, their sum of squares s,
and t from 1:

    g_t = ∇f(x_{t-1}) + λ x_{t-1}                    weight decay, 0 by default
    s_t = s_{t-1} + g_t²
    x_t = x_{t-1} - η_t g_t / (√s_t + ε)             all elementwise

A coordinate with rare gradients keeps a large η/√s, and small gradients move x as far as large
ones.  s never shrinks: under a constant gradient, step t is η/√t long, and after a burst of large
gradients the steps stay short for ever, which is what RMSProp mends.

Which variant
-------------
PyTorch's: s starts at 0 (`initial_accumulator` sets another s₀), ε = 1e-10 is added outside the
root, and η_t = η / (1 + (t-1) κ) with a decay κ (`lr_decay`) that is 0 by default; the paper has
none.  Optax and Keras start s at 0.1 and divide by √(s + 1e-7), the textbook's code by √(s + 1e-6)
with s₀ = 0.  While the gradients seen so far are small, that is another method: the first step for
a gradient of 0.01, in units of η, is 1.000 here and 0.032 with s₀ = 0.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import prange

from optim.hyperparameters import check_flag, check_nonnegative
from optim.loop import coordinatewise, inlinable
from optim.optimizer import NonFinite, Optimizer

__all__ = ["AdaGrad", "adagrad_rule"]


@inlinable
def adagrad_rule(
    x: Any, g: Any, s: Any, lr: Any, eps: Any, weight_decay: Any
) -> tuple[Any, Any]:
    """One step of one coordinate, or of whole arrays; returns the new x and s.

    `lr` is η_t, the learning rate of this step.

    Examples
    --------
    >>> x, s = adagrad_rule(1.0, 4.0, 9.0, 0.5, 0.0, 0.0)
    >>> float(x), s
    (0.6, 25.0)
    """
    g = g + weight_decay * x
    s = s + g * g
    x = x - lr * g / (np.sqrt(s) + eps)
    return x, s


@coordinatewise
def adagrad_loop(x: Any, g: Any, s: Any, sign: Any, coefficients: Any) -> None:
    """Apply `adagrad_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], s[i] = adagrad_rule(x[i], sign * g[i], s[i], *coefficients)


class AdaGrad(Optimizer):
    """AdaGrad, as in the equations above.

    Parameters
    ----------
    params : iterable
        Parameters, pairs ``(name, parameter)``, or groups; see `Optimizer`.
    lr : float
        Learning rate η: about how far a coordinate moves in the first step.
    lr_decay : float
        κ, 0 or above: the learning rate is divided by 1 + (t-1) κ.
    weight_decay : float
        λ of the coupled decay: λx is part of the gradient.
    initial_accumulator : float
        s₀, 0 or above; used when the parameters are taken up.
    eps : float
        ε, 0 or above.  With 0, a coordinate whose gradients have all been 0 becomes NaN.
    maximize : bool
        Ascend: the rule is given -g; weight decay still shrinks x.
    nonfinite : {"raise", "skip", "ignore"}
        What to do about NaN or infinity in a gradient; see `Optimizer`.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> x = Tensor([5.0, -3.0], requires_grad=True)
    >>> optimizer = AdaGrad([x], lr=1.0)
    >>> for _ in range(300):
    ...     optimizer.zero_grad()
    ...     (x * x).sum().backward()
    ...     optimizer.step()
    >>> bool(abs(x.data).max() < 1e-3)
    True
    """

    hyperparameters = {
        "lr": check_nonnegative,
        "lr_decay": check_nonnegative,
        "weight_decay": check_nonnegative,
        "initial_accumulator": check_nonnegative,
        "eps": check_nonnegative,
        "maximize": check_flag,
    }
    lr: float
    lr_decay: float
    weight_decay: float
    initial_accumulator: float
    eps: float
    maximize: bool

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
    ) -> None:
        super().__init__(
            params, nonfinite,
            lr=lr, lr_decay=lr_decay, weight_decay=weight_decay,
            initial_accumulator=initial_accumulator, eps=eps, maximize=maximize,
        )  # fmt: skip

    @staticmethod
    def loop_for(**_: Any) -> coordinatewise:
        """The one above."""
        return adagrad_loop

    @staticmethod
    def initial_state(*, initial_accumulator: float, **_: Any) -> dict[str, float]:
        """s₀ is the initial accumulator."""
        return {"s": initial_accumulator}

    @staticmethod
    def coefficients(
        t: int, *, lr: float, lr_decay: float, weight_decay: float, eps: float, **_: Any
    ) -> tuple[float, ...]:
        """η_t = η/(1 + (t-1) κ); ε; λ."""
        return lr / (1 + (t - 1) * lr_decay), eps, weight_decay
