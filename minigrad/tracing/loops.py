"""A traced step as loops over numbers, for Numba to compile.

Each array that is kept (see `kept`) has one nest of loops, whose innermost line computes an element
(see `elements`).  Bounds are literal numbers: the compiler knows how often a loop runs, writes out
the short ones and works on 4 to 16 numbers at once in the others.  What this needs is that
neighbours in memory are computed side by side:

- a sum of up to 16 terms, or one whose terms lie side by side, is the innermost loop;
- a longer one, such as the rows of a wide matrix product, is the outer loop, 8 terms at a time,
  over all elements of a row of the result.

Sums are those of the array's own type, in any order; no array is made within a step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad import linear_maps
from minigrad.tracing.elements import (
    ATOM,
    EXTREMA,
    PRODUCTS,
    TIMES,
    Elements,
    Index,
    data_parts,
    index_arrays,
    unsupported,
)  # fmt: skip
from minigrad.tracing.functions_of_numbers import OF_ANY_TYPE, SIZED, function_texts, literal
from minigrad.tracing.kept import UNROLLED, Kept, base_of, by_blas, kept, with_own_gradients
from minigrad.tracing.names import unused, variable_names
from minigrad.tracing.node import Node, Unsupported
from minigrad.tracing.source import Formulas
from minigrad.tracing.trace import Trace

__all__ = ["LoopCode", "loops"]

TOGETHER = 8
"""Number of terms that a pass over a row adds."""
INDENT = "    "
RESERVED = frozenset(
    {*SIZED, *OF_ANY_TYPE, *(f"{name}32" for name in SIZED), "np", "njit", "math", "range", "abs"}
)

Loops = list[tuple[str, int]]


@dataclass(frozen=True)
class LoopCode:
    """A step as loops.

    Attributes
    ----------
    functions : str
        Functions of numbers, and constants, that the loops use; they need `np` and `njit`.
    buffers : tuple of str
        Lines that run once, before the first step, and after the arrays of the inputs are there:
        they make the arrays that a step fills.
    statements : tuple of str
        Lines of one step.
    loss : str
        The loss, after the statements: an expression.
    gradients : tuple of str
        For each parameter, the array with its gradient: C-ordered, of the parameter's shape, and
        no other's.
    """

    functions: str
    buffers: tuple[str, ...]
    statements: tuple[str, ...]
    loss: str
    gradients: tuple[str, ...]


def loops(trace: Trace, *, blas: bool = False) -> LoopCode:
    r"""Write a traced step as loops.

    Parameters
    ----------
    trace : Trace
        Inputs and parameters are C-ordered arrays of the traced shapes and types, in variables of
        their nodes' names; they are only read.
    blas : bool
        Whether large matrix products call `numpy.dot`, for which Numba needs SciPy.

    Returns
    -------
    LoopCode
        To be compiled with ``fastmath={"contract", "reassoc"}`` and ``error_model="numpy"``.

    Raises
    ------
    Unsupported
        If an operation cannot be written as loops; the message names it.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> from minigrad.tracing import trace
    >>> w = Tensor([[1.0], [2.0]], requires_grad=True)
    >>> def loss(X, y):
    ...     error = X @ w - y
    ...     return (error**2).sum()
    >>> code = loops(trace(loss, np.ones((3, 2)), np.ones((3, 1))))
    >>> print(*code.statements, sep="\n")
    # forward
    # error = X @ w - y  (3, 1)
    for i in range(3):
        s = 0.0
        for j in range(2):
            s += X[i, j] * w[j, 0]
        error[i, 0] = s - y[i, 0]
    # loss = (error ** 2).sum()  ()
    loss = 0.0
    for i in range(3):
        loss += square(error[i, 0])
    # backward
    # error_bar = 2.0 * error  (3, 1)
    for i in range(3):
        error_bar[i, 0] = 2.0 * error[i, 0]
    # w_bar = X.T @ error_bar  (2, 1)
    for i in range(2):
        s = 0.0
        for j in range(3):
            s += X[j, i] * error_bar[j, 0]
        w_bar[i, 0] = s
    """
    trace = with_own_gradients(trace)
    return _Writer(trace, blas).code()


class _Writer:
    """Writes the lines."""

    def __init__(self, trace: Trace, blas: bool) -> None:
        self.trace, self.blas = trace, blas
        self.kept: Kept = kept(trace, blas)
        leaves = (*trace.inputs, *trace.parameters)
        for leaf in leaves:
            if leaf.name in RESERVED:
                raise Unsupported(
                    f"the variable {leaf.name} has the name of a function that the loops use; give "
                    "it another one"
                )
        self.taken = {*RESERVED, *(leaf.name for leaf in leaves)}
        self.letters = [self.unused(c) for c in "ijklmpqr"]
        self.sum, self.count, self.block = map(self.unused, ("s", "n", "block"))
        self.names = self.given_names()
        boxed = {x for x in (*leaves, *trace.gradients) if not x.shape}
        self.elements = Elements(self.names, boxed)
        self.formulas = Formulas(trace, self.names)
        self.buffers: list[str] = []
        self.lines: list[str] = []
        self.checked: set[tuple[Node, int]] = set()

    def unused(self, name: str) -> str:
        name = unused(name, self.taken)
        self.taken.add(name)
        return name

    def given_names(self) -> dict[Node, str]:
        """Return the names of `variable_names`, or others where the loops use these."""
        nodes = {*self.kept.nodes, *self.kept.aliases}
        names = variable_names(self.trace, nodes)
        for node in self.trace.nodes:
            if node in names:
                names[node] = self.unused(names[node])
        return names

    def code(self) -> LoopCode:
        section = ""
        for check in self.trace.checks:
            if base_of(check.node) in self.names:
                self.check(check.node, check.count)
        for node in self.trace.nodes:
            if node in self.kept.aliases:
                shape = f"reshape({_tuple(node.shape)})"
                self.buffers.append(f"{self.names[node]} = {self.name(node.arguments[0])}.{shape}")
            if node not in self.kept.nodes:
                continue
            if node.section != section:
                section = node.section
                self.lines.append(f"# {section}")
            self.node(node)
        if self.trace.loss not in self.names:
            raise Unsupported("the loss is no result of an operation, so there is no step")
        constants = [
            f"{name} = np.array({x.value.tolist()!r}, np.{x.dtype.name})"
            for x, name in self.elements.constants.items()
        ]
        return LoopCode(
            functions="\n".join([*constants, function_texts(self.elements.functions)]).strip("\n"),
            buffers=tuple(self.buffers),
            statements=tuple(self.lines),
            loss=self.elements.at(self.trace.loss, ()),
            gradients=tuple(self.names[g] for g in self.trace.gradients),
        )

    def name(self, x: Any) -> str:
        """Return the variable of an array in memory."""
        if isinstance(x, Node) and x in self.names:
            return self.names[x]
        raise unsupported(x)

    # Statements

    def node(self, node: Node) -> None:
        """Write what fills one array."""
        if node.dtype.kind not in "fiub" or node.dtype == np.float16:
            raise unsupported(node)
        for places, count in index_arrays(node, self.names):
            self.check(places, count)
        if node.shape or node in self.elements.boxed:
            dtype = "" if node.dtype == np.float64 else f", np.{_dtype_name(node.dtype)}"
            self.buffers.append(f"{self.names[node]} = np.empty({_tuple(node.shape)}{dtype})")
        self.lines.append(f"# {self.formulas.comment(node)}")
        if by_blas(node, self.blas):
            x, y = (self.matrix(x) for x in node.arguments)
            self.lines.append(f"np.dot({x}, {y}, {self.names[node]})")
        elif node.function is np.concatenate:
            self.concatenated(node)
        elif node.function is linear_maps.scatter:
            self.scattered(node)
        else:
            core = self.kept.core.get(node)
            if core is None and node.function in (*PRODUCTS, np.sum, np.mean, *EXTREMA):
                core = node
            if core is None:
                index, outer = self.over(node.shape)
                self.nest(outer, [f"{self.target(node, index)} = {self.value(node, index)}"])
            else:
                self.reduced(node, core)

    def value(self, node: Node, index: Index) -> str:
        """Return the text that computes an element that is kept."""
        return self.elements.computed(node, index)[0]

    def target(self, node: Node, index: Index) -> str:
        return self.elements.at(node, index)

    def over(self, shape: Iterable[int], skip: int = 0) -> tuple[Index, Loops]:
        """Return an index into a shape, and its loops: variable and bound of each."""
        index: list[str] = []
        outer: Loops = []
        for n in shape:
            if n == 1:
                index.append("0")
            else:
                letter = self.letters[skip + len(outer)]
                index.append(letter)
                outer.append((letter, n))
        return tuple(index), outer

    def nest(self, outer: Loops, body: list[str], depth: int = 0) -> None:
        """Write a body within loops."""
        for variable, bound in outer:
            self.lines.append(f"{INDENT * depth}for {variable} in range({bound}):")
            depth += 1
        self.lines.extend(INDENT * depth + line for line in body)

    def reduced(self, node: Node, core: Node) -> None:
        """Write a product or a reduction, and what goes on from it."""
        index, outer = self.over(node.shape)
        at = index if node is core else self.elements.reads(node, index, core)
        self.elements.indices.clear()
        term, inner = self.term(core, at, len(outer))
        reads = [_varying(read) for read in self.elements.indices]
        target = self.target(node, index)
        if not inner:
            self.nest(outer, [f"{target} = {self.final(node, core, index, term)}"])
            return
        last = inner[-1][0]
        side_by_side = all(read[-1] == last for read in reads if last in read)
        across = outer and any(read[-1:] == (outer[-1][0],) for read in reads)
        if math.prod(n for _, n in inner) <= UNROLLED or side_by_side or not across:
            self.inner_sum(node, core, target, index, outer, inner, term)
        else:
            self.outer_sum(node, core, target, index, outer, inner, term)

    def final(self, node: Node, core: Node, index: Index, total: str) -> str:
        """Return an element that is made of a sum, given the text of that."""
        level = ATOM if total.isidentifier() or total.endswith("]") else TIMES
        if core.function is np.mean:
            count = math.prod(core.arguments[0].shape) // math.prod(core.shape)
            total, level = f"{total} / {literal(count, core.dtype)}", TIMES
        return total if node is core else self.elements.made_of(node, index, core, total, level)

    def inner_sum(
        self, node: Node, core: Node, target: str, index: Index, outer: Loops, inner: Loops,
        term: str,
    ) -> None:  # fmt: skip
        """Write a sum whose loops are the innermost."""
        depth, total = len(outer), self.sum_of(core)
        if node is core and core.function is not np.mean and target.isidentifier():
            total = target
        self.nest(outer, [f"{total} = {self.first(core)}"])
        self.nest(inner, [self.more(core, total, term)], depth)
        if total != target:
            self.lines.append(f"{INDENT * depth}{target} = {self.final(node, core, index, total)}")

    def outer_sum(
        self, node: Node, core: Node, target: str, index: Index, outer: Loops, inner: Loops,
        term: str,
    ) -> None:  # fmt: skip
        """Write a sum over rows: a few terms at a time are added to all elements of one."""
        *outer, row = outer
        *middle, (last, n) = inner
        total, depth = self.sum_of(core), len(outer) + len(middle)
        self.nest([*outer, row], [f"{target} = {self.first(core)}"])
        self.nest(middle, [], len(outer))
        whole = n - n % TOGETHER
        if whole:
            block = self.block
            self.lines += [
                f"{INDENT * depth}for {block} in range(0, {whole}, {TOGETHER}):",
                f"{INDENT * (depth + 1)}for {row[0]} in range({row[1]}):",
                f"{INDENT * (depth + 2)}{total} = {self.first(core)}",
                f"{INDENT * (depth + 2)}for {last} in range({block}, {block} + {TOGETHER}):",
                f"{INDENT * (depth + 3)}{self.more(core, total, term)}",
                f"{INDENT * (depth + 2)}{self.more(core, target, total)}",
            ]
        if n > whole:
            self.lines.append(f"{INDENT * depth}for {last} in range({whole}, {n}):")
            self.nest([row], [self.more(core, target, term)], depth + 1)
        final = self.final(node, core, index, target)
        if final != target:
            self.nest([row], [f"{target} = {final}"], len(outer))

    def sum_of(self, core: Node) -> str:
        return self.sum if core.dtype.kind == "f" else self.count

    def first(self, core: Node) -> str:
        if core.function in EXTREMA:
            if core.dtype.kind != "f":
                raise unsupported(core)
            return literal(-math.inf if core.function is np.max else math.inf, core.dtype)
        return literal(0, core.dtype)

    def more(self, core: Node, total: str, term: str) -> str:
        if core.function in EXTREMA:
            return f"{total} = {self.elements.own(EXTREMA[core.function], core.dtype, total, term)}"
        return f"{total} += {term}"

    def term(self, core: Node, index: Index, skip: int) -> tuple[str, Loops]:
        """Return what is summed up, and the loops over it."""
        at, dtype = self.elements.at, core.dtype
        x = core.arguments[0]
        if core.function not in PRODUCTS:
            axes, keepdims = core.options["axis"], core.options["keepdims"]
            reduced, inner = self.over([x.shape[axis] for axis in axes], skip)
            rest = iter([i for n, i in enumerate(index) if not (keepdims and n in axes)])
            along = dict(zip(axes, reduced, strict=True))
            full = tuple(along[n] if n in along else next(rest) for n in range(x.ndim))
            return at(x, full, dtype), inner
        y = core.arguments[1]
        if core.function is np.vdot:
            full, inner = self.over(x.shape, skip)
            return f"{at(x, full, dtype, TIMES)} * {at(y, full, dtype, ATOM)}", inner
        (k,), inner = self.over(x.shape[-1:], skip)
        own = list(index)
        column = [own.pop()] if y.ndim > 1 else []
        row = [own.pop()] if x.ndim > 1 else []
        left = (*own[len(own) - (x.ndim - 2) :], *row, k) if x.ndim > 1 else (k,)
        right = (*own[len(own) - (y.ndim - 2) :], k, *column) if y.ndim > 1 else (k,)
        return f"{at(x, left, dtype, TIMES)} * {at(y, right, dtype, ATOM)}", inner

    def concatenated(self, node: Node) -> None:
        axis, start = node.options["axis"], 0
        for x in node.arguments:
            if not isinstance(x, Node):
                raise unsupported(node)
            index, outer = self.over(x.shape)
            place = f"{index[axis]} + {start}" if start else index[axis]
            place = str(start) if index[axis] == "0" else place
            to = (*index[:axis], place, *index[axis + 1 :])
            name = f"{self.names[node]}[{', '.join(to)}]"
            self.nest(outer, [f"{name} = {self.elements.at(x, index, node.dtype)}"])
            start += x.shape[axis]

    def scattered(self, node: Node) -> None:
        x = node.arguments[0]
        index, outer = self.over(node.shape)
        self.nest(outer, [f"{self.target(node, index)} = {literal(0, node.dtype)}"])
        index, outer = self.over(x.shape)
        place = self.elements.indexed(node, node.shape, list(index))
        added = "+=" if data_parts(node) else "="
        name = f"{self.names[node]}[{', '.join(place) or '()'}]"
        self.nest(outer, [f"{name} {added} {self.elements.at(x, index, node.dtype)}"])

    def matrix(self, x: Node) -> str:
        if x in self.names:
            return self.names[x]
        if x.function is np.transpose:
            return f"{self.matrix(x.arguments[0])}.T"
        raise unsupported(x)

    def check(self, x: Node, count: int) -> None:
        """Write a check of an index, since compiled code would read anywhere."""
        x, least, message = base_of(x), -count, ""
        for check in self.trace.checks:
            if base_of(check.node) is x:
                count, least, message = check.count, 0, check.complaint
        if x.kind == "constant" or (x, count) in self.checked:
            return
        self.checked.add((x, count))
        index, outer = self.over(x.shape)
        message = message or f"{self.name(x)} has to be from {least} to {count - 1}"
        element = self.elements.at(x, index)
        self.nest(outer, [
            f"if not {least} <= {element} < {count}:",
            f"{INDENT}raise IndexError({message!r})",
        ])  # fmt: skip


def _varying(index: Index) -> Index:
    return tuple(i for i in index if not i.isdigit())


def _tuple(shape: tuple[int, ...]) -> str:
    return repr(tuple(int(n) for n in shape))


def _dtype_name(dtype: np.dtype[Any]) -> str:
    return "bool_" if dtype.kind == "b" else dtype.name
