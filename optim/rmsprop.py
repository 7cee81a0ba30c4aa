"""RMSProp: a step size per coordinate, from a running mean of the squared gradients.

Hinton, *Neural Networks for Machine Learning*, lecture 6e, 2012.  In the textbook's notation, with
gradient g and its second moment s:

    g_t = ∇f(x_{t-1}) + λ x_{t-1}                    weight decay, 0 by default
    s_t = α s_{t-1} + (1 - α) g_t²                   AdaGrad's sum, made a mean that forgets
    x_t = x_{t-1} - η g_t / (√s_t + ε)               all elementwise

Under a constant gradient step t is η/√(1-αᵗ) long: s starts at 0 and is too small at first, so that
the first step is 10 η with the defaults, which Adam's bias correction mends.

Centered (Graves, *Generating Sequences with Recurrent Neural Networks*, 2013, arXiv:1308.0850), the
gradient's variance stands in for its mean square, with its mean in v:

    v_t = α v_{t-1} + (1 - α) g_t
    x_t = x_{t-1} - η g_t / (√(s_t - v_t²) + ε)

With momentum μ, the steps live on in a velocity b, in either form:

    b_t = μ b_{t-1} + g_t / (√s_t + ε)
    x_t = x_{t-1} - η b_t

Which variant
-------------
PyTorch's, but for the clamp below: ε = 1e-8 is added outside the root, after centering; η stands
outside of b; α = 0.99 and η = 0.01.  Optax and Keras take α = 0.9 and √(s + ε), with ε = 1e-8 and
1e-7, the textbook's code √(s + 1e-6).  In Optax and Keras η is inside of b, which makes a
difference when η changes.  The textbook calls α γ.

s - v² is a variance, and below 0 by rounding only.  Under constant gradients it tends to 0, and in
float32 PyTorch's root becomes NaN for some of them, from about step 1200 on.  Here the variance is
max(s, v²) - v²: the same where s is larger, and 0 elsewhere.  There the step is η g/ε, which is
finite but long: where gradients may be constant, ε has to be of the order of g.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import prange

from optim.hyperparameters import check_flag, check_fraction, check_nonnegative
from optim.loop import coordinatewise, inlinable
from optim.optimizer import NonFinite, Optimizer

__all__ = [
    "RMSProp", "centered_momentum_rule", "centered_rule", "rmsprop_momentum_rule", "rmsprop_rule",
]  # fmt: skip


@inlinable
def rmsprop_rule(
    x: Any, g: Any, s: Any, lr: Any, alpha: Any, one_minus_alpha: Any, eps: Any, weight_decay: Any
) -> tuple[Any, Any]:
    """One step of one coordinate, or of whole arrays; returns the new x and s.

    Examples
    --------
    >>> x, s = rmsprop_rule(1.0, 4.0, 0.0, 0.25, 0.75, 0.25, 0.0, 0.0)
    >>> float(x), s
    (0.5, 4.0)
    """
    g = g + weight_decay * x
    s = alpha * s + one_minus_alpha * (g * g)
    x = x - lr * g / (np.sqrt(s) + eps)
    return x, s


@inlinable
def rmsprop_momentum_rule(
    x: Any, g: Any, s: Any, b: Any,
    lr: Any, alpha: Any, one_minus_alpha: Any, eps: Any, weight_decay: Any, momentum: Any,
) -> tuple[Any, Any, Any]:
    """The same with momentum; returns the new x, s and b.

    Examples
    --------
    >>> x, s, b = rmsprop_momentum_rule(1.0, 4.0, 0.0, 2.0, 0.25, 0.75, 0.25, 0.0, 0.0, 0.5)
    >>> float(x), s, float(b)
    (0.25, 4.0, 3.0)
    """
    g = g + weight_decay * x
    s = alpha * s + one_minus_alpha * (g * g)
    b = momentum * b + g / (np.sqrt(s) + eps)
    x = x - lr * b
    return x, s, b


@inlinable
def centered_rule(
    x: Any, g: Any, s: Any, v: Any,
    lr: Any, alpha: Any, one_minus_alpha: Any, eps: Any, weight_decay: Any,
) -> tuple[Any, Any, Any]:
    """One step of the centered form; returns the new x, s and v.

    Examples
    --------
    Two opposite gradients: their variance is their mean square.

    >>> x, s, v = centered_rule(1.0, 4.0, 16.0, -4.0, 0.25, 0.5, 0.5, 0.0, 0.0)
    >>> float(x), s, v
    (0.75, 16.0, 0.0)
    """
    g = g + weight_decay * x
    s = alpha * s + one_minus_alpha * (g * g)
    v = alpha * v + one_minus_alpha * g
    variance = np.maximum(s, v * v) - v * v
    x = x - lr * g / (np.sqrt(variance) + eps)
    return x, s, v


@inlinable
def centered_momentum_rule(
    x: Any, g: Any, s: Any, v: Any, b: Any,
    lr: Any, alpha: Any, one_minus_alpha: Any, eps: Any, weight_decay: Any, momentum: Any,
) -> tuple[Any, Any, Any, Any]:
    """The centered form with momentum; returns the new x, s, v and b.

    Examples
    --------
    >>> x, s, v, b = centered_momentum_rule(
    ...     1.0, 4.0, 16.0, -4.0, 2.0, 0.25, 0.5, 0.5, 0.0, 0.0, 0.5)
    >>> float(x), s, v, float(b)
    (0.5, 16.0, 0.0, 2.0)
    """
    g = g + weight_decay * x
    s = alpha * s + one_minus_alpha * (g * g)
    v = alpha * v + one_minus_alpha * g
    variance = np.maximum(s, v * v) - v * v
    b = momentum * b + g / (np.sqrt(variance) + eps)
    x = x - lr * b
    return x, s, v, b


@coordinatewise
def rmsprop_loop(x: Any, g: Any, s: Any, sign: Any, coefficients: Any) -> None:
    """Apply `rmsprop_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], s[i] = rmsprop_rule(x[i], sign * g[i], s[i], *coefficients)


@coordinatewise
def rmsprop_momentum_loop(x: Any, g: Any, s: Any, b: Any, sign: Any, coefficients: Any) -> None:
    """Apply `rmsprop_momentum_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], s[i], b[i] = rmsprop_momentum_rule(x[i], sign * g[i], s[i], b[i], *coefficients)


