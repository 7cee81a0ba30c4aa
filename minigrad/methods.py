"""NumPy's functions as methods of a Tensor, where an ndarray has them too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy
import numpy.typing as npt

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

__all__ = ["ArrayMethods"]

np: Any = numpy  # its stubs promise arrays, but of a Tensor its functions make a Tensor

Axes = int | tuple[int, ...] | None


class ArrayMethods:
    """The base of `Tensor`: ``t.max(axis=0)`` is ``np.max(t, axis=0)``, and so on.

    (`ndarray.sort` is not here, since it changes the array in place: use ``np.sort(t)``.)

    Examples
    --------
    >>> from minigrad import Tensor
    >>> Tensor([[1.0, 4.0], [3.0, 2.0]]).max(axis=0)
    Tensor([3., 4.])
    """

    __slots__ = ()

    # self is Any, because only a Tensor has what NumPy needs to find the table.

    def max(self: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """Maximum; elements that tie share the gradient equally."""
        return np.max(self, axis=axis, keepdims=keepdims)

    def min(self: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """Minimum; elements that tie share the gradient equally."""
        return np.min(self, axis=axis, keepdims=keepdims)

    def prod(self: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """Product; see `numpy.prod`."""
        return np.prod(self, axis=axis, keepdims=keepdims)

    def var(self: Any, axis: Axes = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
        """Variance, Σ (x - mean)² / (n - ddof); see `numpy.var`."""
        return np.var(self, axis=axis, ddof=ddof, keepdims=keepdims)

    def std(self: Any, axis: Axes = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
        """Standard deviation, the root of the variance; see `numpy.std`."""
        return np.std(self, axis=axis, ddof=ddof, keepdims=keepdims)

    def cumsum(self: Any, axis: int | None = None) -> Tensor:
        """Sums of the first 1, 2, 3, ... elements; see `numpy.cumsum`."""
        return np.cumsum(self, axis=axis)

    def cumprod(self: Any, axis: int | None = None) -> Tensor:
        """Products of the first 1, 2, 3, ... elements; see `numpy.cumprod`."""
        return np.cumprod(self, axis=axis)

    def ravel(self: Any) -> Tensor:
        """All elements along one axis."""
        return np.ravel(self)

    def flatten(self: Any) -> Tensor:
        """All elements along one axis."""
        return np.ravel(self)

    def swapaxes(self: Any, axis1: int, axis2: int) -> Tensor:
        """Two axes exchanged."""
        return np.swapaxes(self, axis1, axis2)

    def squeeze(self: Any, axis: Axes = None) -> Tensor:
        """Without axes of length 1: all of them, or those named."""
        return np.squeeze(self, axis=axis)

    def diagonal(self: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """The diagonal; see `numpy.diagonal`."""
        return np.diagonal(self, offset, axis1, axis2)

    def trace(self: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """The sum of the diagonal; see `numpy.trace`."""
        return np.trace(self, offset, axis1, axis2)

    def take(self: Any, indices: Any, axis: int | None = None) -> Tensor:
        """Elements, or slices along an axis, by number; see `numpy.take`."""
        return np.take(self, indices, axis=axis)

    def repeat(self: Any, repeats: Any, axis: int | None = None) -> Tensor:
        """Each element several times in a row; see `numpy.repeat`."""
        return np.repeat(self, repeats, axis=axis)

    def dot(self: Any, b: Any) -> Tensor:
        """Product of vectors, matrices or numbers; see `numpy.dot`."""
        return np.dot(self, b)

    def clip(self: Any, min: Any = None, max: Any = None) -> Tensor:
        """Raised to `min`, then lowered to `max`; see `numpy.clip`."""
        return np.clip(self, min, max)

    def round(self: Any, decimals: int = 0) -> Tensor:
        """To the nearest number with so many decimals; the derivative is 0."""
        return np.round(self, decimals=decimals)

    def copy(self: Any) -> Tensor:
        """A new node with the same values."""
        return np.copy(self)

    # What has no derivative is plain.

    def argmax(self: Any, axis: int | None = None, keepdims: bool = False) -> Any:
        """Where the maximum is: a plain integer or array of them."""
        return np.argmax(self, axis=axis, keepdims=keepdims)

    def argmin(self: Any, axis: int | None = None, keepdims: bool = False) -> Any:
        """Where the minimum is: a plain integer or array of them."""
        return np.argmin(self, axis=axis, keepdims=keepdims)

    def argsort(self: Any, axis: int | None = -1) -> npt.NDArray[numpy.intp]:
        """The order that sorts: a plain array of integers."""
        return np.argsort(self, axis=axis)

    def all(self: Any, axis: Axes = None, keepdims: bool = False) -> Any:
        """Whether no element is 0: plain, as comparisons are."""
        return np.all(self, axis=axis, keepdims=keepdims)

    def any(self: Any, axis: Axes = None, keepdims: bool = False) -> Any:
        """Whether an element is not 0: plain, as comparisons are."""
        return np.any(self, axis=axis, keepdims=keepdims)
