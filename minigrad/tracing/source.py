"""`source`: a trace as the text of a plain NumPy function.

A statement stands for the application of one primitive, forward or backward; a part of it that is
needed twice is a statement of its own.  Expressions are built as Python's syntax trees, and `ast`
writes them down.
"""

from __future__ import annotations

import ast
import itertools
import math
import operator
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.linear_maps import scatter
from minigrad.tracing.names import RESERVED, unused, variable_names
from minigrad.tracing.node import EAGER, Node, Trace, Unsupported

if TYPE_CHECKING:
    from minigrad.tracing.rule import Update

__all__ = ["Formulas", "source"]

LINE = 94  # characters, within the function
WRITTEN_OUT = 1000  # elements of a constant

OPERATORS: dict[Any, ast.operator] = {
    np.add: ast.Add(),
    np.subtract: ast.Sub(),
    np.multiply: ast.Mult(),
    np.divide: ast.Div(),
    np.power: ast.Pow(),
    np.matmul: ast.MatMult(),
    np.floor_divide: ast.FloorDiv(),
    np.remainder: ast.Mod(),
}
COMPARISONS: dict[Any, ast.cmpop] = {
    np.equal: ast.Eq(),
    np.not_equal: ast.NotEq(),
    np.less: ast.Lt(),
    np.less_equal: ast.LtE(),
    np.greater: ast.Gt(),
    np.greater_equal: ast.GtE(),
}
REDUCTIONS = {np.sum, np.mean, np.max, np.min, np.prod, np.all, np.any}


def source(trace: Trace) -> str:
    """Return a trace as the text of a Python module with one function, ``step``.

    Parameters
    ----------
    trace : Trace
        What `trace` returned.

    Returns
    -------
    str
        It needs NumPy and nothing else, and computes what the eager engine does, bit for bit (but
        for the sign of a zero, and where that takes a compiled loop for a large array, see the
        notes on `trace`).
        ``step(*inputs, *parameters, *fixed)`` returns the loss and the gradients.  With an
        optimizer, ``step(*inputs, *parameters, *fixed, *states, t)`` returns the loss and the new
        parameters and states; t counts steps from 1, and hyperparameters are those that the
        optimizer has now.

    Raises
    ------
    Unsupported
        If an operation is no function of NumPy, which the message names, or if a constant array
        is too large to be written out.
    TypeError
        If the optimizer's rule is not elementwise.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> from minigrad.tracing import trace
    >>> w, b = Tensor(np.zeros((2, 1)), requires_grad=True), Tensor(np.zeros(1), requires_grad=True)
    >>> def squared_error(X, y):
    ...     error = X @ w + b - y
    ...     return (error**2).sum()
    >>> print(source(trace(squared_error, np.ones((3, 2)), np.ones((3, 1)))), end="")
    import numpy as np
    <BLANKLINE>
    <BLANKLINE>
    def step(X, y, w, b):
        if (X.shape, y.shape) != ((3, 2), (3, 1)):
            raise ValueError(f"shapes {X.shape, y.shape}; this is for (3, 2), (3, 1)")
        # forward
        product = np.dot(X, w)  # (3, 1)
        total = product + b  # (3, 1)
        error = total - y  # (3, 1)
        power = error ** 2  # (3, 1)
        loss = power.sum()  # ()
        # backward
        error_bar = 2.0 * error  # (3, 1)
        b_bar = error_bar.sum(axis=0)  # (1,)
        w_bar = np.dot(X.T, error_bar)  # (2, 1)
        return loss, w_bar, b_bar
    """
    return _Text(trace).module()


