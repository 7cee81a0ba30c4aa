"""An array's stand-in that writes down what is done with it.

A `Symbol` has a shape and a dtype and answers to NumPy's functions, operators and methods as an
array does; but what it notes is the call, a `Node`.  The engine's forward functions and VJPs are
NumPy code, and run on Symbols as they run on arrays: so the nodes are the calls that a training
step makes, in order, each in the form that `forms` gives it.

A Symbol has no values to show: they belong to one batch, and what is written down is to hold for
all.  Code that asks for one (``if loss > 1:``, ``float(loss)``) is told which line asked.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from types import MethodDescriptorType
from typing import Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt
from numpy.lib.mixins import NDArrayOperatorsMixin

from minigrad.primitive import IN_PLACE
from minigrad.tensor import Tensor
from minigrad.tracing.frames import asked_at, asking
from minigrad.tracing.node import EAGER, Check, Node, Unsupported, ValueNeeded
from minigrad.tracing.record import Recorder, called

__all__ = ["Symbol", "run", "value_of"]

# Methods that change the array; those that are functions of NumPy too change a copy there.
CHANGING = frozenset(
    {"byteswap", "fill", "partition", "put", "resize", "setfield", "setflags", "sort"}
)


class _Flags:
    """As much of an array's flags as the engine asks for or sets."""

    writeable = c_contiguous = False


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
        self.is_scalar = False  # whether NumPy gave a number, as it does of no axes, and no array
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

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        if function := asking():
            self._recorder.refuse(
                Unsupported(
                    f"{function} works on values, not with NumPy's functions alone, so the step "
                    f"cannot be traced past {asked_at()}; {EAGER}"
                )
            )
        self._recorder.refuse(
            ValueNeeded(
                f"a value of an array was asked for at {asked_at()}; a trace knows shapes and "
                "types, and holds for every batch. Where the value chooses between two results, "
                "write np.where(condition, x, y); where it is an index into an array that no "
                "parameter or input leads to, multiply by the one-hot rows "
                f"np.equal(index[:, None], np.arange(n)); otherwise {EAGER}"
            )
        )

    __bool__ = __int__ = __float__ = __complex__ = __index__ = __array__ = _refuse
    __contains__ = __format__ = item = tolist = tobytes = __str__ = _refuse

    def _refuse_change(self, what: str = "an array is changed in place") -> NoReturn:
        function = asking()
        self._recorder.refuse(
            Unsupported(
                (f"{function}: " if function else "")
                + f"{what} at {asked_at()}; in a traced step, make a new one, e.g. with np.where "
                f"or np.concatenate, or {EAGER}"
            )
        )

    def __setitem__(self, index: Any, value: Any) -> None:
        self._refuse_change()

    @property
    def data(self) -> Any:
        """An array's memory: there is none."""
        return self._refuse()

    # NumPy's functions

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(x, Tensor) for x in inputs):
            return NotImplemented
        (out,) = options.pop("out", None) or (None,)
        if method == "reduce" and ufunc in forms.REDUCTIONS:
            options.setdefault("axis", 0)
            result = forms.reduction(self._recorder, forms.REDUCTIONS[ufunc], *inputs, **options)
        elif method == "__call__" and not options.keys() - {"dtype"} and ufunc.nout == 1:
            if options.get("dtype") is not None:
                inputs = tuple(forms.cast(self._recorder, x, options["dtype"]) for x in inputs)
            result = self._recorder.operation(run(ufunc, *inputs), ufunc, inputs, {})
        else:
            name = ufunc.__name__ + ("" if method == "__call__" else f".{method}")
            self.refuse_call(f"np.{name}", *options)
        converts = method == "__call__"  # a reduction would compute in the type of `out`
        return self._into(out, result, f"np.{ufunc.__name__}", converts)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        if any(issubclass(kind, Tensor) for kind in types):
            return NotImplemented
        if function in forms.STATIC:
            return function(*map(value_of, args), **{key: value_of(x) for key, x in kwargs.items()})
        if function in forms.VALUE_DEPENDENT:
            return self._refuse()
        if function in IN_PLACE:
            self._refuse_change(f"{called(function)} changes an array in place")
        out = kwargs.get("out")
        kwargs = {key: x for key, x in kwargs.items() if key != "out"}
        if function in forms.CANONICAL:
            result = forms.canonical(self, function, args, kwargs)
        else:
            try:
                value = run(function, *args, **kwargs)
            except ValueError as error:
                if "read-only" not in str(error):
                    raise
                self._refuse_change(f"{called(function)} changes an array in place")
            result = self._recorder.operation(value, function, tuple(args), kwargs)
            result.disown_shared((*args, *kwargs.values()))
        return self._into(out, result, called(function))

    def __getattr__(self, name: str) -> Any:
        if name in CHANGING:
            what = f".{name}() changes an array in place"
            return lambda *_, **__: self._refuse_change(what)
        function = getattr(np, name, None)
        if not isinstance(vars(np.ndarray).get(name), MethodDescriptorType) or function is None:
            raise AttributeError(
                f"a traced array has no attribute {name!r}; use a function of NumPy, or {EAGER}"
            )
        return functools.partial(function, self)

    def disown_shared(self, others: Any) -> None:
        """Note in which of the arrays `others` this one is a view: none may be changed in place."""
        for x in others:
            if isinstance(x, Symbol):
                if np.may_share_memory(self.node.value, x.node.value):
                    self._owned = x._owned = False
            elif isinstance(x, list | tuple):
                self.disown_shared(x)

    def _into(self, out: Any, result: Symbol, name: str, converts: bool = False) -> Symbol:
        """Return the result of a call, in the array `out` if it was called with one."""
        if out is None:
            return result
        if not isinstance(out, Symbol):
            self._refuse_change(f"{name} writes into an array that is no result of the step")
        if out.is_scalar:
            return result  # a number cannot be changed: `s += 1` makes a new one
        if not converts and out.dtype != result.dtype:
            self.refuse_call(name, "out of another type")
        return out._become(result)

    def _become(self, other: Symbol) -> Symbol:
        """Hold what the other holds: what a change in place does to an array.

        Whoever has this Symbol sees the change, as whoever has the array does; nodes that were
        made of it before do not.  Only a view would be missed, so there must be none.
        """
        if not self._owned:
            self._refuse_change("an array that others see is changed in place")
        if self.shape != other.shape or not np.can_cast(other.dtype, self.dtype, "same_kind"):
            self.refuse_call("writing into an array", "another shape or type")
        flags = self.node.value.flags
        order: Literal["C", "F"] = "C" if flags.c_contiguous else "F"
        if order == "F" and not flags.f_contiguous:
            self.refuse_call("writing into an array", "gaps")
        self.node = forms.copied(forms.cast(self._recorder, other, self.dtype), order).node
        return self

    def __getitem__(self, index: Any) -> Symbol:
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, Symbol) and part.dtype.kind == "b" for part in parts):
            self._refuse()  # how many elements are true is a matter of values
        value = self.node.value[tuple(map(value_of, parts))]
        result = self._recorder.operation(value, operator.getitem, (self,), {"index": parts})
        result.disown_shared((self,))
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

    def reshape(self, *shape: Any, **options: Any) -> Any:
        """Same elements, another shape."""
        return np.reshape(self, shape[0] if len(shape) == 1 else shape, **options)

    def transpose(self, *axes: Any) -> Any:
        """Axes in another order."""
        single = len(axes) == 1 and not isinstance(axes[0], int | np.integer)
        return np.transpose(self, axes[0] if single else axes or None)

    def astype(
        self, dtype: npt.DTypeLike, *, casting: np._CastingKind = "unsafe", copy: bool = True
    ) -> Symbol:
        """Same values in another type."""
        if not np.can_cast(self.dtype, dtype, casting):
            raise TypeError(f"dtype {self.dtype} is not cast to {np.dtype(dtype)}: {casting}")
        if self.dtype == dtype:
            return forms.copied(self, "K") if copy else self
        result: Symbol = forms.cast(self._recorder, self, dtype)
        return result

    def copy(self, order: Literal["C", "F", "A", "K"] = "C") -> Symbol:
        """Same values: a Symbol of its own, that may be changed in place."""
        return forms.copied(self, order)

    def flatten(self, order: str = "C") -> Any:
        """Same elements, along one axis."""
        if order != "C":
            self.refuse_call("flatten", "order")
        return np.reshape(self.copy(), -1).copy()

    def view(self, *types: Any) -> Symbol:
        """Another Symbol for the same array."""
        if types:
            self.refuse_call("view", "another type")
        result = Symbol(self.node, self._recorder)
        result.is_scalar = self.is_scalar
        self._owned = result._owned = False
        return result

    def record(self, function: Callable[..., Any], *args: Any, **options: Any) -> Symbol:
        """Note the call of a function that fills an array, which NumPy would not tell of."""
        return self._recorder.operation(run(function, *args, **options), function, args, options)

    def refuse_call(self, name: str, *options: str) -> NoReturn:
        """Raise: a call, or one of its options, is in no form that nodes have."""
        self._recorder.refuse(
            Unsupported(
                f"{name}{' with ' if options else ''}{', '.join(options)} at {asked_at()} cannot "
                f"be traced; {EAGER}"
            )
        )

    def refuse(self, reason: str) -> NoReturn:
        """Raise: what is about to happen cannot be written down."""
        self._recorder.refuse(Unsupported(f"{reason}, or {EAGER} (at {asked_at()})"))

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
    """Call a function on the values with which the step is traced: for shape and dtype.

    They can be read only: a parameter's are the parameter itself.
    """
    with np.errstate(all="ignore"):
        return function(*map(_to_read, args), **{key: _to_read(x) for key, x in kwargs.items()})


def _to_read(x: Any) -> Any:
    if isinstance(x, list | tuple):
        return type(x)(map(_to_read, x))
    x = value_of(x)
    if isinstance(x, np.ndarray):
        x = x.view()
        x.flags.writeable = False
    return x


from minigrad.tracing import forms  # noqa: E402  last, as it is made of what stands above
