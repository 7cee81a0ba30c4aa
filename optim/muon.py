"""Muon: for matrices, a step of momentum whose singular values are all made about equal.

Jordan, Jin, Boza, You, Cesista, Newhouse & Bernstein, *Muon: An Optimizer for Hidden Layers in
Neural Networks*, 2024 (kellerjordan.github.io/posts/muon).  With a matrix of gradients G, its
running mean V, and t from 1:

    G_t = ∇f(X_{t-1})
    V_t = μ V_{t-1} + (1 - μ) G_t                    momentum: a running mean of gradients
    M_t = μ V_t + (1 - μ) G_t                        Nesterov's form, a step ahead; else M_t = V_t
    O_t = p(p(...p(M_t / max(‖M_t‖, ε))))            orthogonalized: see below
    X_t = (1 - η λ) X_{t-1} - η r O_t                decoupled weight decay; r depends on the shape

A gradient's singular values differ by orders of magnitude, so that a step goes almost entirely in a
few directions.  For M = U S Wᵀ, Muon takes U Wᵀ, which goes in all of them alike; and finds it
without a singular value decomposition, by Newton-Schulz iteration.  A polynomial of odd powers,

    p(Y) = a Y + b (Y Yᵀ) Y + c (Y Yᵀ)² Y,

leaves U and W as they are, and makes a s + b s³ + c s⁵ of each singular value s.  After division by
the Frobenius norm ‖M‖ they are at most 1, and five rounds with (a, b, c) = (3.4445, -4.775, 2.0315)
bring all from 0.002 on to between 0.68 and 1.20.  That is near enough to 1, and lifts small ones
485 times; with (15/8, -5/4, 3/8), whose limit is 1, five rounds lift them 23 times.

Which variant
-------------
PyTorch's, but for the precision: it iterates in bfloat16, with 8 bits, and this file in the
parameter's own dtype.  V is a mean; the authors' sum Σ μᵏ G_{t-k} is V/(1-μ), and the same after
division by the norm.  r is √max(1, rows/columns) as the authors' (``adjust_lr_fn="original"``, the
default), or 0.2 √max(rows, columns) (``"match_rms_adamw"``: Liu et al., *Muon Is Scalable for LLM
Training*, 2025, arXiv:2502.16982), which makes steps as long as AdamW's, so that its η and λ fit.
Keras makes six rounds.  Optax corrects V for its start: without Nesterov the norm takes that out
again, but where gradients are below ε; with it, M is made as Optax's NAdam makes it, which gives
the newest gradient more weight at first: 1/13 of V's at t = 2, where it is 1/19 here.

There is no compiled loop here: nearly all of the work is matrix products, which NumPy hands to
BLAS, on all cores.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from optim.hyperparameters import (
    check_choice,
    check_flag,
    check_fraction,
    check_nonnegative,
    check_nonnegative_whole,
    check_numbers,
)
from optim.optimizer import NonFinite, Optimizer
from optim.parameters import flat_view

__all__ = ["Muon", "muon_rule", "orthogonalized"]

AdjustLR = Literal["original", "match_rms_adamw", None]


def orthogonalized(
    matrix: npt.NDArray[Any], a: Any, b: Any, c: Any, eps: Any, rounds: int
) -> npt.NDArray[Any]:
    """Return U p(...p(S/‖S‖)) Wᵀ for a matrix U S Wᵀ, with p(s) = a s + b s³ + c s⁵.

    Examples
    --------
    >>> G = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 0.1]])  # singular values 5 and 0.1
    >>> orthogonalized(G, 3.4445, -4.775, 2.0315, 1e-7, 5).round(2)
    array([[0.42, 0.56, 0.  ],
           [0.  , 0.  , 0.68]])
    """
    rows, columns = matrix.shape
    Y = matrix if rows <= columns else matrix.T  # so that Y Yᵀ is the smaller of the two squares
    Y = Y / np.maximum(np.linalg.norm(Y), eps)
    for _ in range(rounds):
        A = Y @ Y.T
        B = b * A + c * (A @ A.T)  # Aᵀ is A; for a product of this form NumPy computes one half
        Y = a * Y + B @ Y
    return Y if rows <= columns else Y.T


def muon_rule(
    x: Any, g: Any, v: Any,
    lr: Any, decay: Any, momentum: Any, one_minus_momentum: Any, a: Any, b: Any, c: Any, eps: Any,
    *, nesterov: bool = True, ns_steps: int = 5, adjust_lr_fn: AdjustLR = None,
) -> tuple[Any, Any]:  # fmt: skip
    """One step of a matrix; returns the new x and v.

    `decay` is 1 - η λ.

    Examples
    --------
    The step's length does not depend on the gradient's:

    >>> x, g, v = np.eye(2), np.array([[0.0, 1.0], [1.0, 0.0]]), np.zeros((2, 2))
    >>> c = (0.5, 1.0, 0.9, 0.1, 3.4445, -4.775, 2.0315, 0.0)
    >>> muon_rule(x, g, v, *c)[0].round(2)
    array([[ 1.  , -0.55],
           [-0.55,  1.  ]])
    >>> muon_rule(x, 64 * g, v, *c)[0].round(2)
    array([[ 1.  , -0.55],
           [-0.55,  1.  ]])
    """
    v = momentum * v + one_minus_momentum * g
    m = momentum * v + one_minus_momentum * g if nesterov else v
    o = shape_factor(x.shape, adjust_lr_fn) * orthogonalized(m, a, b, c, eps, ns_steps)
    x = decay * x - lr * o
    return x, v


def shape_factor(shape: tuple[int, ...], adjust_lr_fn: AdjustLR) -> float:
    """r, by which the step of a matrix of this shape is longer than η."""
    rows, columns = shape
    if adjust_lr_fn == "match_rms_adamw":
        return float(0.2 * np.sqrt(max(rows, columns)))
    return float(np.sqrt(max(1, rows / max(1, columns))))


def muon_step(x: Any, g: Any, v: Any, sign: Any, coefficients: Any, **choices: Any) -> None:
    """Apply `muon_rule` to a matrix, in place."""
    g, v = g.reshape(x.shape), v.reshape(x.shape)
    with np.errstate(all="ignore"):  # as compiled loops: a step that has begun is not stopped
        x[...], v[...] = muon_rule(x, sign * g, v, *coefficients, **choices)


class Muon(Optimizer):
    """Muon, as in the equations above.

    Meant for the weights of hidden layers.  Biases and other parameters that are no matrices are
    refused, and embeddings and the last layer do better elsewhere, too: give them to an optimizer
    of their own, e.g. AdamW, and call `step` of both.

    Parameters
    ----------
    params : iterable
        Parameters of two axes, pairs ``(name, parameter)``, or groups; see `Optimizer`.
    lr : float
        Learning rate η: r η is about how far each singular direction moves in one step.
    weight_decay : float
        λ of the decoupled decay: each step multiplies x by 1 - ηλ.
    momentum : float
        μ in [0, 1).
    nesterov : bool
        Nesterov's form of momentum.
    ns_coefficients : (float, float, float)
        a, b and c.
    eps : float
        ε, 0 or above: where the mean gradient's norm is below it, steps are smaller.  With 0, a
        matrix whose gradients have all been 0 becomes NaN.
    ns_steps : int
        Number of rounds of the iteration, below 100.
    adjust_lr_fn : {None, "original", "match_rms_adamw"}
        What r is; None is "original".
    maximize : bool
        Ascend: the rule is given -g; weight decay still shrinks x.
    nonfinite : {"raise", "skip", "ignore"}
        What to do about NaN or infinity in a gradient; see `Optimizer`.

    Examples
    --------
    The target's singular values are 3 and 1; both are learned at about the same pace.

    >>> from minigrad import Tensor
    >>> x = Tensor(np.zeros((2, 2)), requires_grad=True)
    >>> optimizer = Muon([x], lr=0.01, weight_decay=0.0)
    >>> for _ in range(80):
    ...     optimizer.zero_grad()
    ...     ((x - np.array([[3.0, 0.0], [0.0, 1.0]])) ** 2).sum().backward()
    ...     optimizer.step()
    >>> x.data.round(2)
    array([[0.59, 0.  ],
           [0.  , 0.66]])
    """

    hyperparameters = {
        "lr": check_nonnegative,
        "weight_decay": check_nonnegative,
        "momentum": check_fraction,
        "nesterov": check_flag,
        "ns_coefficients": functools.partial(check_numbers, count=3),
        "eps": check_nonnegative,
        "ns_steps": check_nonnegative_whole,
        "adjust_lr_fn": functools.partial(check_choice, choices=get_args(AdjustLR)),
        "maximize": check_flag,
    }
    lr: float
    weight_decay: float
    momentum: float
    nesterov: bool
    ns_coefficients: tuple[float, float, float]
    eps: float
    ns_steps: int
    adjust_lr_fn: AdjustLR
    maximize: bool

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: AdjustLR = None,
        *,
        maximize: bool = False,
        nonfinite: NonFinite = "raise",
    ) -> None:
        super().__init__(
            params, nonfinite,
            lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov,
            ns_coefficients=ns_coefficients, eps=eps, ns_steps=ns_steps, adjust_lr_fn=adjust_lr_fn,
            maximize=maximize,
        )  # fmt: skip

    @staticmethod
    def check_together(*, ns_steps: int, **_: Any) -> None:
        """More rounds than PyTorch accepts are a mistake, too."""
        if ns_steps >= 100:
            raise ValueError(f"ns_steps={ns_steps}: accepted is a whole number below 100, e.g. 5")

    @staticmethod
    def view(label: str, data: Any) -> npt.NDArray[Any]:
        """The parameter's array as it is, if it is a matrix that can be updated; else raises."""
        flat = flat_view(label, data)
        if data.ndim != 2:
            raise ValueError(
                f"{label} has shape {data.shape}: Muon is for matrices; give this parameter to an "
                "optimizer of its own, e.g. AdamW"
            )
        return flat.reshape(data.shape)

    @staticmethod
    def loop_for(
        *, nesterov: bool, ns_steps: int, adjust_lr_fn: AdjustLR, **_: Any
    ) -> Callable[..., None]:
        """`muon_step`, told what is no number of a step."""
        return functools.partial(
            muon_step, nesterov=nesterov, ns_steps=ns_steps, adjust_lr_fn=adjust_lr_fn
        )

    @staticmethod
    def initial_state(**_: Any) -> dict[str, float]:
        """V₀ = 0."""
        return {"v": 0.0}

    @staticmethod
    def coefficients(
        t: int, *, lr: float, weight_decay: float, momentum: float,
        ns_coefficients: tuple[float, float, float], eps: float, **_: Any,
    ) -> tuple[float, ...]:
        """η; 1-ηλ; μ, 1-μ; a, b, c; ε."""
        return lr, 1 - lr * weight_decay, momentum, 1 - momentum, *ns_coefficients, eps
