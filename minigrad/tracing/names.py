"""What the variables of a trace are called: as in the code that was traced, where that is known."""

from __future__ import annotations

import builtins
import functools
import inspect
import keyword
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import CellType, CodeType
from typing import Any

import numpy as np

from minigrad.nn.module import Module
from minigrad.tensor import Tensor
from minigrad.tracing.frames import is_library
from minigrad.tracing.node import Node, Site, Trace

__all__ = [
    "RESERVED", "parameter_names", "tensors_of", "unused", "variable_names", "variables_of",
]  # fmt: skip

# Of a result that nothing else names, by its function or primitive.
RESULTS: dict[Any, str] = {
    np.add: "total",
    np.subtract: "difference",
    np.multiply: "product",
    np.divide: "quotient",
    np.sqrt: "root",
    np.exp: "exponentials",
    np.sum: "total",
    np.dot: "product",
    np.greater: "is_greater",
    np.less: "is_less",
    np.equal: "is_equal",
    np.where: "chosen",
    np.take_along_axis: "taken",
    "add": "total",
    "subtract": "difference",
    "multiply": "product",
    "divide": "quotient",
    "matmul": "product",
}


# What the text of a step uses itself.
RESERVED = frozenset({"c", "math", "np", "step", "t", *dir(builtins)})


def variable_names(
    trace: Trace, nodes: Collection[Node], reserved: Collection[str] = ()
) -> dict[Node, str]:
    """Return a name for each array that a step is given, and for each of these operations.

    The loss is ``loss``, the gradient of x is ``x_bar``.  What the traced function assigned to a
    variable has its name; anything else that of its primitive, with a number where there are
    several.
    """
    names: dict[Node, str] = {}
    last_at: dict[Site, Node] = {}
    for node in trace.nodes:  # a call, such as net(X), assigns the last of its results
        if node.site is not None and (node in nodes or node.site[0] not in last_at):
            last_at[node.site[0]] = node
    taken = {*reserved, *RESERVED}

    def give(node: Node, name: str) -> None:
        names[node] = unused(name, taken)
        taken.add(names[node])

    for node in trace.arguments:
        give(node, node.name)

    def called(node: Node) -> str:
        if node in names:
            return names[node]
        if node.of is not None:
            return f"{called(node.of)}_bar"
        if node.site is not None and last_at[node.site[0]] is node:
            return node.site[1]
        function = getattr(node.function, "__name__", "result")
        return RESULTS.get(node.name, node.name) or RESULTS.get(node.function, function)

    if trace.loss.kind == "operation":
        give(trace.loss, "loss")
    for parameter, gradient in zip(trace.parameters, trace.gradients, strict=True):
        if gradient.kind == "operation" and gradient not in names:
            give(gradient, f"{parameter.name}_bar")
    for node in trace.nodes:
        if node in nodes and node not in names:
            give(node, called(node))
    return names


def parameter_names(
    loss: Callable[..., Any], tensors: Sequence[Tensor], given: Mapping[str, Any]
) -> list[str]:
    """Return a variable name for each tensor: one that was given, one of the loss's own, or p1...

    Examples
    --------
    >>> rate = Tensor(1.0, requires_grad=True)
    >>> parameter_names(lambda x: x * rate, [rate, Tensor(2.0)], {})
    ['rate', 'p2']
    """
    found: dict[Tensor, str] = {}
    for name, value in (*given.items(), *variables_of(loss)):
        for path, tensor in _tensors_in(name, value):
            found.setdefault(tensor, path)
    last = [found[t].rpartition(".")[2] for t in tensors if t in found]
    names: list[str] = []
    for i, tensor in enumerate(tensors, start=1):
        path = found.get(tensor, f"p{i}")
        place, dot, name = path.partition(".")
        if dot:
            short = name.rpartition(".")[2]
            name = short if last.count(short) == 1 else name
        else:
            name = place
        names.append(unused(_identifier(name), {*names, *RESERVED}))
    return names


def variables_of(function: Any) -> list[tuple[str, Any]]:
    """Return names and values that a function finds outside of itself; then what those find.

    Examples
    --------
    >>> rate = 0.5
    >>> halved = lambda x: rate * x
    >>> dict(variables_of(lambda x: halved(x)))["rate"]
    0.5
    """
    found: list[tuple[str, Any]] = []
    waiting, seen = [function], set[int]()
    while waiting:
        called = waiting.pop(0)
        same = id(getattr(called, "__func__", called))  # a bound method is a new object each time
        if same in seen:
            continue
        seen.add(same)
        inside = _variables(called)
        found += inside
        waiting += [value for _, value in inside if _is_traced_code(value)]
    return found


def _variables(function: Any) -> list[tuple[str, Any]]:
    if isinstance(function, Module):
        return [("net", function)]
    if isinstance(function, functools.partial):
        given = [(f"x{i}", value) for i, value in enumerate(function.args, start=1)]
        return [*given, *function.keywords.items(), ("function", function.func)]
    function = inspect.unwrap(function)
    owner = getattr(function, "__self__", None)
    code = getattr(function, "__func__", function)
    if not inspect.isfunction(code):  # an object that can be called
        owner, code = function, type(function).__call__
    found: list[tuple[str, Any]] = []
    if inspect.isfunction(code):
        cells = zip(code.__code__.co_freevars, code.__closure__ or (), strict=True)
        found = [(name, cell.cell_contents) for name, cell in cells if _is_filled(cell)]
        names = dict.fromkeys(_names_in(code.__code__))
        found += [(name, code.__globals__[name]) for name in names if name in code.__globals__]
    if isinstance(owner, Module):
        found.append(("self", owner))
    elif owner is not None:
        found += getattr(owner, "__dict__", {}).items()
        methods = (getattr(type(owner), name, None) for name in code.__code__.co_names)
        found += [(m.__name__, m.__get__(owner)) for m in methods if inspect.isfunction(m)]
    return found


def _names_in(code: CodeType) -> Iterator[str]:
    """Yield the names that code looks up, and those of the functions written within it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _is_filled(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _is_traced_code(value: Any) -> bool:
    """Whether a value is a function whose variables may be parameters: none of ours or NumPy's."""
    function = value.func if isinstance(value, functools.partial) else value
    function = getattr(function, "__func__", function)
    return inspect.isfunction(function) and not is_library(function.__code__.co_filename)


def tensors_of(function: Any) -> list[Tensor]:
    """Return the leaves of floating-point numbers among a function's variables, each once."""
    found = (
        tensor for name, value in variables_of(function) for _, tensor in _tensors_in(name, value)
    )
    return list(dict.fromkeys(t for t in found if t.op is None and t.dtype.kind == "f"))


def _tensors_in(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Module):
        for path, tensor in value._named_state():
            yield f"{name}.{path}", tensor
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from _tensors_in(f"{name}_{i}", part)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _tensors_in(str(key), part)


def _identifier(path: str) -> str:
    """Return a variable name for a path: ``weight_0`` for ``0.weight``."""
    number, dot, rest = path.partition(".")
    if dot and number.isdigit():
        path = f"{rest}_{number}"
    name = re.sub(r"\W", "_", path)
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"p_{name}"


def unused(name: str, taken: set[str]) -> str:
    """Return the name, or with a number where it is taken.

    Examples
    --------
    >>> unused("tanh", {"tanh", "tanh_2"})
    'tanh_3'
    """
    if name not in taken:
        return name
    return next(f"{name}_{i}" for i in range(2, len(taken) + 3) if f"{name}_{i}" not in taken)
