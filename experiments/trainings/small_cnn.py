"""A small convolutional network for images in ten classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad import nn
from minigrad.functional import cross_entropy

__all__ = ["SMALLEST", "SmallCNN"]

SMALLEST = 4  # pixels a side: two poolings leave one


class SmallCNN(nn.Module):
    """Two convolutions, each with a pooling by 2, then a hidden layer: LeNet's plan with ReLU.

        conv 3x3, 16 → pool → ReLU → conv 3x3, 32 → pool → ReLU → linear, 64 → ReLU → linear, 10

    Parameters
    ----------
    size : int
        Height and width of the images, which have one channel; at least 4.  After the two poolings
        they are ``size // 4``.
    rng : numpy.random.Generator
        Draws the weights.
    dtype : dtype
        float32 or float64.

    Raises
    ------
    ValueError
        If `size` is smaller.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner, Gradient-Based Learning Applied to Document Recognition,
    1998.

    Examples
    --------
    >>> model = SmallCNN(16, rng=np.random.default_rng(0))
    >>> sum(p.size for p in model.parameters())
    38282
    >>> model(np.zeros((5, 1, 16, 16), np.float32)).shape
    (5, 10)
    """

    def __init__(
        self, size: int, *, rng: np.random.Generator, dtype: npt.DTypeLike = np.float32
    ) -> None:
        if size < SMALLEST:
            raise ValueError(
                f"size={size}: two poolings by 2 leave nothing of such images; accepted are sizes "
                f"from {SMALLEST}"
            )
        self.size = size
        options: dict[str, Any] = {"rng": rng, "dtype": dtype}
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, **options), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, **options), nn.MaxPool2d(2), nn.ReLU(),
            nn.Flatten(), nn.Linear(32 * (size // 4) ** 2, 64, **options), nn.ReLU(),
            nn.Linear(64, 10, **options),
        )  # fmt: skip

    def forward(self, images: Any) -> Any:
        """Return the logits of the classes.

        Parameters
        ----------
        images : array
            Shape (images, 1, size, size).

        Returns
        -------
        Tensor
            Shape (images, 10).

        Raises
        ------
        ValueError
            If the images have another shape.
        """
        if len(shape := np.shape(images)) != 4 or shape[1:] != (1, self.size, self.size):
            raise ValueError(
                f"images of shape {shape}: this network takes (n, 1, {self.size}, {self.size})"
            )
        return self.layers(images)

    def loss(self, images: Any, labels: Any) -> Any:
        """Return the mean cross-entropy in nats, a scalar; `labels` has shape (images,)."""
        return cross_entropy(self(images), labels)
