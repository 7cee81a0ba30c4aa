"""One element of an array of a trace, as text: what a loop has in its innermost line.

An array that is kept in memory is read at an index; one that is not is computed where it is read,
by the operations that lead to it.  Of views (transposes, slices, broadcasts and most reshapes)
nothing is left but another index.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Container, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad import linear_maps
from minigrad.tracing.functions_of_numbers import OF_ANY_TYPE, SIZED, literal, sized_name
from minigrad.tracing.node import EAGER, Node, Unsupported

__all__ = [
    "BUILT", "EXTREMA", "PRODUCTS", "REDUCTIONS", "Elements", "Index", "base_of", "data_parts",
    "index_arrays", "is_view", "mapped", "parts_of", "unsupported",
]  # fmt: skip

Index = tuple[str, ...]

# How tightly the operators of a text bind.
ATOM, POWER, TIMES, PLUS, COMPARED, NOT, AND, OR = range(8)

OPERATORS: dict[Any, tuple[str, int]] = {
    np.add: ("+", PLUS),
    np.subtract: ("-", PLUS),
    np.multiply: ("*", TIMES),
    np.divide: ("/", TIMES),
    np.floor_divide: ("//", TIMES),
    np.greater: (">", COMPARED),
    np.greater_equal: (">=", COMPARED),
    np.less: ("<", COMPARED),
    np.less_equal: ("<=", COMPARED),
    np.equal: ("==", COMPARED),
    np.not_equal: ("!=", COMPARED),
    np.logical_and: ("and", AND),
    np.logical_or: ("or", OR),
}
# Functions of `functions_of_numbers`, and others by NumPy's name, which Numba knows for numbers.
OWN: dict[Any, str] = {getattr(np, name): name for name in (*SIZED, *OF_ANY_TYPE) if name != "cube"}
OTHERS = {
    np.sqrt, np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan, np.arctan2, np.sinh, np.cosh,
    np.arcsinh, np.arccosh, np.arctanh, np.exp2, np.log2, np.log10, np.logaddexp2, np.hypot,
    np.floor, np.ceil, np.trunc, np.rint, np.fmod, np.remainder, np.copysign, np.deg2rad,
    np.rad2deg, np.isfinite, np.isnan, np.isinf, np.cbrt, np.logical_xor, np.fmax, np.fmin,
}  # fmt: skip

PRODUCTS = (np.dot, np.matmul, np.vdot, np.einsum)
EXTREMA = {np.max: "maximum", np.min: "minimum"}
REDUCTIONS = (np.sum, np.mean, *EXTREMA)
BUILT = (np.concatenate, linear_maps.scatter)
WIDEST = 1000
"""Number of elements up to which a constant array is part of the text."""


def is_view(node: Node) -> bool:
    """Whether an operation gives elements of its operand, at places known beforehand."""
    if node.function is operator.getitem:
        return all(x is None or x is ... or isinstance(x, int | slice) for x in parts_of(node))
    return node.function in (np.reshape, np.transpose, np.broadcast_to)


def mapped(index: Index, shape: tuple[int, ...], to: tuple[int, ...]) -> Index | None:
    """Return the index into shape `to` of the element that has `index` in `shape`.

    Or None, where it would take a division.

    Examples
    --------
    >>> mapped(("i", "j", "k"), (5, 4, 3), (5, 12)), mapped(("i", "0"), (5, 1), (5,))
    (('i', 'j * 3 + k'), ('i',))
    >>> mapped(("i",), (6,), (2, 3)) is None
    True
    """
    if math.prod(to) == 1:
        return ("0",) * len(to)
    long = [(i, n) for i, n in zip(index, shape, strict=True) if n != 1]
    found = []
    for n in to:
        if n == 1:
            found.append("0")
            continue
        text, size = "", 1
        while size < n and long:
            i, count = long.pop(0)
            text = (
                _line(i, int(text) * count, 1)
                if text.isdigit()
                else (f"{_bracketed(text)} * {count} + {i}" if text else i)
            )
            size *= count
        if size != n:
            return None
        found.append(text)
    return tuple(found)


class Elements:
    """Writes elements of a trace's arrays.

    Parameters
    ----------
    names : mapping of Node to str
        The arrays that are in memory; those without axes are plain numbers.
    boxed : set of Node
        Those without axes that are arrays all the same.
    from_zero : set of Node
        Arrays of indices that are known not to be negative.

    Attributes
    ----------
    constants : dict of str to str
        Text of the arrays that the texts so far read, and their names.
    functions : set of (str, dtype)
        What the texts so far call.
    indices : list
        Those with which the texts so far read from memory.
    """

    def __init__(self, names: Mapping[Node, str], boxed: set[Node], from_zero: set[Node]) -> None:
        self.names, self.boxed, self.from_zero = names, boxed, from_zero
        self.constants: dict[str, str] = {}
        self.functions: set[tuple[str, str]] = set()
        self.indices: list[Index] = []
        self._given: tuple[Node, str, int] | None = None
        self._given_index: Index = ()

    def at(self, x: Any, index: Index, dtype: Any = None, binding: int = OR) -> str:
        """Return the text of x at an index, in a type, to stand beside what binds that tightly."""
        if not isinstance(x, Node):
            return _within(literal(x, dtype), POWER if x < 0 else ATOM, binding)
        text, level = self._text(x, index)
        if dtype is not None and x.dtype != dtype:
            return f"np.{np.dtype(dtype).name}({text})"
        return _within(text, level, binding)

    def _text(self, x: Node, index: Index) -> tuple[str, int]:
        index = tuple("0" if n == 1 else i for i, n in zip(index, x.shape, strict=True))
        if self._given is not None and x is self._given[0]:
            self._given_index = index
            return self._given[1:]
        if x in self.names:
            if not x.shape and x not in self.boxed:
                return self.names[x], ATOM
            self.indices.append(index)
            return f"{self.names[x]}[{', '.join(index) or '()'}]", ATOM
        return self.computed(x, index)

    def made_of(self, x: Node, index: Index, core: Node, text: str, binding: int) -> str:
        """Return the text that computes an element of x from the text of one of `core`."""
        self._given = core, text, binding
        found, _ = self.computed(x, index)
        self._given = None
        return found

    def reads(self, x: Node, index: Index, core: Node) -> Index:
        """Return at which index of `core` an element of x is computed from it."""
        self.made_of(x, index, core, "", ATOM)
        return self._given_index

    def computed(self, x: Node, index: Index) -> tuple[str, int]:
        """Return the text that computes an element, and how tightly its operator binds."""
        if x.kind == "constant":
            return self._constant(x, index)
        if is_view(x):
            return self._text(x.arguments[0], self.under(x, index))
        if x.function is operator.getitem or x.function is np.take_along_axis:
            return self._text(x.arguments[0], self.under(x, index))
        return self._call(x, index)

    def _constant(self, x: Node, index: Index) -> tuple[str, int]:
        values = x.value
        first = values.flat[0] if values.size else 0
        if values.dtype.kind not in "fiub" or values.dtype == np.float16:
            raise Unsupported(f"a constant of dtype {values.dtype} {NOT_COMPILED}")
        if np.all(values == first) or values.size == 1:
            return literal(first, x.dtype), POWER if first < 0 else ATOM
        long = [i for i, n in enumerate(x.shape) if n != 1]
        if len(long) == 1 and x.dtype.kind == "i" and np.all(values.flat == np.arange(values.size)):
            return index[long[0]], ATOM if index[long[0]].isidentifier() else PLUS
        return f"{self.constant_name(x)}[{', '.join(index)}]", ATOM

    def constant_name(self, x: Node) -> str:
        """Return the variable of a constant array, which is written out before the functions."""
        if x.value.size > WIDEST:
            raise Unsupported(
                f"a constant array of shape {x.shape} is too large to be written out; make it an "
                f"input of the loss, or {EAGER}"
            )
        text = f"np.array({_nested(x.value)}, np.{x.dtype.name})"
        return self.constants.setdefault(text, f"CONSTANT_{len(self.constants) + 1}")

    def _call(self, x: Node, index: Index) -> tuple[str, int]:
        function, arguments = x.function, x.arguments
        if not all(isinstance(a, Node | int | float) for a in arguments):
            raise unsupported(x)
        common = np.result_type(*[a.dtype if isinstance(a, Node) else a for a in arguments])

        def operands(dtype: Any, binding: int = OR) -> list[str]:
            return [self.at(a, self.aligned(a, index), dtype, binding) for a in arguments]

        if function in OPERATORS:
            sign, level = OPERATORS[function]
            if function is np.add and isinstance(arguments[1], int | float) and arguments[1] < 0:
                sign, arguments = "-", (arguments[0], -arguments[1])
            dtype = common if level == COMPARED else bool if level > COMPARED else x.dtype
            left, right = arguments
            # a - (b + c), a + (b + c) and a / (b * c) keep their brackets; x < y == z is a chain.
            first = level - (level == COMPARED)
            return (
                f"{self.at(left, self.aligned(left, index), dtype, first)} {sign} "
                f"{self.at(right, self.aligned(right, index), dtype, level - 1)}",
                level,
            )
        if function is np.negative:
            return f"-{operands(x.dtype, POWER - 1)[0]}", POWER
        if function in (np.positive, np.conjugate):
            return self._text(arguments[0], index)
        if function is np.astype:
            return self.at(arguments[0], index, x.dtype, ATOM), ATOM
        if function in (np.absolute, np.fabs):
            return f"abs({operands(x.dtype)[0]})", ATOM
        if function in (np.logical_not, np.invert) and x.dtype == bool:
            return f"not {operands(bool, NOT)[0]}", NOT
        if function is np.reciprocal:
            return f"{literal(1, x.dtype)} / {operands(x.dtype, POWER)[0]}", TIMES
        if function is np.power:
            return self._power(x, index)
        if function is np.clip and len(arguments) == 3:
            value, low, high = operands(x.dtype)
            inner = self.own("maximum", x.dtype, value, low)
            return self.own("minimum", x.dtype, inner, high), ATOM
        if function is np.where and len(arguments) == 3:
            condition = self.at(arguments[0], self.aligned(arguments[0], index), bool)
            rest = [self.at(a, self.aligned(a, index), x.dtype) for a in arguments[1:]]
            return self.own("where", x.dtype, condition, *rest), ATOM
        if function in OWN and x.dtype in (np.float32, np.float64):
            return self.own(OWN[function], x.dtype, *operands(x.dtype)), ATOM
        if function in (np.maximum, np.minimum, np.square):
            return self.own(OWN[function], x.dtype, *operands(x.dtype)), ATOM
        if function in OTHERS:
            dtype = common if x.dtype == bool else x.dtype
            return f"np.{function.__name__}({', '.join(operands(dtype))})", ATOM
        raise unsupported(x)

    def own(self, name: str, dtype: Any, *operands: str) -> str:
        """Return the call of one of the `functions_of_numbers`."""
        self.functions.add((name, np.dtype(dtype).name))
        return f"{sized_name(name, dtype)}({', '.join(operands)})"

    def _power(self, x: Node, index: Index) -> tuple[str, int]:
        base, exponent = x.arguments
        short = {2: "square", 3: "cube"}
        if not isinstance(exponent, Node) and isinstance(base, Node) and x.dtype == base.dtype:
            text = self.at(base, self.aligned(base, index), x.dtype)
            if exponent in short:
                return self.own(short[exponent], x.dtype, text), ATOM
            if exponent == 0.5:
                return f"np.sqrt({text})", ATOM
            if exponent == -1:
                under = self.at(base, self.aligned(base, index), x.dtype, POWER)
                return f"{literal(1, x.dtype)} / {under}", TIMES
        if x.dtype.kind != "f":
            raise unsupported(x)
        left, right = (self.at(a, self.aligned(a, index), x.dtype, ATOM) for a in x.arguments)
        return f"{left} ** {right}", POWER

    def aligned(self, x: Any, index: Index) -> Index:
        """Return the index into x of the element that broadcasting puts at `index`."""
        return index[len(index) - len(x.shape) :] if isinstance(x, Node) else ()

    def under(self, x: Node, index: Index) -> Index:
        """Return the index into the operand of a view, or of an indexing, for its own `index`."""
        base = x.arguments[0]
        if x.function is np.broadcast_to:
            return self.aligned(base, index)
        if x.function is np.transpose:
            axes = x.options["axes"]
            return tuple(index[axes.index(axis)] for axis in range(len(axes)))
        if x.function is np.reshape:
            found = mapped(index, x.shape, base.shape)
            if found is None:
                raise AssertionError(f"{x} is no plain change of the index")
            return found
        if x.function is np.take_along_axis:
            axis, indices = x.options["axis"], x.arguments[1]
            return (*index[:axis], self.place(indices, index, base.shape[axis]), *index[axis + 1 :])
        return self.indexed(x, base.shape, list(index))

    def place(self, x: Node, index: Index, n: int) -> str:
        """Return an element of an array of indices, which may count from the end of an axis."""
        if x.kind == "constant":
            return self.at(as_node(x.value % n), self.aligned(x, index))
        if base_of(x) in self.from_zero:
            return self.at(x, self.aligned(x, index))
        return f"{self.at(x, self.aligned(x, index), binding=ATOM)} % {n}"

    def indexed(self, x: Node, shape_below: tuple[int, ...], index: list[str]) -> Index:
        """Return where an indexing finds, in an array of that shape, what it has at `index`."""
        parts = expanded(parts_of(x), len(shape_below))
        arrays = [as_node(p) for p in parts if isinstance(p, Node | np.ndarray)]
        shape = np.broadcast_shapes(*[a.shape for a in arrays])
        places = [n for n, p in enumerate(parts) if isinstance(p, Node | np.ndarray | int)]
        together: Index = ()
        if arrays:  # their axes come first, unless they stand side by side
            beside = places == list(range(places[0], places[-1] + 1))
            start = sum(p is None or isinstance(p, slice) for p in parts[: places[0]]) * beside
            together = tuple(index[start : start + len(shape)])
            del index[start : start + len(shape)]
        found: list[str] = []
        for part in parts:
            if part is None:
                index.pop(0)
                continue
            n = shape_below[len(found)]
            if isinstance(part, slice):
                start, _, step = part.indices(n)
                found.append(_line(index.pop(0), start, step))
            elif isinstance(part, int | np.integer):
                found.append(str(int(part) % n))
            else:
                found.append(self.place(as_node(part), together, n))
        return tuple(found)


NOT_COMPILED = f"cannot be compiled to loops; read the step as NumPy, source(trace), or {EAGER}"


def unsupported(x: Node) -> Unsupported:
    """Return the exception for an operation that has no text."""
    module = getattr(x.function, "__module__", None) or "numpy"
    name = f"{module.replace('numpy', 'np', 1)}.{getattr(x.function, '__name__', x.function)}"
    return Unsupported(f"{name} on {x.dtype} of shape {x.shape} {NOT_COMPILED}")


def expanded(parts: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """Return an index with a slice for each axis that it leaves out."""
    missing = (slice(None),) * (ndim - sum(p is not None and p is not ... for p in parts))
    if not any(p is ... for p in parts):
        return (*parts, *missing)
    at = next(n for n, p in enumerate(parts) if p is ...)
    return (*parts[:at], *missing, *parts[at + 1 :])


def as_node(part: Any) -> Node:
    """Return an index array as a node."""
    return part if isinstance(part, Node) else Node("constant", np.asarray(part))


def parts_of(node: Node) -> tuple[Any, ...]:
    """Return what an index consists of: numbers, slices, None, Ellipsis and arrays of numbers."""
    index = node.options["index"]
    parts: list[Any] = []
    for part in index if isinstance(index, tuple) else (index,):
        array = np.asarray(part) if isinstance(part, list | np.ndarray) else None
        if array is not None and array.dtype == np.bool_:
            parts.extend(array.nonzero())
        else:
            parts.append(part if array is None else array)
    if any(isinstance(part, Node) and part.dtype.kind == "b" for part in parts):
        raise Unsupported(f"an index of booleans {NOT_COMPILED}")
    return tuple(parts)


def base_of(x: Node) -> Node:
    """Return the array whose elements, all of them, a view has."""
    while is_view(x) and math.prod(x.arguments[0].shape) == math.prod(x.shape):
        x = x.arguments[0]
    return x


def index_arrays(node: Node, kept: Container[Node]) -> list[tuple[Node, int]]:
    """Return the arrays that are indices in the loop of a node, each with its axis' length."""
    found = data_parts(node)
    for x in node.operands:
        if x.kind == "operation" and x not in kept:
            found += index_arrays(x, kept)
    return found


