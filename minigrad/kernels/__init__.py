"""Compiled loops for the functions that large models spend their time in.

Each loop is the equation of the function that calls it in `functional` (`keep`, `where_positive`:
in `linear_maps`), one row or element after the other instead of one NumPy call after the other: the
numbers stay in a register between two operations.  They use one core and let other threads run
(`parallel` gives each thread a part of the batch; the matrix product of `products` runs in such
threads only).  Imported on first use (`compiled`), because Numba takes its time.
"""

from minigrad.kernels.arrays import (
    add_at,
    add_rows_at,
    cross_entropy,
    cross_entropy_vjp,
    gelu,
    gelu_tanh,
    gelu_tanh_vjp,
    gelu_vjp,
    keep,
    layer_norm,
    layer_norm_vjp,
    layer_norm_weight_vjp,
    softmax,
    softmax_vjp,
    where_positive,
)
from minigrad.kernels.windows import (
    columns_to_image,
    image_to_columns,
    index_of_maximum,
    maximum_2x2,
    put_at_maximum_2x2,
)

__all__ = [
    "add_at",
    "add_rows_at",
    "columns_to_image",
    "cross_entropy",
    "cross_entropy_vjp",
    "gelu",
    "gelu_tanh",
    "gelu_tanh_vjp",
    "gelu_vjp",
    "image_to_columns",
    "index_of_maximum",
    "keep",
    "layer_norm",
    "layer_norm_vjp",
    "layer_norm_weight_vjp",
    "maximum_2x2",
    "put_at_maximum_2x2",
    "softmax",
    "softmax_vjp",
    "where_positive",
]
