"""The contract of a primitive, and how NumPy's functions find it.

A primitive is one differentiable operation: its forward function, then one vector-Jacobian
product (VJP) per input,

    x̄ = vjp(z̄, z, *inputs, **kwargs)          where  z = forward(*inputs, **kwargs)

and where the VJP may ignore broadcasting: the engine sums a gradient that is larger than its
input (`conform`).  The same VJP runs on bare arrays in the ordinary backward pass and on Tensors
under ``create_graph=True``, so it is written with what both understand: operators, methods such as
``.sum`` and ``.mT`` (the transposed matrix), and NumPy functions that the table knows.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.recording import is_traced, mode, watchers
from minigrad.tensor import Tensor, serial_numbers

__all__ = ["Primitive", "Variadic", "bare", "conform", "stands_for", "table", "unbroadcast"]

ndarray, asarray, new_tensor = np.ndarray, np.asarray, Tensor.__new__  # found faster as globals

# NumPy function -> what runs in its place when an argument is a Tensor.
table: dict[Callable[..., Any], Callable[..., Any]] = {}

# NumPy functions whose result is no differentiable function of a Tensor's values: they run on
# the values, and give plain arrays.
NOT_DIFFERENTIABLE = frozenset(
    {np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal}
    | {np.isfinite, np.isnan, np.isinf, np.signbit, np.isclose, np.allclose, np.array_equal}
    | {np.logical_and, np.logical_or, np.logical_not, np.logical_xor, np.all, np.any}
    | {np.argmax, np.argmin, np.argsort, np.argwhere, np.nonzero, np.count_nonzero}
    | {np.nanargmax, np.nanargmin, np.searchsorted, np.digitize, np.unique}
    | {np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.shares_memory}
    | {np.isin, np.array_equiv, np.isposinf, np.isneginf, np.may_share_memory}
    | {np.zeros_like, np.ones_like, np.full_like, np.empty_like, np.iscomplexobj, np.isrealobj}
)

# NumPy functions that write into their first argument.
IN_PLACE = frozenset(
    {np.copyto, np.fill_diagonal, np.place, np.put, np.put_along_axis, np.putmask}
    | {ufunc.at for ufunc in vars(np).values() if isinstance(ufunc, np.ufunc)}
)

# What the shapes of an operation's inputs have to fulfil, where it is not broadcasting.
SHAPE_RULES = {
    "matmul": "the last axis of the first must be as long as the second's last axis but one "
    "(its only axis, for a vector), and the axes in front must broadcast",
    "affine": "x W + b needs x's last axis as long as W's first, and b as long as W's last",
    "concatenate": "all axes but the one along which they are joined must have equal lengths",
    "reshape": "the number of elements must stay the same",
    "transpose": "every axis must be named exactly once",
    "einsum": "a letter must stand for axes of one length, or of length 1",
}


class Primitive:
    """One differentiable operation: a forward function and a VJP per input.

    Parameters
    ----------
    forward : callable
        Arrays in, array out: ``z = forward(*inputs, **kwargs)``.
    *vjps : callable
        One per input: ``vjp(g, z, *inputs, **kwargs)`` gives x̄ from g = z̄.  For any number of
        inputs, one `Variadic`.
    name : str, optional
        Shown by errors and `repr`; `forward`'s own name by default.
    numpy : callable, optional
        The NumPy function that this primitive stands in for; `forward` itself if that is a
        ufunc.

    Examples
    --------
    >>> cube = Primitive(lambda x: x**3, lambda g, z, x: g * 3 * x**2, name="cube")
    >>> t = Tensor(2.0, requires_grad=True)
    >>> cube(t).backward()
    >>> t.grad
    array(12.)
    """

    __slots__ = ("forward", "name", "vjps")

    def __init__(
        self,
        forward: Callable[..., Any],
        *vjps: Callable[..., Any] | Variadic,
        name: str | None = None,
        numpy: Callable[..., Any] | None = None,
    ) -> None:
        self.forward = forward
        self.vjps: Any = vjps[0] if vjps and isinstance(vjps[0], Variadic) else vjps
        self.name: str = name or forward.__name__
        if isinstance(forward, np.ufunc):
            numpy = forward
        if numpy is not None:
            table[numpy] = self

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __call__(self, *inputs: Any, **kwargs: Any) -> Any:
        """Compute, and record if an input is a Tensor that requires a gradient.

        Returns a Tensor if any input is one, else what `forward` returns.
        """
        requires_grad: bool | None = None  # None: there is no Tensor among the inputs
        values: Any
        if len(inputs) == 2:  # the loop below, unrolled for most operations: a sixth of the time
            x, y = inputs
            if type(x) is Tensor:  # Tensor is final, and this is the fastest test
                requires_grad = x.requires_grad
                x = x._data
            elif type(x) is list or type(x) is tuple:
                return self(asarray(x), y, **kwargs)
            if type(y) is Tensor:
                requires_grad = requires_grad or y.requires_grad
                y = y._data
            elif type(y) is list or type(y) is tuple:
                return self(inputs[0], asarray(y), **kwargs)
            values = (x, y)
        else:
            values = []
            for x in inputs:
                if type(x) is Tensor:
                    requires_grad = requires_grad or x.requires_grad
                    x = x._data
                elif type(x) is list or type(x) is tuple:
                    return self(*map(_array_of, inputs), **kwargs)
                values.append(x)
        try:
            z = self.forward(*values, **kwargs) if kwargs else self.forward(*values)
        except ValueError as error:
            raise self._shape_error(values, kwargs, error) from error
        if requires_grad is None:
            return z
        result = new_tensor(Tensor)
        result._data = z if type(z) is ndarray else _held(z)
        result.grad = None
        result.serial = result.written = next(serial_numbers)
        if requires_grad and mode.recording:
            result.requires_grad = True
            result.op = self
            result.parents = inputs
            result.values = values
            result.kwargs = kwargs
        else:
            result.requires_grad = False
            result.op = None
            result.parents = ()
            result.values = ()
            result.kwargs = {}
            if requires_grad and _shares(result._data.base, values):
                result._data.flags.writeable = False  # a parameter's values, by another way
        if watchers:
            for watcher in watchers:
                watcher.forward(self, values, kwargs, result)
        return result

    def _shape_error(
        self, values: Sequence[Any], kwargs: dict[str, Any], error: ValueError
    ) -> ValueError:
        """Name the operation, the shapes and the options; a LinAlgError stays one."""
        shapes = " and ".join(str(np.shape(x)) for x in values)
        options = ", ".join(
            f"{key}={x!r}"
            for key, x in kwargs.items()
            if isinstance(x, int | tuple | str) and x is not False
        )
        default = "the shapes must be equal, or broadcast" if "broadcast" in str(error) else ""
        rule = SHAPE_RULES.get(self.name, default)
        kind = np.linalg.LinAlgError if isinstance(error, np.linalg.LinAlgError) else ValueError
        return kind(
            f"{self.name} of shape {shapes}"
            + (f" with {options}" if options and len(options) < 80 else "")
            + (f": {rule} ({error})" if rule else f": {error}")
        )


def _shares(base: Any, values: Sequence[Any]) -> bool:
    return base is not None and any(base is x or base is getattr(x, "base", None) for x in values)


def _held(z: Any) -> Any:
    """Return what a Tensor holds: an array, or what stands in for one while a step is traced."""
    return z if is_traced(z) else asarray(z)


def _array_of(x: Any) -> Any:
    return asarray(x) if isinstance(x, list | tuple) else x


class Variadic:
    """The VJPs of a primitive with any number of inputs: one formula, told which input it is for.

    Parameters
    ----------
    vjp : callable
        ``vjp(i, g, z, *inputs, **kwargs)`` gives the gradient of input number i.
    """

    __slots__ = ("vjp",)

    def __init__(self, vjp: Callable[..., Any]) -> None:
        self.vjp = vjp

    def __getitem__(self, i: int) -> Callable[..., Any]:
        return functools.partial(self.vjp, i)


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum `g` over the axes along which an array of `shape` was repeated by broadcasting.

    An input that was used several times receives the sum of what each use sends back, and
    broadcasting is using one element several times.

    Parameters
    ----------
    g : ndarray or Tensor
        The gradient of the broadcast array.
    shape : tuple of int
        The shape before broadcasting.

    Returns
    -------
    ndarray or Tensor
        Of the given shape.

    Raises
    ------
    ValueError
        If no broadcasting leads from `shape` to the shape of `g`.

    Examples
    --------
    >>> unbroadcast(np.ones((10, 3)), (3,))
    array([10., 10., 10.])
    >>> unbroadcast(np.ones((10, 3)), (10, 1)).shape
    (10, 1)
    """
    added = g.ndim - len(shape)
    if added > 0:
        g = g.sum(axis=0 if added == 1 else tuple(range(added)))
    if g.shape == shape:
        return g
    if added < 0 or any(n not in (1, m) for n, m in zip(shape, g.shape, strict=True)):
        raise ValueError(f"no broadcasting leads from shape {shape} to one that ends in {g.shape}")
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


