"""Multi-head self-attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad import functional, primitives
from minigrad.functional.attention import multi_head_attention
from minigrad.nn.hyperparameters import check_sizes
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module

__all__ = ["MultiHeadAttention"]


class MultiHeadAttention(Module):
    """Every position of a sequence looks at the others, in several ways at once.

    From x, of shape (..., positions, d_model), the rows of

        Q = x W_Q + b_Q,        K = x W_K + b_K,        V = x W_V + b_V

    are cut into `num_heads` pieces of length d = d_model / num_heads.  Head h has the weights
    A_h = softmax(Q_h K_hᵀ / √d), and the heads' results A_h V_h, side by side, go through one more
    affine layer.

    Parameters
    ----------
    d_model : int
        Length of the last axis of input and output.
    num_heads : int
        A divisor of d_model.
    causal : bool
        Whether a position sees only itself and those before it.
    bias : bool
        Whether the four layers have a bias.
    rng : numpy.random.Generator
        Draws the initial weights of the four `Linear` layers.
    dtype : dtype
        float64 or float32.

    Attributes
    ----------
    query, key, value, output : Linear
        The four affine layers, each from d_model to d_model.

    Raises
    ------
    TypeError, ValueError
        If a size is not an integer of at least 1, or d_model not a multiple of num_heads.  When
        called, if x is not (..., positions, d_model).

    References
    ----------
    A. Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.2.

    Examples
    --------
    >>> attention = MultiHeadAttention(128, 2, causal=True, rng=np.random.default_rng(0))
    >>> attention(np.ones((10, 64, 128))).shape
    (10, 64, 128)
    >>> attention
    MultiHeadAttention(128, 2, causal=True)   66,048 parameters
    ├─ query: Linear(128, 128)                16,512
    ├─ key: Linear(128, 128)                  16,512
    ├─ value: Linear(128, 128)                16,512
    └─ output: Linear(128, 128)               16,512
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        causal: bool = False,
        bias: bool = True,
        rng: np.random.Generator,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        check_sizes("MultiHeadAttention", d_model=d_model, num_heads=num_heads)
        if d_model % num_heads:
            raise ValueError(
                f"MultiHeadAttention: d_model={d_model} cannot be cut into num_heads={num_heads} "
                "equal pieces"
            )
        self.num_heads = num_heads
        self.causal = causal
        self.query = Linear(d_model, d_model, bias=bias, rng=rng, dtype=dtype)
        self.key = Linear(d_model, d_model, bias=bias, rng=rng, dtype=dtype)
        self.value = Linear(d_model, d_model, bias=bias, rng=rng, dtype=dtype)
        self.output = Linear(d_model, d_model, bias=bias, rng=rng, dtype=dtype)

    def forward(self, x: Any) -> Any:
        """Return an array of the shape of x, (..., positions, d_model)."""
        shape = np.shape(x)
        d_model = self.query.weight.shape[0]
        if len(shape) < 2 or shape[-1] != d_model:
            raise ValueError(
                f"{self.describe()} of shape {shape}: it takes (..., positions, {d_model})"
            )
        # One product of x with all three matrices takes less time than three.
        layers = self.query, self.key, self.value
        weight = np.concatenate([layer.weight for layer in layers], axis=1)
        if self.query.bias is None:
            projections = primitives.matmul(x, weight)
        else:
            bias = np.concatenate([layer.bias for layer in layers])
            projections = functional.affine(x, weight, bias)
        return self.output(
            multi_head_attention(projections, num_heads=self.num_heads, causal=self.causal)
        )

    def describe(self) -> str:
        """Return e.g. ``MultiHeadAttention(128, 2, causal=True)``."""
        causal = ", causal=True" if self.causal else ""
        return f"MultiHeadAttention({self.query.weight.shape[0]}, {self.num_heads}{causal})"
