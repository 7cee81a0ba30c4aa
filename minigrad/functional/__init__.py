"""Functions made of primitives, and those that are primitives of their own for speed.

One subject per file.  What is slow or unstable as a composition is a row, with a VJP that is a row
again: on arrays each runs as one pass, and derivatives of any order follow from the formulas.

Activations that are rows of the table, such as `relu`, stand here too, beside `gelu` and `softmax`.
"""

from minigrad.functional.attention import scaled_dot_product_attention
from minigrad.functional.convolution import conv2d
from minigrad.functional.cross_entropy import binary_cross_entropy_with_logits, cross_entropy
from minigrad.functional.dropout import dropout
from minigrad.functional.gelu import gelu
from minigrad.functional.linear import affine, embedding
from minigrad.functional.losses import huber_loss, mse_loss, squared_loss
from minigrad.functional.normalization import layer_norm
from minigrad.functional.pooling import avg_pool2d, max_pool2d
from minigrad.functional.softmax import log_softmax, softmax
from minigrad.primitives import (
    elu,
    erf,
    leaky_relu,
    logsumexp,
    relu,
    sigmoid,
    silu,
    softplus,
)

__all__ = [
    "affine",
    "avg_pool2d",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "erf",
    "gelu",
    "huber_loss",
    "layer_norm",
    "leaky_relu",
    "log_softmax",
    "logsumexp",
    "max_pool2d",
    "mse_loss",
    "relu",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "squared_loss",
]