@coordinatewise
def centered_loop(x: Any, g: Any, s: Any, v: Any, sign: Any, coefficients: Any) -> None:
    """Apply `centered_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], s[i], v[i] = centered_rule(x[i], sign * g[i], s[i], v[i], *coefficients)


@coordinatewise
def centered_momentum_loop(
    x: Any, g: Any, s: Any, v: Any, b: Any, sign: Any, coefficients: Any
) -> None:
    """Apply `centered_momentum_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], s[i], v[i], b[i] = centered_momentum_rule(
            x[i], sign * g[i], s[i], v[i], b[i], *coefficients
        )


class RMSProp(Optimizer):
    """RMSProp, as in the equations above.

    Parameters
    ----------
    params : iterable
        Parameters, pairs ``(name, parameter)``, or groups; see `Optimizer`.
    lr : float
        Learning rate η: about how far a coordinate moves in one step; 10 times as far in the
        first, with the defaults.
    alpha : float
        α in [0, 1).
    eps : float
        ε, 0 or above.  With 0, a coordinate whose gradients have all been 0 becomes NaN; centered,
        one whose gradients stay equal takes ever longer steps, and may become infinite.
    weight_decay : float
        λ of the coupled decay: λx is part of the gradient.
    momentum : float
        μ in [0, 1); with 0 there is no velocity.
    centered : bool
        Divide by the root of the gradient's variance instead of its mean square.
    maximize : bool
        Ascend: the rule is given -g; weight decay still shrinks x.
    nonfinite : {"raise", "skip", "ignore"}
        What to do about NaN or infinity in a gradient; see `Optimizer`.

    Examples
    --------
    A constant learning rate ends in steps from η/2 to -η/2 and back:

    >>> from minigrad import Tensor
    >>> x = Tensor([5.0, -3.0], requires_grad=True)
    >>> optimizer = RMSProp([x], lr=0.125, alpha=0.9)
    >>> for _ in range(600):
    ...     optimizer.zero_grad()
    ...     (x * x).sum().backward()
    ...     optimizer.step()
    >>> abs(x.data).round(6)
    array([0.0625, 0.0625])
    """

    hyperparameters = {
        "lr": check_nonnegative,
        "alpha": check_fraction,
        "eps": check_nonnegative,
        "weight_decay": check_nonnegative,
        "momentum": check_fraction,
        "centered": check_flag,
        "maximize": check_flag,
    }
    lr: float
    alpha: float
    eps: float
    weight_decay: float
    momentum: float
    centered: bool
    maximize: bool

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
    ) -> None:
        super().__init__(
            params, nonfinite,
            lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum,
            centered=centered, maximize=maximize,
        )  # fmt: skip

    @staticmethod
    def loop_for(*, momentum: float, centered: bool, **_: Any) -> coordinatewise:
        """One of the four above."""
        if centered:
            return centered_momentum_loop if momentum else centered_loop
        return rmsprop_momentum_loop if momentum else rmsprop_loop

    @staticmethod
    def initial_state(*, momentum: float, centered: bool, **_: Any) -> dict[str, float]:
        """s₀ = 0, and so are the mean v and the velocity b, where there are such."""
        return {"s": 0.0} | ({"v": 0.0} if centered else {}) | ({"b": 0.0} if momentum else {})

    @staticmethod
    def coefficients(
        t: int, *, lr: float, alpha: float, eps: float, weight_decay: float, momentum: float,
        **_: Any,
    ) -> tuple[float, ...]:
        """η; α, 1-α; ε; λ; μ, if there is momentum."""
        return (lr, alpha, 1 - alpha, eps, weight_decay) + ((momentum,) if momentum else ())
