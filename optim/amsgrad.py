"""AMSGrad: Adam whose second moment never falls.

Reddi, Kale & Kumar, *On the Convergence of Adam and Beyond*, ICLR 2018 (arXiv:1904.09237),
algorithm 2.  Adam forgets a large gradient after about 1/(1 - β₂) steps, and there are problems on
which it then walks the wrong way for ever.  AMSGrad does not forget; in the textbook's notation:

    g_t = ∇f(x_{t-1}) + λ x_{t-1}                    weight decay, 0 by default
    v_t = β₁ v_{t-1} + (1 - β₁) g_t
    s_t = β₂ s_{t-1} + (1 - β₂) g_t²
    m_t = max(m_{t-1}, s_t)                          the line that Adam lacks
    x_t = x_{t-1} - η v̂_t / (√m̂_t + ε)               v̂ = v/(1-β₁ᵗ), m̂ = m/(1-β₂ᵗ)

While s grows, the two are the same.

Which variant
-------------
The maximum is taken of s itself and corrected afterwards, as in PyTorch and Keras.  Since the
correction falls from 1/(1-β₂) to 1, m̂ and the denominator may still fall, for some 1/(1-β₂) steps
and more: with β₁ = 0, after one gradient of 1 and then 0.1 for ever, steps grow from 0.14 η to η.
Optax takes the maximum of ŝ, which never falls, but keeps the large correction of the first
gradients for ever.  The paper has no bias correction.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import prange

from optim.adam import Adam
from optim.loop import coordinatewise, inlinable
from optim.optimizer import NonFinite

__all__ = ["AMSGrad", "amsgrad_rule"]


@inlinable
def amsgrad_rule(
    x: Any, g: Any, v: Any, s: Any, s_max: Any,
    lr: Any, beta1: Any, one_minus_beta1: Any, debias1: Any,
    beta2: Any, one_minus_beta2: Any, debias2: Any, eps: Any, weight_decay: Any,
) -> tuple[Any, Any, Any, Any]:
    """One step of one coordinate, or of whole arrays; returns the new x, v, s and s_max (m above).

    `debias1` is 1/(1 - β₁ᵗ) and `debias2` 1/(1 - β₂ᵗ).

    Examples
    --------
    Without a gradient s falls, and its maximum stays:

    >>> c = (0.1, 0.9, 0.1, 1.0, 0.5, 0.5, 1.0, 0.0, 0.0)
    >>> x, v, s, s_max = amsgrad_rule(1.0, 0.0, 0.0, 4.0, 4.0, *c)
    >>> float(s), float(s_max)
    (2.0, 4.0)
    """
    g = g + weight_decay * x
    v = beta1 * v + one_minus_beta1 * g
    s = beta2 * s + one_minus_beta2 * (g * g)
    s_max = np.maximum(s_max, s)
    v_hat = v * debias1
    m_hat = s_max * debias2
    x = x - lr * v_hat / (np.sqrt(m_hat) + eps)
    return x, v, s, s_max


@coordinatewise
def amsgrad_loop(x: Any, g: Any, v: Any, s: Any, s_max: Any, sign: Any, coefficients: Any) -> None:
    """Apply `amsgrad_rule` to every coordinate of flat arrays, in place."""
    for i in prange(x.size):
        x[i], v[i], s[i], s_max[i] = amsgrad_rule(
            x[i], sign * g[i], v[i], s[i], s_max[i], *coefficients
        )


class AMSGrad(Adam):
    """AMSGrad, as in the equations above; the same as ``Adam(..., amsgrad=True)``.

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
    maximize : bool
        Ascend: the rule is given -g; weight decay still shrinks x.
    nonfinite : {"raise", "skip", "ignore"}
        What to do about NaN or infinity in a gradient; see `Optimizer`.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> x = Tensor([5.0, -3.0], requires_grad=True)
    >>> optimizer = AMSGrad([x], lr=0.1)
    >>> for _ in range(300):
    ...     optimizer.zero_grad()
    ...     (x * x).sum().backward()
    ...     optimizer.step()
    >>> bool(abs(x.data).max() < 1e-3)
    True
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay,
            amsgrad=True, maximize=maximize, nonfinite=nonfinite,
        )  # fmt: skip

    @staticmethod
    def check_together(*, amsgrad: bool, **_: Any) -> None:
        """Without the maximum it would be Adam."""
        if not amsgrad:
            raise ValueError("amsgrad=False: AMSGrad has only True; Adam is the rule without it")
