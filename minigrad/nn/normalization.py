"""Layers that give what passes through mean 0 and variance 1, then a learned mean and variance.

    z = (x - μ) / √(σ² + ε) · weight + bias

LayerNorm takes μ and σ² over the features of one example; BatchNorm over the batch, for each
feature or channel, and remembers them for evaluation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad import functional, primitives
from minigrad.functional.normalization import standardized
from minigrad.nn.hyperparameters import check_numbers, check_sizes, is_nonnegative
from minigrad.nn.module import Module
from minigrad.primitive import bare
from minigrad.recording import is_traced
from minigrad.tensor import Tensor

__all__ = ["BatchNorm1d", "BatchNorm2d", "LayerNorm"]


class LayerNorm(Module):
    """Mean 0 and variance 1 over the last axis, then a learned scale and shift.

    Parameters
    ----------
    features : int
        Length of the last axis.
    eps : float
        ε, added to the variance.
    dtype : dtype
        float64 or float32.

    Attributes
    ----------
    weight, bias : Tensor
        Shape (features,); ones and zeros at first.

    Raises
    ------
    TypeError, ValueError
        If `features` is not an integer of at least 1, or `eps` no number of at least 0.

    References
    ----------
    J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", arXiv:1607.06450.

    Examples
    --------
    >>> z = LayerNorm(3)([[1.0, 2.0, 6.0]])
    >>> bool(abs(z.data.mean()) < 1e-15), bool(abs(z.data.std() - 1) < 1e-5)
    (True, True)
    """

    def __init__(
        self, features: int, eps: float = 1e-5, *, dtype: npt.DTypeLike = np.float64
    ) -> None:
        check_sizes("LayerNorm", features=features)
        check_numbers("LayerNorm", "a finite number of at least 0", is_nonnegative, eps=eps)
        self.eps = eps
        self.weight = Tensor(np.ones(features, dtype), requires_grad=True)
        self.bias = Tensor(np.zeros(features, dtype), requires_grad=True)

    def forward(self, x: Any) -> Any:
        """Return the normalised x, for x of shape (..., features)."""
        return functional.layer_norm(x, self.weight, self.bias, eps=self.eps)

    def describe(self) -> str:
        """Return e.g. ``LayerNorm(128)``."""
        return f"LayerNorm({self.weight.size})"


class _BatchNorm(Module):
    """Mean 0 and variance 1 over all axes but the second; a subclass says how many those may be."""

    dimensions: tuple[int, ...]
    shapes: str

    def __init__(
        self,
        features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        *,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        layer = type(self).__name__
        check_sizes(layer, features=features)
        check_numbers(layer, "a finite number of at least 0", is_nonnegative, eps=eps)
        check_numbers(layer, "from 0 to 1", lambda m: 0 <= m <= 1, momentum=momentum)
        self.eps = eps
        self.momentum = momentum
        self.weight = Tensor(np.ones(features, dtype), requires_grad=True)
        self.bias = Tensor(np.zeros(features, dtype), requires_grad=True)
        self.running_mean = Tensor(np.zeros(features, dtype))
        self.running_var = Tensor(np.ones(features, dtype))

    def forward(self, x: Any) -> Any:
        """Return the normalised x; in training, also move the running statistics."""
        shape = np.shape(x)
        features = self.weight.size
        if len(shape) not in self.dimensions or shape[1] != features:
            raise ValueError(
                f"{self.describe()} of shape {shape}: it takes {self.shapes} with "
                f"{features} features"
            )
        n = math.prod(shape) // features
        # Feature i in row i, so that mean and variance are those of a row, as in LayerNorm.
        first_two_swapped = (1, 0, *range(2, len(shape)))
        x = primitives.transpose(x, axes=first_two_swapped)
        swapped_shape = x.shape
        x = primitives.reshape(x, shape=(features, n))
        if self.training:
            if n < 2:
                raise ValueError(
                    f"{self.describe()} of shape {shape}: in training it needs more than one "
                    "value per feature, or their variance is 0; give a larger batch, or call "
                    "eval() first"
                )
            z = standardized(x, eps=self.eps)
            self._observe(bare(x))
        else:
            mean, var = self.running_mean.data[:, None], self.running_var.data[:, None]
            z = (x - mean) / np.sqrt(var + self.eps)
        z = z * self.weight.reshape(features, 1) + self.bias.reshape(features, 1)
        return z.reshape(swapped_shape).transpose(first_two_swapped)

    def _observe(self, x: Any) -> None:
        """Move the running statistics towards those of a batch, with one feature in each row."""
        if is_traced(x):
            x.refuse("BatchNorm in training moves its running statistics; call eval() on it first")
        for running, new in (
            (self.running_mean, x.mean(axis=1)),
            (self.running_var, x.var(axis=1, ddof=1)),
        ):
            moved = running.data + self.momentum * (new - running.data)
            running.data = moved.astype(running.dtype, copy=False)

    def describe(self) -> str:
        """Return e.g. ``BatchNorm2d(64)``."""
        return f"{type(self).__name__}({self.weight.size})"


class BatchNorm1d(_BatchNorm):
    """Mean 0 and variance 1 for each feature over the batch, then a learned scale and shift.

    In training, μ and σ² are the batch's.  In evaluation they are running averages of those seen
    in training, so that an example's output does not depend on the others in its batch.

    Parameters
    ----------
    features : int
        Length of the second axis.
    eps : float
        ε, added to the variance.
    momentum : float
        m in the running average, (1 - m) · old + m · new.
    dtype : dtype
        float64 or float32.

    Attributes
    ----------
    weight, bias : Tensor
        Shape (features,); ones and zeros at first.
    running_mean, running_var : Tensor
        Buffers of shape (features,), zeros and ones at first.

    Raises
    ------
    TypeError, ValueError
        If `features` is not an integer of at least 1, `eps` below 0 or `momentum` not between 0
        and 1.  When called, if the shape is another, or if in training there is only one value
        per feature.

    Notes
    -----
    As in PyTorch, the variance that normalises is the batch's (divided by n), and the one that
    is remembered estimates the population's (divided by n - 1).

    References
    ----------
    S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network training by reducing
    internal covariate shift", ICML 2015, algorithms 1 and 2.

    Examples
    --------
    >>> norm = BatchNorm1d(1)
    >>> norm(np.array([[1.0], [3.0]])).data.round(4)
    array([[-1.],
           [ 1.]])
    >>> norm.running_mean.data, norm.running_var.data
    (array([0.2]), array([1.1]))
    """

    dimensions = (2, 3)
    shapes = "(batch, features) or (batch, features, length)"


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images (batch, channels, rows, columns), one μ and σ² for each channel.

    Examples
    --------
    >>> norm = BatchNorm2d(3)
    >>> norm(np.random.default_rng(0).normal(5.0, 2.0, (10, 3, 4, 4))).shape
    (10, 3, 4, 4)
    >>> norm.running_mean.data.round(1)
    array([0.5, 0.5, 0.5])
    """

    dimensions = (4,)
    shapes = "(batch, features, rows, columns)"