class _Text:
    """A trace, and what its nodes are called."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.constants: dict[str, Node] = {}
        self.updates = self._updates()
        definitions = [update.definitions for update, _ in self.updates.values()]
        self.definitions = list(dict.fromkeys(definitions))
        defined = set(re.findall(r"(?m)^(?:def )?(\w+)", "\n".join(definitions)))
        taken = {*defined, *RESERVED, *(node.name for node in trace.arguments)}
        self.states: list[dict[str, str]] = []
        for parameter, (update, _) in self.updates.items():
            places = {s: unused(f"{parameter.name}_{s}", taken) for s in update.states}
            self.states.append(places)
            taken.update(places.values())
        reserved = {*defined, *itertools.chain(*(places.values() for places in self.states))}
        self.statements = self._statements()
        self.names = variable_names(trace, self.statements, reserved)
        while too_long := self._longest_parts():
            self.statements |= too_long
            self.names = variable_names(trace, self.statements, reserved)

    def module(self) -> str:
        """Return the whole text."""
        arguments = [self.names[node] for node in self.trace.arguments]
        if self.trace.optimizer is not None:
            arguments += [*itertools.chain(*(places.values() for places in self.states)), "t"]
        body = textwrap.indent("\n".join(self.body()), "    ")
        step = f"{_wrapped('def step(', arguments, '):')}\n{body}"
        constants = "\n".join(
            f"{name} = {ast.unparse(_array(node.value))}" for name, node in self.constants.items()
        )
        parts = [part for part in (constants, *self.definitions, step) if part]
        imports = "import numpy as np"
        if any("math." in part for part in self.definitions):
            imports = f"import math\n\n{imports}"
        return "\n\n\n".join((imports, *parts)) + "\n"

    def body(self) -> Iterator[str]:
        """Yield the lines of the function."""
        if self.trace.inputs:
            given = ", ".join(f"{self.names[node]}.shape" for node in self.trace.inputs)
            traced = ", ".join(str(node.shape) for node in self.trace.inputs)
            several = len(self.trace.inputs) > 1
            left, right = (f"({given})", f"({traced})") if several else (given, traced)
            yield f"if {left} != {right}:"
            yield f'    raise ValueError(f"shapes {{{given}}}; this is for {traced}")'
        section = ""
        for node in self.trace.nodes:
            if node not in self.statements:
                continue
            if node.section != section:
                section = node.section
                yield f"# {section}"
            yield from self.statement(node)
        results = [self.trace.loss, *self.trace.gradients]
        if self.trace.optimizer is not None:
            yield from self.update()
            results = [self.trace.loss, *self.trace.parameters]
        returned = [ast.unparse(self.use(node)) for node in results]
        returned += itertools.chain(*(places.values() for places in self.states))
        yield _wrapped("return (", returned, ")")

    # The optimizer's rule

    def _updates(self) -> dict[Node, tuple[Update, Any]]:
        """Return for the parameters of the optimizer their rule, and their group."""
        if self.trace.optimizer is None:
            return {}
        from minigrad.tracing.rule import update_of

        groups = {p: group for group in self.trace.optimizer.param_groups for p in group.params}
        nodes = dict(zip(self.trace.tensors, self.trace.parameters, strict=True))
        return {
            node: (update_of(groups[tensor]), groups[tensor])
            for tensor, node in nodes.items()
            if tensor in groups
        }

    def update(self) -> Iterator[str]:
        """Yield the lines in which the optimizer makes its step."""
        yield "# update"
        before = ""
        gradients = dict(zip(self.trace.parameters, self.trace.gradients, strict=True))
        for (parameter, (update, group)), places in zip(
            self.updates.items(), self.states, strict=True
        ):
            values = ", ".join(f"{name}={group[name]!r}" for name in update.hyperparameters)
            coefficients = f"{update.coefficients}(t{', ' if values else ''}{values})"
            if parameter.dtype == np.float32:
                coefficients = f"[np.float32(x) for x in {coefficients}]"
            if coefficients != before:
                before = coefficients
                yield f"c = {coefficients}"
            x, g = self.names[parameter], ast.unparse(self.use(gradients[parameter]))
            results = ", ".join((x, *places.values()))
            arguments = [x, f"-{g}" if update.maximize else g, *places.values(), "*c"]
            yield _wrapped(f"{results} = {update.rule}(", arguments, ")")

    def statement(self, node: Node) -> Iterator[str]:
        shape = f"  # {node.shape}"
        if node.function is scatter:
            name = self.names[node]
            yield f"{name} = np.zeros({node.shape}, np.{node.dtype}){shape}"
            yield from self.scattered(node, name)
            return
        yield f"{self.names[node]} = {ast.unparse(self.expression(node))}{shape}"

    def scattered(self, node: Node, name: str) -> Iterator[str]:
        index, x = node.options["index"], self.use(node.arguments[0])
        where = self.index(index)
        parts = index if isinstance(index, tuple) else (index,)
        if all(part is None or part is ... or isinstance(part, int | slice) for part in parts):
            where = ast.Subscript(ast.Name(name), where, ast.Load())
            yield f"{ast.unparse(where)} = {ast.unparse(x)}"
        else:
            if any(isinstance(part, slice) for part in parts):
                where = ast.Subscript(ast.Name("np.s_"), where, ast.Load())
            yield f"np.add.at({name}, {ast.unparse(where)}, {ast.unparse(x)})"

    # Which nodes are statements

    def _statements(self) -> set[Node]:
        """Results of rows, what is used twice, and parts of what would be too long a line."""
        trace, uses = self.trace, Counter[Node]()
        rows: dict[Node, set[int]] = {}
        for node in trace.nodes:
            for operand in node.operands:
                uses[operand] += 1
                rows.setdefault(operand, set()).add(node.row)
        return {
            node
            for node in trace.nodes
            if node in (trace.loss, *trace.gradients)
            or node.function is scatter
            or (not _is_view(node) and (uses[node] > 1 or rows.get(node, set()) != {node.row}))
        }

    def _longest_parts(self) -> set[Node]:
        """Return, of each statement that is too long for a line, the longest part."""
        found = set()
        for node in self.statements - {self.trace.loss}:
            if max(map(len, self.statement(node))) > LINE:
                parts = [x for x in _parts(node, self.statements) if not _is_view(x)]
                if parts:
                    found.add(max(parts, key=lambda x: len(ast.unparse(self.expression(x)))))
        return found

    # Expressions

    def use(self, x: Any) -> ast.expr:
        """Return what stands for an operand: its name, or its expression."""
        if not isinstance(x, Node):
            return self.option(x)
        if x in self.names:
            return ast.Name(self.names[x])
        if x.kind == "constant":
            return self.constant(x)
        return self.expression(x)

    def expression(self, node: Node) -> ast.expr:
        """Return the call that computes a node."""
        function, options = node.function, node.options
        operands = [self.use(x) for x in node.arguments]
        if function in OPERATORS and len(operands) == 2:
            y = node.arguments[1]
            if function is np.power and node.ndim == 0:  # ** of a number is not that of an array
                return ast.Call(ast.Name("np.power"), operands, [])
            if function is np.add and isinstance(y, float) and y < 0:
                return ast.BinOp(operands[0], ast.Sub(), _literal(-y))
            return ast.BinOp(operands[0], OPERATORS[function], operands[1])
        if function in COMPARISONS:
            return ast.Compare(operands[0], [COMPARISONS[function]], [operands[1]])
        if function is np.negative:
            return ast.UnaryOp(ast.USub(), operands[0])
        if function in REDUCTIONS:
            return _method(operands[0], function.__name__, [], _reduction_options(node))
        if function is np.transpose:
            return _transposed(operands[0], options["axes"])
        if function is np.reshape:
            return _method(operands[0], "reshape", [_literal(options["shape"])])
        if function is np.astype:
            return _method(operands[0], "astype", [ast.Name(f"np.{options['dtype']}")])
        if "index" in options:
            return ast.Subscript(operands[0], self.index(options["index"]), ast.Load())
        called = _function(function)
        if function is np.concatenate:
            operands = [ast.Tuple(operands, ast.Load())]
        keywords = [ast.keyword(key, self.option(x)) for key, x in options.items()]
        call = ast.Call(called, operands, keywords)
        # The engine's is an array of its own; a sum over a view may go another way.
        return _method(call, "copy", []) if function is np.broadcast_to else call

    def option(self, x: Any) -> ast.expr:
        if isinstance(x, Node):
            return self.use(x)
        if isinstance(x, np.ndarray):
            return _array(x)
        if isinstance(x, tuple | list):
            parts = [self.option(part) for part in x]
            return (ast.Tuple if isinstance(x, tuple) else ast.List)(parts, ast.Load())
        if isinstance(x, np.dtype | type):
            return ast.Name(f"np.{np.dtype(x)}")
        return _literal(x)

    def index(self, index: Any) -> ast.expr:
        parts = index if isinstance(index, tuple) else (index,)
        found = [self.part(part) for part in parts]
        return found[0] if len(found) == 1 else ast.Tuple(found, ast.Load())

    def part(self, part: Any) -> ast.expr:
        if isinstance(part, slice):
            bounds = (part.start, part.stop, part.step)
            return ast.Slice(*(None if x is None else _literal(x) for x in bounds))
        if isinstance(part, np.ndarray):
            return _array(part)
        return self.use(part)

    def constant(self, node: Node) -> ast.expr:
        if node.value.size <= 8 or _pattern(node.value) is not None:
            return _array(node.value)
        for name, other in self.constants.items():
            if other is node:
                return ast.Name(name)
        if node.value.size > WRITTEN_OUT:
            raise Unsupported(
                f"a constant array of shape {node.shape} is too large to be written out; make it "
                f"an input of {self.trace.name}, or {EAGER}"
            )
        name = f"CONSTANT_{len(self.constants) + 1}"
        self.constants[name] = node
        return ast.Name(name)


class Formulas(_Text):
    """What nodes compute, as NumPy's expressions in the nodes that have names, for comments."""

    def __init__(
        self, trace: Trace, names: Mapping[Node, str], constant_name: Callable[[Node], str]
    ) -> None:
        self.trace, self.names, self._constant_name = trace, dict(names), constant_name

    def comment(self, node: Node) -> str:
        """Return the assignment of a node, and its shape; without the formula if it is long."""
        name, shape = self.names[node], f"  {node.shape}"
        if node.function is scatter:
            formula = f"zeros with {ast.unparse(self.use(node.arguments[0]))} put in"
        else:
            copied = node.arguments[0] if node.function is np.positive else None
            formula = ast.unparse(self.use(copied) if copied else self.expression(node))
        line = f"{name} = {formula.replace('np.', '')}{shape}"
        return line if len(line) <= LINE else name + shape

    def expression(self, node: Node) -> ast.expr:
        """Return the call that computes a node."""
        if node.function is np.dot:
            x, y = map(self.use, node.arguments)
            return ast.BinOp(x, ast.MatMult(), y)
        return super().expression(node)

    def constant(self, node: Node) -> ast.expr:
        """Return what stands for a constant array."""
        if node.value.size <= 8 or _pattern(node.value) is not None:
            return _array(node.value)
        return ast.Name(self._constant_name(node))


