"""Momentum: a step along a running mean of the gradients.

Polyak, *Some Methods of Speeding Up the Convergence of Iteration Methods*, 1964.  In the textbook's
notation, with gradient g and velocity v:

    g_t = ∇f(x_{t-1}) + λ x_{t-1}                    weight decay, 0 by default
    v_t = β v_{t-1} + (1 - β) g_t                    v_0 = 0
    x_t = x_{t-1} - η v_t

What the gradients have in common adds up in v; what changes its sign from step to step cancels.
This is the first moment of Adam without its bias correction: under a constant gradient, the first
step is (1 - β) η g long, and step t is (1 - βᵗ) η g.

Which variant
-------------
The textbook's section on Adam: v is a mean, so a constant gradient ends in steps of η g, whatever
β is.
Polyak, PyTorch, Optax and Keras take the sum b_t = μ b_{t-1} + g_t, whose steps grow to η g/(1-μ);
`optim/sgd.py` has it.  With μ = β and both from 0, v = (1 - β) b: so lr=0.1 here takes the steps
of lr=0.1 (1 - β) there.

PyTorch's ``SGD(momentum=β, dampening=β)`` is nearly this rule, but does not dampen the first
gradient: its b is ahead of v by βᵗ g_1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numba import prange

from optim.hyperparameters import check_flag, check_fraction, check_nonnegative
from optim.loop import coordinatewise, inlinable
from optim.optimizer import NonFinite, Optimizer

__all__ = ["Momentum", "momentum_rule"]


@inlinable
def momentum_rule(
    x: Any, g: Any, v: Any, lr: Any, momentum: Any, one_minus_momentum: Any, weight_decay: Any
) -> tuple[Any, Any]:
    """One step of one coordinate, or of whole arrays; returns the new x and v.

    Examples
    --------
    >>> momentum_rule(1.0, 4.0, 0.0, 0.125, 0.75, 0.25, 0.0)
    (0.875, 1.0)
    """
    g = g + weight_decay * x
    v = momentum * v + one_minus_momentum * g
    x = x - lr * v
    return x, v


@coordinatewise
def momentum_loop(x: Any, g: Any, v: Any, sign: Any, coefficients: Any) -> None:
    """Apply `momentum_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], v[i] = momentum_rule(x[i], sign * g[i], v[i], *coefficients)


class Momentum(Optimizer):
    """Momentum, as in the equations above.

    Parameters
    ----------
    params : iterable
        Parameters, pairs ``(name, parameter)``, or groups; see `Optimizer`.
    lr : float
        Learning rate η.
    momentum : float
        β in [0, 1); with 0 this is `SGD`.
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
    >>> optimizer = Momentum([x], lr=0.1)
    >>> for _ in range(300):
    ...     optimizer.zero_grad()
    ...     (x * x).sum().backward()
    ...     optimizer.step()
    >>> bool(abs(x.data).max() < 1e-3)
    True
    """

    hyperparameters = {
        "lr": check_nonnegative,
        "momentum": check_fraction,
        "weight_decay": check_nonnegative,
        "maximize": check_flag,
    }
    lr: float
    momentum: float
    weight_decay: float
    maximize: bool

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
    ) -> None:
        super().__init__(
            params, nonfinite,
            lr=lr, momentum=momentum, weight_decay=weight_decay, maximize=maximize,
        )  # fmt: skip

    @staticmethod
    def loop_for(**_: Any) -> coordinatewise:
        """The one above."""
        return momentum_loop

    @staticmethod
    def initial_state(**_: Any) -> dict[str, float]:
        """v₀ = 0."""
        return {"v": 0.0}

    @staticmethod
    def coefficients(
        t: int, *, lr: float, momentum: float, weight_decay: float, **_: Any
    ) -> tuple[float, ...]:
        """η; β, 1-β; λ."""
        return lr, momentum, 1 - momentum, weight_decay
