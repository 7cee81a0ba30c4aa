"""A NumPy array that remembers how it was made.

Every operation on a `Tensor` computes its result with NumPy at once and notes on it how: the
operation, its inputs and its keyword arguments.  Those notes are a graph, from the result back to
the leaves.  `backward` walks it once, output first, and applies the chain rule:

    x̄  =  Σ over the consumers z of x:   (∂z/∂x)ᵀ z̄           where  x̄ = ∂loss/∂x

This file holds the node.  The summands, vector-Jacobian products, stand in `primitives.py`, one
row per operation; the walk stands in `backward.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from sys import getrefcount
from typing import TYPE_CHECKING, Any, final

import numpy as np
import numpy.typing as npt

from minigrad.methods import ArrayMethods
from minigrad.recording import is_traced

if TYPE_CHECKING:
    from minigrad.primitive import Primitive

__all__ = ["Tensor"]

serial_numbers = itertools.count()


class _LastWrite:
    """The count at the last write in place to any tensor: younger nodes need no check."""

    serial = -1


last_write = _LastWrite()


def _count_of_one() -> int:
    g = np.empty(0)
    return getrefcount(g)


# What `sys.getrefcount` says of an array that one variable alone refers to; a dict, a view, a saved
# value or a caller's variable would count as another.  (Not more than 2, as a debugger that looks
# at this module's variables now would add to it.)
ONE_REFERENCE = min(_count_of_one(), 2)


@final
class Tensor(ArrayMethods):
    """An array together with the operation that made it.

    Parameters
    ----------
    data : array_like
        The values.  They are shared with the caller, except where `requires_grad` is true: an
        optimizer will write into a parameter, so a parameter gets a C-ordered copy of its own.
    requires_grad : bool
        Whether `backward` should leave a gradient here.

    Attributes
    ----------
    data : ndarray
        The values; those of an operation's result are read-only.
    grad : ndarray, Tensor or None
        ∂loss/∂self, of the shape and dtype of `data`, summed over all calls of `backward` since
        it was last set to None.  Only leaves get one.  A Tensor after `create_graph=True`.
    requires_grad : bool
        True for parameters and for everything computed from them.
    op : Primitive or None
        The operation that made this tensor; None for a leaf.
    parents : tuple
        The operation's inputs as they were given: Tensors, arrays, Python numbers.
    values : sequence
        The same inputs as the bare arrays and numbers that the operation computed with; what
        the VJPs need.
    kwargs : dict
        The operation's keyword arguments, such as ``axis``.
    serial : int
        Counts tensors in the order in which they were made; a node has a higher number than
        its inputs.
    written : int
        What the count was when the values were last written in place, as by ``t.data -= ...`` or
        an optimizer's step; `serial` if they were not.

    Notes
    -----
    ``t == u`` asks whether two tensors are one object, so that they can be keys of a dict; ``<``,
    ``>``, ``<=``, ``>=`` and ``np.equal`` compare values and give plain boolean arrays.

    A tensor is never changed in place, because the graph may still need its value: `backward`
    computes with the arrays that the forward pass used, and there are no copies of them.  So

    - the values of a result cannot be written to;
    - ``w.data -= step`` and an optimizer's step change a parameter in place, between two graphs:
      `backward` through a graph that is older than the change raises;
    - what goes past the tensor, ``w.data[0] = 1``, a change by way of a tensor that shares the
      values, or of an array that was given to an operation, is noticed under `detect_anomaly` only.

    Raises
    ------
    TypeError
        If `data` is already a Tensor or is not numeric, or if `requires_grad` is asked of
        anything but floating-point numbers.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> loss = (x * x).sum()
    >>> loss.backward()
    >>> x.grad
    array([2., 4., 6.])
    """

    __slots__ = (
        "__weakref__", "_data", "grad", "kwargs", "op", "parents", "requires_grad", "serial",
        "values", "written",
    )  # fmt: skip

    _data: npt.NDArray[Any]
    grad: Any  # ndarray | Tensor | None; Any spares every reader of a gradient a cast
    requires_grad: bool
    op: Primitive | None
    parents: tuple[Any, ...]
    values: Sequence[Any]
    kwargs: dict[str, Any]
    serial: int
    written: int

    def __init__(self, data: npt.ArrayLike, requires_grad: bool = False) -> None:
        if isinstance(data, Tensor):
            raise TypeError(
                "Tensor() was given a Tensor; use it as it is, t.detach() for a tensor that "
                "shares its values but not its history, or Tensor(t.data) for a new leaf"
            )
        array: Any = data
        if requires_grad:
            array = np.array(data, order="C")
        elif not is_traced(data):
            array = np.asarray(data)
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"Tensor() was given values of dtype {array.dtype}; "
                "it holds real numbers (floating point, integer or boolean)"
            )
        if requires_grad and array.dtype.kind != "f":
            raise TypeError(
                f"requires_grad=True needs floating-point values, got dtype {array.dtype}: a "
                "derivative moves a value by less than 1; write 3.0 for 3, or use "
                ".astype(float)"
            )
        self._data = array
        self.grad = None
        self.requires_grad = requires_grad
        self.op = None
        self.parents = ()
        self.values = ()
        self.kwargs = {}
        self.serial = self.written = next(serial_numbers)

    # What a tensor is

    @property
    def data(self) -> npt.NDArray[Any]:
        """The values: a leaf's own array, or a read-only view of a result's.

        Raises
        ------
        TypeError
            When set on the result of an operation, or to values that are not numbers (for a
            tensor with `requires_grad`: not floating-point numbers).

        Examples
        --------
        >>> w = Tensor([3.0, 4.0], requires_grad=True)
        >>> w.data -= 0.5  # in place; a graph that used the old values can no longer go backward
        >>> w
        Tensor([2.5, 3.5], requires_grad=True)
        """
        if self.op is None:
            return self._data
        view = self._data.view()
        view.flags.writeable = False
        return view

    @data.setter
    def data(self, values: npt.ArrayLike) -> None:
        if self.op is not None:
            raise TypeError(
                f"the values of a tensor that {self.op.name} computed cannot be set: its graph may "
                "still need them; Tensor(values) is a new leaf"
            )
        if values is self._data:
            self.written = last_write.serial = next(serial_numbers)
            return
        array = np.asarray(values)
        if array.dtype.kind not in ("f" if self.requires_grad else "fiub"):
            raise TypeError(
                f"data was set to values of dtype {array.dtype}; this tensor holds "
                + ("floating-point numbers, for its gradient" if self.requires_grad else "numbers")
            )
        self._data = array

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of an element."""
        return self._data.dtype

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self.op is None

    def __repr__(self) -> str:
        values = np.array2string(self._data, separator=", ", prefix="Tensor(")
        if self.op is not None:
            return f"Tensor({values}, op={self.op.name})"
        return f"Tensor({values}" + (", requires_grad=True)" if self.requires_grad else ")")

    def __reduce__(self) -> Any:
        """Copy and pickle leaves, with values of their own; a graph stays where it was made."""
        if self.op is not None:
            raise TypeError(
                "a tensor in a graph cannot be copied or pickled without its whole graph; "
                "copy t.detach(), or the parameters it was computed from"
            )
        return (Tensor, (self._data.copy(), self.requires_grad))

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def item(self) -> float:
        """Return the only element as a Python number.

        Raises
        ------
        ValueError
            If there is not exactly one element.

        Examples
        --------
        >>> Tensor([[2.5]]).item()
        2.5
        """
        if self._data.size != 1:
            raise ValueError(
                f"item() needs exactly one element, this tensor has shape {self.shape}; "
                "reduce it first, e.g. with .sum() or .mean()"
            )
        return self._data.item()

    def __float__(self) -> float:
        return float(self.item())

    def __bool__(self) -> bool:
        return bool(self._data)

    def __contains__(self, value: Any) -> bool:
        return value in self._data

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if self.requires_grad:
            raise TypeError(
                "NumPy asked for the bare array of a tensor in a graph, which would lose its "
                "gradient; use t.data (or t.detach()) where that is what you mean"
            )
        return np.array(self._data, dtype=dtype, copy=copy)

    def detach(self) -> Tensor:
        """Return a leaf that has these values, read-only, and takes no part in the graph.

        Examples
        --------
        >>> w = Tensor(3.0, requires_grad=True)
        >>> (w * w.detach()).backward()  # the second factor counts as a constant
        >>> w.grad
        array(3.)
        """
        view = self._data.view()
        view.flags.writeable = False
        return Tensor(view)

    # The chain rule

    def backward(self, gradient: Any = None, *, create_graph: bool = False) -> None:
        """Add ∂self/∂leaf to `grad` of every leaf with `requires_grad` that leads here.

        Parameters
        ----------
        gradient : array_like or Tensor, optional
            ∂loss/∂self, of this tensor's shape: where the chain rule starts.  A scalar starts
            with 1.
        create_graph : bool
            Record the backward pass too: gradients are Tensors with a graph of their own, and
            can be differentiated again.

        Raises
        ------
        RuntimeError
            If no recorded operation leads here, or the values of a tensor on the way were changed
            since they were used.
        TypeError
            If a value on the way is no real floating-point number.
        ValueError
            If this tensor is not a scalar and `gradient` is missing, or is of another shape.

        Examples
        --------
        >>> x = Tensor(3.0, requires_grad=True)
        >>> (x * x * x).backward(create_graph=True)
        >>> x.grad.item()  # 3x²
        27.0
        >>> first, x.grad = x.grad, None
        >>> first.backward()
        >>> x.grad  # 6x
        array(18.)
        """
        found = backpropagate(self, gradient, create_graph=create_graph)
        while found:
            leaf, g = found.popitem()
            if leaf.grad is not None:
                g = leaf.grad + g
            # A copy, unless the array is nobody else's: g may be the very array that another leaf
            # received (z = x + y sends one array to both), a transposed view, or a NumPy scalar.
            if isinstance(g, Tensor):
                leaf.grad = +g
            elif type(g) is np.ndarray and g.flags.owndata and getrefcount(g) == ONE_REFERENCE:
                leaf.grad = g if g.flags.c_contiguous else np.array(g, order="C")
            else:
                leaf.grad = np.copy(g, order="C")

    # Operators: each is a row of the table.  All of them also run through np.add(t, u) etc.

    def __add__(self, other: Any) -> Tensor:
        return primitives.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return primitives.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return primitives.subtract(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return primitives.subtract(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return primitives.multiply(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return primitives.multiply(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return primitives.divide(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return primitives.divide(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return primitives.power(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return primitives.power(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return primitives.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return primitives.matmul(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return primitives.remainder(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return primitives.remainder(other, self)

    def __floordiv__(self, other: Any) -> Tensor:
        return primitives.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return primitives.floor_divide(other, self)

    def __abs__(self) -> Tensor:
        return primitives.absolute(self)

    def __round__(self, decimals: int = 0) -> Tensor:
        return primitives.round(self, decimals=decimals)

    def __neg__(self) -> Tensor:
        return primitives.negative(self)

    def __pos__(self) -> Tensor:
        return primitives.positive(self)

    def __getitem__(self, index: Any) -> Tensor:
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, Tensor) for part in parts):
            bare = tuple(part._data if isinstance(part, Tensor) else part for part in parts)
            index = bare if isinstance(index, tuple) else bare[0]
        return primitives.getitem(self, index=index)

    def __lt__(self, other: Any) -> npt.NDArray[np.bool_]:
        return self._data < (other._data if isinstance(other, Tensor) else other)

    def __le__(self, other: Any) -> npt.NDArray[np.bool_]:
        return self._data <= (other._data if isinstance(other, Tensor) else other)

    def __gt__(self, other: Any) -> npt.NDArray[np.bool_]:
        return self._data > (other._data if isinstance(other, Tensor) else other)

    def __ge__(self, other: Any) -> npt.NDArray[np.bool_]:
        return self._data >= (other._data if isinstance(other, Tensor) else other)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "a Tensor cannot be assigned to: the graph may still need its old value; build a "
            "new one (e.g. with np.concatenate), or write into t.data between two steps"
        )

    def _refuse_in_place(self, other: Any) -> Tensor:
        raise TypeError(
            "a Tensor cannot be changed in place: the graph may still need its old value; write "
            "t = t + u for a new tensor, or t.data += u to update a parameter between two steps"
        )

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ipow__ = __imatmul__ = _refuse_in_place
    __imod__ = __ifloordiv__ = _refuse_in_place

    # The rows that VJPs and layers call most, as methods; NumPy's other methods are in `methods`

    @property
    def T(self) -> Tensor:
        """All axes in reverse order."""
        return primitives.transpose(self)

    @property
    def mT(self) -> Tensor:
        """The transposed matrix, or stack of matrices: the last two axes swapped."""
        n = self.ndim
        return primitives.transpose(self, axes=(*range(n - 2), n - 1, n - 2))

    def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """Sum over `axis` (all of them by default); see `numpy.sum`."""
        if axis is None and not keepdims:  # without options, a third faster
            return primitives.sum(self)
        return primitives.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """Arithmetic mean over `axis` (all of them by default); see `numpy.mean`."""
        return primitives.mean(self, axis=axis, keepdims=keepdims)

    def reshape(self, *shape: Any) -> Tensor:
        """Same elements, another shape: ``t.reshape(2, 3)`` or ``t.reshape((2, 3))``."""
        return primitives.reshape(self, shape=shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Tensor:
        """Axes in another order: ``t.transpose(1, 0, 2)``; reversed without arguments."""
        single = len(axes) == 1 and not isinstance(axes[0], int | np.integer)
        order = axes[0] if single else axes or None
        return primitives.transpose(self, axes=order)

    def astype(self, dtype: npt.DTypeLike) -> Tensor:
        """Same values in another floating-point type; the gradient is cast back."""
        if self.requires_grad and np.dtype(dtype).kind != "f":
            raise TypeError(
                f"astype({np.dtype(dtype)}) of a tensor with requires_grad: whole numbers have no "
                "gradient; use t.detach() or t.data where that is what you mean"
            )
        return primitives.astype(self, dtype=dtype)

    # NumPy's protocols: np.exp(t), ndarray * t, np.concatenate([t, u])

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs and (row := table.get(ufunc)):
            return row(*inputs)
        return dispatch_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        return dispatch_function(function, args, kwargs)


# Last, because the walk and the table's rows are made of what stands above.
from minigrad import primitives  # noqa: E402
from minigrad.backward import backpropagate  # noqa: E402
from minigrad.primitive import dispatch_function, dispatch_ufunc, table  # noqa: E402
