"""A traced step as loops over numbers, for Numba to compile.

Each array that is kept (see `kept`) has one nest of loops, whose innermost line computes an element
(see `elements` and `nests`).  Bounds are literal numbers: the compiler knows how often a loop runs,
writes out the short ones, and works on 4 to 16 numbers at once in the others.  No array is made
within a step.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.tracing.elements import BUILT, Elements, base_of, index_arrays, unsupported
from minigrad.tracing.functions_of_numbers import OF_ANY_TYPE, SIZED, function_texts
from minigrad.tracing.kept import Kept, by_blas, kept, with_own_gradients
from minigrad.tracing.names import unused, variable_names
from minigrad.tracing.nests import INDENT, Nests
from minigrad.tracing.node import Node, Trace, Unsupported
from minigrad.tracing.source import Formulas

__all__ = ["LoopCode", "loops", "with_free_names"]

RESERVED = frozenset(
    {*SIZED, *OF_ANY_TYPE, *(f"{name}32" for name in SIZED), "np", "njit", "math", *dir(builtins)}
)
"""What the loops call, and what the text around them may: no variable has such a name."""


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
        Inputs, parameters and what is fixed are C-ordered arrays of the traced shapes and types,
        in variables of their nodes' names; they are only read.
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


def with_free_names(trace: Trace) -> Trace:
    """Give what a trace reads other names, where the loops call something by these."""
    taken = {leaf.name for leaf in trace.arguments} | RESERVED
    for leaf in trace.arguments:
        if leaf.name in RESERVED:
            leaf.name = unused(leaf.name, taken)
            taken.add(leaf.name)
    return trace


class _Writer:
    """Writes the lines."""

    def __init__(self, trace: Trace, blas: bool) -> None:
        self.trace, self.blas = trace, blas
        self.kept: Kept = kept(trace, blas)
        leaves = trace.arguments
        for leaf in leaves:
            if leaf.name in RESERVED:
                raise Unsupported(
                    f"the variable {leaf.name} has the name of a function that the loops use; give "
                    "it another one"
                )
        self.taken = {*RESERVED, *(leaf.name for leaf in leaves)}
        letters = [self.unused(c) for c in "ijklmpqr"]
        sums = [self.unused(name) for name in ("s", "n", "block")]
        self.names = self.given_names()
        boxed = {x for x in (*leaves, *trace.gradients) if not x.shape}
        boxed |= {x for x in trace.nodes if x.function in BUILT and not x.shape}
        self.elements = Elements(self.names, boxed, {base_of(check.node) for check in trace.checks})
        self.nests = Nests(self.elements, letters, *sums)
        self.formulas = Formulas(trace, self.names, self.elements.constant_name)
        self.buffers: list[str] = []
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
                self.nests.lines.append(f"# {section}")
            self.node(node)
        if self.trace.loss not in self.names:
            raise Unsupported("the loss is no result of an operation, so there is no step")
        constants = [f"{name} = {text}" for text, name in self.elements.constants.items()]
        return LoopCode(
            functions="\n".join([*constants, function_texts(self.elements.functions)]).strip("\n"),
            buffers=tuple(self.buffers),
            statements=tuple(self.nests.lines),
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
        self.nests.lines.append(f"# {self.formulas.comment(node)}")
        if by_blas(node, self.blas):
            x, y = (self.matrix(x) for x in node.arguments)
            self.nests.lines.append(f"np.dot({x}, {y}, {self.names[node]})")
        else:
            self.nests.fill(node, self.kept.core)

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
        index, outer = self.nests.over(x.shape)
        message = message or f"{self.name(x)} has to be from {least} to {count - 1}"
        element = self.elements.at(x, index)
        self.nests.nest(outer, [
            f"if not {least} <= {element} < {count}:",
            f"{INDENT}raise IndexError({message!r})",
        ])  # fmt: skip


def _tuple(shape: tuple[int, ...]) -> str:
    return repr(tuple(int(n) for n in shape))


def _dtype_name(dtype: np.dtype[Any]) -> str:
    return "bool_" if dtype.kind == "b" else dtype.name