def _parts(node: Node, statements: set[Node]) -> Iterator[Node]:
    """Yield the operations within a statement's expression, below the outermost."""
    for x in node.operands:
        if x.kind == "operation" and x not in statements:
            yield x
            yield from _parts(x, statements)


def _wrapped(head: str, parts: list[str], tail: str) -> str:
    """Return the parts in parentheses on one line, or on several."""
    line = f"{head}{', '.join(parts)}{tail}"
    if len(line) <= LINE:
        return line.replace("return (", "return ").removesuffix(")") if head == "return (" else line
    body = textwrap.fill(", ".join(parts) + ",", LINE, break_long_words=False)
    return f"{head}\n{textwrap.indent(body, '    ')}\n{tail}"


def _is_view(node: Node) -> bool:
    if node.function is operator.getitem:
        parts = node.options["index"]
        return all(x is None or x is ... or isinstance(x, int | slice) for x in parts)
    return node.function in (np.transpose, np.reshape)


def _method(x: ast.expr, name: str, args: list[ast.expr], options: Any = None) -> ast.expr:
    keywords = [ast.keyword(key, _literal(value)) for key, value in (options or {}).items()]
    return ast.Call(ast.Attribute(x, name, ast.Load()), args, keywords)


def _transposed(x: ast.expr, axes: tuple[int, ...]) -> ast.expr:
    n = len(axes)
    if axes == tuple(range(n))[::-1]:
        return ast.Attribute(x, "T", ast.Load())
    if axes == (*range(n - 2), n - 1, n - 2):
        return ast.Attribute(x, "mT", ast.Load())
    return _method(x, "transpose", [_literal(axes)])


