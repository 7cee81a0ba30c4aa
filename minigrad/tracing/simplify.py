"""What a reader of a trace should not have to read is taken out of it.

No bit changes, but for the sign of a zero: -0 + 0 is 0, and stays -0 here.  Nor does the place of
any result's elements in memory, in the order of which NumPy adds them up.

- What depends on no input and no parameter is computed now (*constant folding*).
- A call that was made before, on the same operands, is not made again (*common subexpressions*).
- x + 0, x - 0, x * 1, x / 1, x ** 1, +x, and shapes, types and axes that stay what they are, are x;
  axes that are reordered twice are reordered once, and so are shapes.
- An array of equal constants, such as the ones that a sum sends back, is a number where the result
  has the same shape and type with one; an operand is not repeated where the ufunc would do it.
- What neither loss nor gradients need is left out (*dead code*).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.tracing.node import Check, Node, Trace

__all__ = ["simplified"]

# Function and which operand: leaving out this operand, where it has this value, leaves the other.
NEUTRAL: dict[Callable[..., Any], dict[int, float]] = {
    np.add: {0: 0, 1: 0},
    np.subtract: {1: 0},
    np.multiply: {0: 1, 1: 1},
    np.divide: {1: 1},
    np.power: {1: 1},
}
MOVES = {np.reshape: "shape", np.broadcast_to: "shape", np.astype: "dtype"}


def simplified(trace: Trace) -> Trace:
    """Return the same step in fewer nodes.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> from minigrad.tracing import trace
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> [node.function.__name__ for node in trace(lambda: (w * 1.0 + 0.0).sum()).nodes]
    ['sum']
    """
    becomes: dict[Node, Node] = {}
    known: dict[Any, Node] = {}

    def current(x: Any) -> Any:
        if isinstance(x, Node):
            return becomes.get(x, x)
        if isinstance(x, tuple | list):
            return type(x)(map(current, x))
        return x

    for old in trace.nodes:
        new = _with_numbers(old, tuple(map(current, old.arguments)))
        new.options = {key: current(x) for key, x in old.options.items()}
        new.of = current(old.of)
        if all(node.kind == "constant" for node in new.operands):
            becomes[old] = known.setdefault(_contents(new.value), _constant(new))
            continue
        same = _neutral(new)
        if same is None:
            same = known.setdefault(_key(new), new)
        if same is not new and same.kind == "operation":
            same.name, same.site = same.name or new.name, same.site or new.site
            if same.section == "backward":
                same.of = same.of or new.of
        becomes[old] = same
    loss, gradients = current(trace.loss), tuple(map(current, trace.gradients))
    needed, nodes = {loss, *gradients}, []
    for node in reversed(list(dict.fromkeys(map(current, trace.nodes)))):
        if node in needed and node.kind == "operation":
            nodes.append(node)
            needed.update(node.operands)
    return dataclasses.replace(
        trace, loss=loss, gradients=gradients, nodes=tuple(nodes[::-1]),
        checks=tuple(Check(current(c.node), c.count, c.complaint) for c in trace.checks),
    )  # fmt: skip


def _with_numbers(old: Node, arguments: tuple[Any, ...]) -> Node:
    """Return a copy of the node, with numbers for arrays of equal constants where they do."""
    if isinstance(old.function, np.ufunc) and old.function is not np.matmul:
        for i, x in enumerate(arguments):
            number = _number(x)
            if number is None:
                continue
            others = (*arguments[:i], number, *arguments[i + 1 :])
            values = [y.value if isinstance(y, Node) else y for y in others]
            if not any(isinstance(y, np.ndarray) for y in values):
                continue
            if old.function is np.power and i == 1:  # NumPy has other ways for some numbers
                continue
            with np.errstate(all="ignore"):
                z = np.asarray(old.function(*values))
            if _alike(z, old.value):
                arguments = others
    arguments = tuple(_without_broadcast(x, i, arguments, old) for i, x in enumerate(arguments))
    node = Node("operation", old.value, old.function, arguments, row=old.row, section=old.section)
    node.name, node.site, node.of = old.name, old.site, old.of
    return node


def _without_broadcast(x: Any, i: int, arguments: tuple[Any, ...], old: Node) -> Any:
    """Return what x repeats, if the ufunc repeats it as well."""
    if not (
        isinstance(x, Node)
        and x.function is np.broadcast_to
        and isinstance(old.function, np.ufunc)
        and old.function is not np.matmul
    ):
        return x
    others = (*arguments[:i], x.arguments[0], *arguments[i + 1 :])
    with np.errstate(all="ignore"):
        z = np.asarray(old.function(*(y.value if isinstance(y, Node) else y for y in others)))
    return x.arguments[0] if _alike(z, old.value) else x


def _number(x: Any) -> float | None:
    """Return the one number that a constant floating-point array is full of, or None."""
    if not isinstance(x, Node) or x.kind != "constant" or x.dtype.kind != "f" or not x.value.size:
        return None
    first = float(x.value.flat[0])
    return first if np.all(x.value == first) else None


def _constant(node: Node) -> Node:
    return Node("constant", node.value, name=node.name)


def _neutral(node: Node) -> Node | None:
    """Return the operand that the node is equal to, if there is one."""
    x = node.arguments[0]
    if not isinstance(x, Node):
        x = node.arguments[-1]
    if node.function in NEUTRAL and len(node.operands) == 1:
        for i, number in NEUTRAL[node.function].items():
            y = node.arguments[i]
            if not isinstance(y, Node) and y == number:
                return _if_alike(node, node.arguments[1 - i])
    if node.function is np.positive:
        return _if_alike(node, x)
    if node.function in MOVES:
        while x.function is np.reshape and node.function is np.reshape:
            x = x.arguments[0]
            if not _alike(x.value.reshape(node.shape), node.value):
                break
            node.arguments = (x,)
        return _if_alike(node, node.arguments[0])
    if node.function is np.transpose:
        axes = node.options["axes"]
        if x.function is np.transpose:
            axes = tuple(x.options["axes"][i] for i in axes)
            x = x.arguments[0]
            node.arguments, node.options = (x,), {"axes": axes}
        return _if_alike(node, x) if axes == tuple(range(len(axes))) else None
    return None


def _if_alike(node: Node, x: Any) -> Node | None:
    return x if isinstance(x, Node) and _alike(x.value, node.value) else None


def _alike(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> bool:
    """Whether two arrays are of one type and lie in memory alike: sums follow the memory."""
    return (x.shape, x.dtype, _order(x)) == (y.shape, y.dtype, _order(y))


def _order(x: np.ndarray[Any, Any]) -> tuple[int, ...]:
    return tuple(step for step, n in zip(x.strides, x.shape, strict=True) if n > 1)


def _contents(x: np.ndarray[Any, Any]) -> Any:
    return "constant", x.shape, x.dtype, _order(x), x.tobytes()


def _key(node: Node) -> Any:
    """Return what two calls have in common that give the same."""
    return node.function, _hashable(node.arguments), _hashable(tuple(node.options.items()))


def _hashable(x: Any) -> Any:
    if isinstance(x, Node):
        return _contents(x.value) if x.kind == "constant" else x
    if isinstance(x, tuple | list):
        return tuple(map(_hashable, x))
    if isinstance(x, np.ndarray):
        return _contents(x)
    if isinstance(x, slice):
        return "slice", x.start, x.stop, x.step
    return type(x), repr(x)
