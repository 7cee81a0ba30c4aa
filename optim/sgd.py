"""Stochastic gradient descent: a step along the negative gradient, or along its velocity.

Robbins & Monro, *A Stochastic Approximation Method*, 1951.  With gradient g and learning rate η:

    g_t = ∇f(x_{t-1}) + λ x_{t-1}                    weight decay, 0 by default
    x_t = x_{t-1} - η g_t

With momentum μ (Polyak, *Some Methods of Speeding Up the Convergence of Iteration Methods*, 1964)
past gradients live on in a velocity b, and with dampening τ the new one counts less:

    b_t = μ b_{t-1} + (1 - τ) g_t                    b_1 = g_1
    x_t = x_{t-1} - η b_t

Nesterov's form (Sutskever, Martens, Dahl & Hinton, *On the Importance of Initialization and
Momentum in Deep Learning*, ICML 2013) looks one step of the velocity ahead:

    x_t = x_{t-1} - η (g_t + μ b_t)

Which variant
-------------
PyTorch's: b is a sum of gradients, so that a constant gradient ends in steps of η g/(1-μ), and the
first gradient is not dampened.  Keras keeps η inside, b = μb - ηg: the same while η is constant;
after η has changed, its velocity still holds steps of the old one.  The textbook's section on Adam
writes momentum as a running mean, which `optim/momentum.py` has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numba import prange

from optim.hyperparameters import check_flag, check_fraction, check_nonnegative
from optim.loop import coordinatewise, inlinable
from optim.optimizer import NonFinite, Optimizer

__all__ = ["SGD", "nesterov_rule", "sgd_momentum_rule", "sgd_rule"]


@inlinable
def sgd_rule(x: Any, g: Any, lr: Any, weight_decay: Any) -> Any:
    """One step of one coordinate, or of whole arrays; returns the new x.

    Examples
    --------
    >>> sgd_rule(1.0, 4.0, 0.125, 0.0)
    0.5
    """
    g = g + weight_decay * x
    return x - lr * g


@inlinable
def sgd_momentum_rule(
    x: Any, g: Any, b: Any, lr: Any, momentum: Any, one_minus_dampening: Any, weight_decay: Any
) -> tuple[Any, Any]:
    """The same with momentum; returns the new x and b.

    Examples
    --------
    >>> sgd_momentum_rule(1.0, 4.0, 4.0, 0.125, 0.5, 1.0, 0.0)
    (0.25, 6.0)
    """
    g = g + weight_decay * x
    b = momentum * b + one_minus_dampening * g
    x = x - lr * b
    return x, b


@inlinable
def nesterov_rule(
    x: Any, g: Any, b: Any, lr: Any, momentum: Any, one_minus_dampening: Any, weight_decay: Any
) -> tuple[Any, Any]:
    """The same with Nesterov's momentum; returns the new x and b.

    Examples
    --------
    >>> nesterov_rule(1.0, 4.0, 4.0, 0.125, 0.5, 1.0, 0.0)
    (0.125, 6.0)
    """
    g = g + weight_decay * x
    b = momentum * b + one_minus_dampening * g
    x = x - lr * (g + momentum * b)
    return x, b


@coordinatewise
def sgd_loop(x: Any, g: Any, sign: Any, coefficients: Any) -> None:
    """Apply `sgd_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i] = sgd_rule(x[i], sign * g[i], *coefficients)


@coordinatewise
def sgd_momentum_loop(x: Any, g: Any, b: Any, sign: Any, coefficients: Any) -> None:
    """Apply `sgd_momentum_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], b[i] = sgd_momentum_rule(x[i], sign * g[i], b[i], *coefficients)


@coordinatewise
def nesterov_loop(x: Any, g: Any, b: Any, sign: Any, coefficients: Any) -> None:
    """Apply `nesterov_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], b[i] = nesterov_rule(x[i], sign * g[i], b[i], *coefficients)


class SGD(Optimizer):
    """Stochastic gradient descent, as in the equations above.

    Parameters
    ----------
    params : iterable
        Parameters, pairs ``(name, parameter)``, or groups; see `Optimizer`.
    lr : float
        Learning rate η.
    momentum : float
        μ in [0, 1); with 0 there is no velocity.
    dampening : float
        τ in [0, 1).
    weight_decay : float
        λ of the coupled decay: λx is part of the gradient.
    nesterov : bool
        Nesterov's form; needs momentum above 0 and no dampening.
    maximize : bool
        Ascend: the rule is given -g; weight decay still shrinks x.
    nonfinite : {"raise", "skip", "ignore"}
        What to do about NaN or infinity in a gradient; see `Optimizer`.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> x = Tensor(3.0, requires_grad=True)
    >>> (x * x).backward()
    >>> SGD([x], lr=0.25).step()
    >>> x.item()
    1.5
    """

    hyperparameters = {
        "lr": check_nonnegative,
        "momentum": check_fraction,
        "dampening": check_fraction,
        "weight_decay": check_nonnegative,
        "nesterov": check_flag,
        "maximize": check_flag,
    }
    lr: float
    momentum: float
    dampening: float
    weight_decay: float
    nesterov: bool
    maximize: bool

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
    ) -> None:
        super().__init__(
            params, nonfinite,
            lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
            nesterov=nesterov, maximize=maximize,
        )  # fmt: skip

    @staticmethod
    def check_together(*, momentum: float, dampening: float, nesterov: bool, **_: Any) -> None:
        """Nesterov's form needs momentum, and has no dampening."""
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError(
                f"nesterov=True with momentum={momentum}, dampening={dampening}: accepted are a "
                "momentum above 0, e.g. 0.9, and dampening 0"
            )

    @staticmethod
    def loop_for(*, momentum: float, nesterov: bool, **_: Any) -> coordinatewise:
        """One of the three above."""
        if nesterov:
            return nesterov_loop
        return sgd_momentum_loop if momentum else sgd_loop

    @staticmethod
    def initial_state(*, momentum: float, **_: Any) -> dict[str, float]:
        """b₀ = 0, if there is momentum."""
        return {"b": 0.0} if momentum else {}

    @staticmethod
    def coefficients(
        t: int, *, lr: float, momentum: float, dampening: float, weight_decay: float, **_: Any
    ) -> tuple[float, ...]:
        """η; μ and 1-τ (1 at t = 1), if there is momentum; λ."""
        if not momentum:
            return lr, weight_decay
        return lr, momentum, 1.0 if t == 1 else 1 - dampening, weight_decay