def _reduction_options(node: Node) -> dict[str, Any]:
    axis, options = node.options["axis"], {}
    operand = node.arguments[0]
    if len(axis) != operand.ndim or not axis:
        options["axis"] = axis[0] if len(axis) == 1 else axis
    if node.options["keepdims"]:
        options["keepdims"] = True
    return options


def _function(function: Callable[..., Any] | None) -> ast.expr:
    """Return how a function is called: ``np.tanh``, ``np.linalg.solve``."""
    name = getattr(function, "__name__", "")
    if name == "absolute":
        name = "abs"
    for module, prefix in ((np, "np"), (np.linalg, "np.linalg")):
        if getattr(module, name, None) is function:
            return ast.Name(f"{prefix}.{name}")
    raise Unsupported(f"{name or function} is no function of NumPy, so has no NumPy text; {EAGER}")


def _literal(x: Any) -> ast.expr:
    if isinstance(x, tuple | list):
        parts = [_literal(part) for part in x]
        return (ast.Tuple if isinstance(x, tuple) else ast.List)(parts, ast.Load())
    if isinstance(x, np.floating):  # which, unlike Python's numbers, decides on the type
        return ast.Call(ast.Name(f"np.{x.dtype}"), [_literal(x.item())], [])
    if isinstance(x, np.generic):
        x = x.item()
    if isinstance(x, int | float) and not isinstance(x, bool) and math.copysign(1, x) < 0:
        return ast.UnaryOp(ast.USub(), _literal(-x))  # a negative base needs parentheses
    if isinstance(x, float) and (x != x or x == np.inf):
        return ast.Name("np.nan" if x != x else "np.inf")
    return ast.Constant(x)


