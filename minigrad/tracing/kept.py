"""Which arrays of a trace its loops keep in memory, and which they compute where they are read.

Kept are

- the loss and the gradients;
- results of matrix products and reductions, unless all that is done with one is a number for a
  number, such as adding a bias: then its loop does that too, and keeps the outcome;
- what is read more than once, for then it would be computed more than once: by two operations, by
  a matrix product, or by a broadcast.

Everything else is part of the loop that reads it.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from minigrad import linear_maps
from minigrad.tracing.elements import (
    BUILT,
    PRODUCTS,
    REDUCTIONS,
    base_of,
    is_view,
    mapped,
    parts_of,
)
from minigrad.tracing.node import Node, Trace

__all__ = ["UNROLLED", "Kept", "by_blas", "kept", "with_own_gradients"]

BLAS_FROM = 1 << 12
"""Number of terms, in all sums of a matrix product, from which BLAS is faster than loops."""
UNROLLED = 16
"""Number of terms up to which a sum is written out by the compiler, and as fast as can be."""
COPIED = 48
"""Number of terms up to which a product with a transposed matrix is faster after copying that."""


@dataclass(frozen=True)
class Kept:
    """What is kept in memory.

    Attributes
    ----------
    nodes : tuple of Node
        In order of computation; what is neither product nor reduction is made of `core`.
    core : dict of Node to Node
        The product or reduction in the loop of a node that goes on from it.
    aliases : tuple of Node
        Kept arrays and inputs in another shape, which takes no copy.
    """

    nodes: tuple[Node, ...]
    core: Mapping[Node, Node]
    aliases: tuple[Node, ...]


def with_own_gradients(trace: Trace) -> Trace:
    """Return the trace with a copy for each gradient that is no array of its own."""
    gradients: list[Node] = []
    copies: list[Node] = []
    for parameter, g in zip(trace.parameters, trace.gradients, strict=True):
        if g.kind != "operation" or g in (*gradients, trace.loss) or base_of(g) is not g:
            name = f"{parameter.name}_bar"
            g = Node("operation", g.value, np.positive, (g,), name=name, section="backward")
            copies.append(g)
        gradients.append(g)
    return dataclasses.replace(trace, gradients=tuple(gradients), nodes=(*trace.nodes, *copies))


def terms(product: Node) -> int:
    """Return the number of terms in all sums of a matrix product."""
    x = product.arguments[0]
    n = x.shape[-1] if x.ndim else 1
    return math.prod(product.shape) * n


def by_blas(node: Node, blas: bool) -> bool:
    """Whether a product is left to BLAS."""
    return (
        blas
        and node.function is np.dot
        and node.ndim == 2
        and terms(node) >= BLAS_FROM
        and all(x.dtype == node.dtype and x.kind != "constant" for x in node.arguments)
    )


def kept(trace: Trace, blas: bool) -> Kept:
    """Choose what is kept in memory."""
    wanted: set[Node] = {trace.loss, *trace.gradients}
    core: dict[Node, Node] = {}
    aliases: set[Node] = set()
    read_by: dict[Node, list[Node]] = {node: [] for node in trace.nodes}
    reads: dict[Node, int] = dict.fromkeys(trace.nodes, 0)
    for node in reversed(trace.nodes):  # all that reads a node has been seen before it
        passes_on = False
        if _is_alias(node):
            aliases.add(node)
            wanted.discard(node)
        elif node in wanted or node.function in BUILT or by_blas(node, blas):
            wanted.add(node)
        elif is_view(node):
            passes_on = True
        elif node.function in (*PRODUCTS, *REDUCTIONS):
            last = _goes_on_to(node, read_by, wanted) if reads[node] == 1 else None
            if last is None or last in core:
                wanted.add(node)
            else:
                core[last] = node
        elif reads[node] > 1:
            wanted.add(node)
        wanted.update(x for x in _needs(node, blas) if x.kind == "operation")
        for x in node.operands:
            if x.kind == "operation":
                read_by[x].append(node)
                reads[x] += reads[node] if passes_on else 1
    nodes = tuple(node for node in trace.nodes if node in wanted)
    return Kept(nodes, core, tuple(node for node in trace.nodes if node in aliases))


def _is_alias(node: Node) -> bool:
    """Whether a reshape takes an array of its own shape, since its index would take a division."""
    if node.function is not np.reshape:
        return False
    return mapped(("",) * node.ndim, node.shape, node.arguments[0].shape) is None


def _needs(node: Node, blas: bool) -> Iterator[Node]:
    """Yield the arrays that an operation can only read from memory."""
    x = node.arguments[0]
    if _is_alias(node):
        yield x
    elif by_blas(node, blas):
        yield from map(_untransposed, node.arguments)
    elif node.function in PRODUCTS and node.function is not np.vdot:
        yield from map(_viewed, node.operands)
        if _reads_across(node):
            yield node.arguments[1]
    elif node.function not in (*REDUCTIONS, np.vdot):
        size = math.prod(node.shape)
        yield from (_viewed(x) for x in node.operands if math.prod(x.shape) < size)
    if node.function in (operator.getitem, np.take_along_axis, linear_maps.scatter):
        places = node.arguments[1:] or parts_of(node)
        yield from (base_of(place) for place in places if isinstance(place, Node))


def _viewed(x: Node) -> Node:
    """Return what a view is a view of."""
    while is_view(x):
        x = x.arguments[0]
    return x


def _untransposed(x: Node) -> Node:
    while x.function is np.transpose:
        x = x.arguments[0]
    return x


def _reads_across(product: Node) -> bool:
    """Whether a short product reads the columns of its second matrix, which is slow: so copy it."""
    y = product.arguments[-1]
    if (
        product.function in (np.vdot, np.einsum)
        or y.ndim < 2
        or 1 in y.shape[-2:]
        or y.shape[-2] > COPIED
    ):
        return False
    return y.function is np.transpose and y.options["axes"][-1] != y.ndim - 1


def _goes_on_to(
    node: Node, read_by: Mapping[Node, list[Node]], wanted: Container[Node]
) -> Node | None:
    """Return the kept array that is made of this one, number for number; None if there is none."""
    size, dtype = math.prod(node.shape), node.dtype
    while len(read_by[node]) == 1:
        (above,) = read_by[node]
        plain = isinstance(above.function, np.ufunc) or above.function in (
            np.where, np.clip, np.broadcast_to, np.reshape
        )  # fmt: skip
        if not plain or above.function is np.matmul or math.prod(above.shape) != size:
            return None
        if above.function is np.reshape and _long(above.shape) != _long(node.shape):
            return None
        node = above
        if node in wanted:
            return node if node.dtype == dtype else None
    return None


def _long(shape: tuple[int, ...]) -> list[int]:
    return [n for n in shape if n != 1]