def conform(g: Any, x: Tensor, op: Primitive) -> Any:
    """Bring the gradient that `op` gave for `x` to the shape and dtype of `x`.

    Broadcasting is undone, and another floating-point type cast back; anything else is a
    mistake in the row.

    Raises
    ------
    TypeError, ValueError
        If the VJP of `op` gave another dtype or shape than a gradient of `x` can have.
    """
    if g.dtype.kind != "f" or x.dtype.kind != "f":
        raise TypeError(
            f"a VJP of {op.name} gave a gradient of dtype {g.dtype} for values of dtype {x.dtype}; "
            "both have to be real floating-point numbers"
        )
    if g.shape != x.shape:
        try:
            g = unbroadcast(g, x.shape)
        except ValueError as error:
            raise ValueError(
                f"a VJP of {op.name} gave a gradient of shape {g.shape} for an input of shape "
                f"{x.shape}: {error}"
            ) from None
    return g if g.dtype == x.dtype else g.astype(x.dtype)


def dispatch_ufunc(
    ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Run the table's row for a NumPy ufunc, or its reduce etc., that was called with a Tensor."""
    if method == "__call__" and not kwargs:
        if ufunc in table:
            return table[ufunc](*inputs)
        if ufunc in NOT_DIFFERENTIABLE:
            return ufunc(*map(bare, inputs))
    if "out" in kwargs:
        raise TypeError(
            f"numpy.{ufunc.__name__} cannot write its result into an array that exists: a Tensor "
            "is an input, and the result needs a graph; write a = a + t instead of a += t"
        )
    if method == "outer" and ufunc in table and not kwargs:
        x, y = inputs
        return table[ufunc](np.reshape(x, np.shape(x) + (1,) * np.ndim(y)), y)
    if method == "__call__" and (ufunc not in table or isinstance(table[ufunc], Primitive)):
        raise _no_row(f"numpy.{ufunc.__name__}", kwargs)
    called = ufunc if method == "__call__" else getattr(ufunc, method)
    return dispatch_function(called, inputs, kwargs)


def dispatch_function(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Run the table's row for a NumPy function that was called with a Tensor."""
    if function in NOT_DIFFERENTIABLE:
        return function(*map(bare, args), **{key: bare(x) for key, x in kwargs.items()})
    name = _name(function)
    if function in IN_PLACE:
        raise TypeError(
            f"{name} changes an array in place, which a Tensor cannot be and which loses the "
            "gradient of one; build a new one (e.g. with np.where or np.concatenate), or write "
            "into t.data between two steps"
        )
    if function not in table:
        raise _no_row(name, {})
    row = table[function]
    if not isinstance(row, Primitive):
        known = {key: x for key, x in kwargs.items() if x is not None or key in _names(row)}
        try:
            return row(*args, **known)
        except TypeError as error:
            try:
                _signature(row).bind(*args, **known)
            except TypeError:
                foreign = [f"{key}=" for key in known if key not in _names(row)]
                raise TypeError(
                    f"{name}{' with ' if foreign else ''}{', '.join(foreign)} of a Tensor: "
                    f"minigrad knows the arguments {', '.join(_names(row))}; use t.data for the "
                    f"value alone, or extend {row.__name__} in {row.__module__}"
                ) from error
            raise
    given = dict(zip(_names(function), args, strict=False)) | kwargs
    inputs = [given.pop(key) for key in _names(function)[: len(row.vjps)]]
    unknown = given.keys() - _names(row.forward)
    if unknown:
        defaults = _signature(function).parameters
        changed = sorted(key for key in unknown if given.pop(key) is not defaults[key].default)
        if changed:
            raise _no_row(name, dict.fromkeys(changed))
    return row(*inputs, **given)


def stands_for(
    *functions: Callable[..., Any],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function into the table, in the place of these NumPy functions.

    Its parameters are those of the NumPy function that it knows, by name and order; to call
    the NumPy function with any other is an error that names it.  Options follow a ``*`` where
    it leaves out one that stands before them.

    Examples
    --------
    >>> @stands_for(np.rot90)
    ... def rot90(m):
    ...     return m.T[::-1]
    >>> np.rot90(Tensor([[1.0, 2.0]]))
    Tensor([[2.],
            [1.]])
    >>> _ = table.pop(np.rot90)
    """

    def register(replacement: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            table[function] = replacement
        return replacement

    return register


def bare(x: Any) -> Any:
    """Return a Tensor's values, and anything else as it is."""
    return x._data if isinstance(x, Tensor) else x


_signature = functools.cache(inspect.signature)


@functools.cache
def _names(function: Callable[..., Any]) -> tuple[str, ...]:
    if isinstance(function, np.ufunc):  # since NumPy 2.4 with a signature, of what no row takes
        return ()
    return tuple(_signature(function).parameters)


def _name(function: Callable[..., Any]) -> str:
    ufunc = getattr(function, "__self__", None)  # of a ufunc's method, such as np.add.reduce
    if isinstance(ufunc, np.ufunc):
        return f"numpy.{ufunc.__name__}.{function.__name__}"
    return f"{getattr(function, '__module__', None) or 'numpy'}.{function.__name__}"


def _no_row(name: str, kwargs: dict[str, Any]) -> TypeError:
    options = f" with {', '.join(kwargs)}=" if kwargs else ""
    return TypeError(
        f"{name}{options} of a Tensor: the table in minigrad/primitives.py has no such row, so "
        "its derivative is not known; use t.data for the value alone, or add the row"
    )