def _pattern(x: np.ndarray[Any, Any]) -> ast.expr | None:
    """Return an array of equals, or of 0, 1, 2, ..., as a call."""
    if x.ndim and (not x.size or bool(np.all(x == x.flat[0]))):
        dtype = [] if x.dtype == np.float64 else [ast.Name(f"np.{x.dtype}")]
        if not x.size:
            return ast.Call(ast.Name("np.zeros"), [_literal(x.shape), *dtype], [])
        if x.flat[0] in (0, 1) and x.dtype.kind == "f":
            name = "np.ones" if x.flat[0] else "np.zeros"
            return ast.Call(ast.Name(name), [_literal(x.shape), *dtype], [])
        return ast.Call(ast.Name("np.full"), [_literal(x.shape), _literal(x.flat[0]), *dtype], [])
    if x.ndim == 1 and x.dtype == np.intp and np.array_equal(x, np.arange(len(x))):
        return ast.Call(ast.Name("np.arange"), [_literal(len(x))], [])
    return None


def _array(x: np.ndarray[Any, Any]) -> ast.expr:
    found = _pattern(x)
    if found is not None:
        return found
    kind = ast.Name(f"np.{x.dtype}")
    if not x.ndim:
        return ast.Call(kind, [_literal(x.item())], [])
    axes = tuple(int(i) for i in np.argsort([-step for step in x.strides], kind="stable"))
    if axes != tuple(range(x.ndim)):  # as it lies in memory
        back = tuple(int(i) for i in np.argsort(axes))
        return _transposed(_array(x.transpose(axes)), back)
    return ast.Call(ast.Name("np.array"), [_literal(x.tolist()), kind], [])
