"""An array's stand-in that writes down what is done with it.

A `Symbol` has a shape and a dtype and answers to NumPy's functions, operators and methods as an
array does; but what it notes is the call, a `Node`.  The engine's forward functions and VJPs are
NumPy code, and run on Symbols as they run on arrays: so the nodes are exactly the calls that a
training step makes, in order.

A Symbol has no values to show: they belong to one batch, and what is written down is to hold for
all.  Code that asks for one (``if loss > 1:``, ``float(loss)``) is told which line asked.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.mixins import NDArrayOperatorsMixin

from minigrad.tensor import Tensor
from minigrad.tracing.frames import asked_at, asking
from minigrad.tracing.node import EAGER, Check, Node, Unsupported, ValueNeeded
from minigrad.tracing.record import Recorder

__all__ = ["Symbol", "run", "value_of"]


class _Flags:
    """As much of an array's flags as code writes to."""

    writeable = c_contiguous = owndata = False


class Symbol(NDArrayOperatorsMixin):
    """Stands in for an array while a step is traced; see above.

    Parameters
    ----------
    node : Node
        What computes it.
    recorder : Recorder
        Where calls are noted.
    """

    def __init__(self, node: Node, recorder: Recorder) -> None:
        self.node = node
        self._recorder = recorder
        self._owned = node.kind == "operation"  # whether nobody else has the array
        self.flags = _Flags()

    base = None
    stands_for_array = True  # so a Tensor holds it as it is

    # What an array is

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self.node.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of an element."""
        return self.node.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.node.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.node.value.size

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self.node.dtype.itemsize

    def __len__(self) -> int:
        return len(self.node.value)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<symbol {self.node!r}>"

    # What only values can answer

    def _refuse(self, *_: Any, **__: Any) -> Any:
        if function := asking():
            raise Unsupported(
                f"{function} works on values, not with NumPy's functions alone, so the step cannot "
                f"be traced past {asked_at()}; {EAGER}"
            )
        raise ValueNeeded(
            f"a value of an array was asked for at {asked_at()}; a trace knows shapes and types, "
            "and holds for every batch. Where the value chooses between two results, write "
            f"np.where(condition, x, y); otherwise {EAGER}"
        )

    __bool__ = __int__ = __float__ = __complex__ = __index__ = __array__ = _refuse
    __contains__ = __format__ = item = tolist = tobytes = __str__ = _refuse

    def __setitem__(self, index: Any, value: Any) -> None:
        raise Unsupported(
            f"an array is changed in place at {asked_at()}; in a traced step, make a new one, "
            f"e.g. with np.where or np.concatenate, or {EAGER}"
        )

    @property
    def data(self) -> Any:
        """An array's memory: there is none."""
        return self._refuse()

    # NumPy's functions

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(x, Tensor) for x in inputs):
            return NotImplemented
        out = options.pop("out", None)
        if method == "reduce" and ufunc in forms.REDUCTIONS:
            result = forms.reduction(self._recorder, forms.REDUCTIONS[ufunc], *inputs, **options)
        elif method == "__call__" and not options.keys() - {"dtype"} and ufunc.nout == 1:
            if options.get("dtype") is not None:
                inputs = tuple(forms.cast(self._recorder, x, options["dtype"]) for x in inputs)
            result = self._recorder.operation(run(ufunc, *inputs), ufunc, inputs, {})
        else:
            called = ufunc.__name__ + ("" if method == "__call__" else f".{method}")
            raise Unsupported(
                f"np.{called}{' with ' if options else ''}{', '.join(options)} at {asked_at()} "
                f"cannot be traced; {EAGER}"
            )
        return result if out is None else out[0]._become(result)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        if any(issubclass(kind, Tensor) for kind in types):
            return NotImplemented
        if function in forms.STATIC:
            return function(*map(value_of, args), **{key: value_of(x) for key, x in kwargs.items()})
        if function in forms.VALUE_DEPENDENT:
            return self._refuse()
        rule = forms.CANONICAL.get(function)
        if rule is not None:
            return rule(self._recorder, *args, **kwargs)
        value = run(function, *args, **kwargs)
        return self._recorder.operation(value, function, tuple(args), kwargs)

    def __getattr__(self, name: str) -> Any:
        function = None if name.startswith("_") else getattr(np, name, None)
        if not callable(function) or not hasattr(np.ndarray, name):
            raise AttributeError(f"a traced array has no attribute {name!r}")

        def method(*args: Any, **kwargs: Any) -> Any:
            return function(self, *args, **kwargs)

        return method

    def _become(self, other: Symbol) -> Symbol:
        """Take the other's place: what a change in place does to an array."""
        if not self._owned:
            raise Unsupported(
                f"an array that others see is changed in place at {asked_at()}; in a traced step, "
                f"make a new one, or {EAGER}"
            )
        self.node = forms.cast(self._recorder, other, self.dtype).node
        return self

    def __getitem__(self, index: Any) -> Symbol:
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, Symbol) and part.dtype.kind == "b" for part in parts):
            self._refuse()  # how many elements are true is a matter of values
        value = self.node.value[tuple(map(value_of, parts))]
        result = self._recorder.operation(value, operator.getitem, (self,), {"index": parts})
        self._owned = result._owned = False
        return result

    # Methods that are called in another way than the function

    @property
    def T(self) -> Any:
        """All axes in reverse order."""
        return np.transpose(self)

    @property
    def mT(self) -> Any:
        """The last two axes swapped."""
        return np.swapaxes(self, -1, -2)

    def reshape(self, *shape: Any) -> Any:
        """Same elements, another shape."""
        return np.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Any:
        """Axes in another order."""
        single = len(axes) == 1 and not isinstance(axes[0], int | np.integer)
        return np.transpose(self, axes[0] if single else axes or None)

    def astype(self, dtype: npt.DTypeLike, copy: bool = True) -> Symbol:
        """Same values in another type."""
        return forms.cast(self._recorder, self, dtype)

    def copy(self, order: str = "C") -> Symbol:
        """Same values: a Symbol of its own, that may be changed in place."""
        result = Symbol(self.node, self._recorder)
        result._owned = True
        return result

    def view(self) -> Symbol:
        """Another Symbol for the same array."""
        result = Symbol(self.node, self._recorder)
        self._owned = result._owned = False
        return result

    def record(self, function: Callable[..., Any], **options: Any) -> Symbol:
        """Note the call of a function that fills an array, which NumPy would not tell of."""
        value = run(function, self, **options)
        return self._recorder.operation(value, function, (self,), options)

    def refuse(self, reason: str) -> None:
        """Raise: what is about to happen cannot be written down."""
        raise Unsupported(f"{reason}, or {EAGER} (at {asked_at()})")

    def require_range(self, count: int, complaint: str) -> None:
        """Note that all values, integers, have to be at least 0 and below `count`."""
        self._recorder.checks.append(Check(self.node, count, complaint))


def value_of(x: Any) -> Any:
    """Return x with arrays in the place of Symbols."""
    if isinstance(x, Symbol):
        return x.node.value
    if isinstance(x, list | tuple):
        return type(x)(map(value_of, x))
    return x


def run(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function on the values with which the step is traced: for shape and dtype."""
    with np.errstate(all="ignore"):
        return function(*map(value_of, args), **{key: value_of(x) for key, x in kwargs.items()})


from minigrad.tracing import forms  # noqa: E402  last, as it is made of what stands above