def data_parts(node: Node) -> list[tuple[Node, int]]:
    """Return those of one operation."""
    if node.function is np.take_along_axis:
        return [(node.arguments[1], node.arguments[0].shape[node.options["axis"]])]
    if "index" not in node.options:
        return []
    shape = node.shape if node.function is linear_maps.scatter else node.arguments[0].shape
    found, axis = [], 0
    for part in expanded(parts_of(node), len(shape)):
        if isinstance(part, Node | np.ndarray):
            found.append((as_node(part), shape[axis]))
        axis += part is not None
    return found


def _nested(values: npt.NDArray[Any]) -> str:
    """Return an array as the text of lists in lists; its infinities and NaN are NumPy's."""
    if values.ndim:
        return f"[{', '.join(map(_nested, values))}]"
    return literal(values, np.float64 if values.dtype.kind == "f" else values.dtype)


def _line(i: str, start: int, step: int) -> str:
    """Start + step * i, as short as it can be."""
    if i.isdigit():
        return str(start + step * int(i))
    if step < 0:
        return f"{start} - {-step} * {_bracketed(i)}"
    scaled = i if step == 1 else f"{step} * {_bracketed(i)}"
    return f"{scaled} + {start}" if start else scaled


def _bracketed(text: str) -> str:
    return text if text.isidentifier() or text.isdigit() else f"({text})"


def _within(text: str, level: int, binding: int) -> str:
    return f"({text})" if level > binding else text
