"""An optimizer's rule as text, from the optimizer's own source.

An optimizer whose rule is elementwise has three parts (see `optim.adam`): the rule, a function of
one coordinate; the loop that applies it to all coordinates; and `coefficients`, the scalars of step
t.  `update_of` reads the source of rule and coefficients, and of what they call, and returns it as
plain functions: one text that runs in Python as it stands, and that Numba compiles.

What can only be one way in one text is settled in it: flags stand there as constants, and a choice
that depends on nothing but hyperparameters (``if not momentum:``) as the branch that is taken.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import itertools
import math
import operator
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Update", "update_of"]

MODULES = {"math": math, "np": np}
WIDTH = 100


@dataclass(frozen=True)
class Update:
    """The rule of one parameter group.

    Attributes
    ----------
    definitions : str
        Functions that need nothing but `math` and NumPy as ``np``: the two named here, and what
        they call.
    rule : str
        ``rule(x, g, *states, *coefficients)`` returns the new x and states; x alone if there are
        none.
    coefficients : str
        ``coefficients(t, *hyperparameters)`` returns a tuple.
    states : tuple of str
        Names of the state arrays, in the rule's order.
    hyperparameters : tuple of str
        What `coefficients` takes after t: numbers, or tuples of numbers.
    maximize : bool
        Whether the rule is to be given -g.
    """

    definitions: str
    rule: str
    coefficients: str
    states: tuple[str, ...]
    hyperparameters: tuple[str, ...]
    maximize: bool


def update_of(group: Any) -> Update:
    """Return the rule of an optimizer's parameter group, as it is with its hyperparameters now.

    Parameters
    ----------
    group : optim.ParamGroup
        One of ``optimizer.param_groups``.

    Returns
    -------
    Update
        The same object until a flag changes, or until a number becomes 0 or stops being 0.

    Raises
    ------
    TypeError
        If the rule is not elementwise, or is written in another way than those of `optim`.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> from optim import SGD
    >>> (group,) = SGD([Tensor([1.0], requires_grad=True)], momentum=0.9).param_groups
    >>> update = update_of(group)
    >>> print(update.definitions)
    def sgd_momentum_rule(x, g, b, lr, momentum, one_minus_dampening, weight_decay):
        \"\"\"The same with momentum; returns the new x and b.\"\"\"
        g = g + weight_decay * x
        b = momentum * b + one_minus_dampening * g
        x = x - lr * b
        return x, b
    <BLANKLINE>
    <BLANKLINE>
    def sgd_momentum_coefficients(t, lr, momentum, dampening, weight_decay):
        \"\"\"η; μ and 1-τ (1 at t = 1), if there is momentum; λ.\"\"\"
        return lr, momentum, 1.0 if t == 1 else 1 - dampening, weight_decay
    >>> update.states, update.hyperparameters
    (('b',), ('lr', 'momentum', 'dampening', 'weight_decay'))
    """
    flags, nonzero = [], []
    for name, value in group._values.items():
        if value is None or isinstance(value, bool | str):
            flags.append((name, value))
        else:
            nonzero.append((name, bool(value)))
    return _update_of(group._optimizer, group._loop, tuple(flags), tuple(nonzero))


@functools.lru_cache(maxsize=256)
def _update_of(
    optimizer: Any, loop: Any, flags: tuple[Any, ...], nonzero: tuple[Any, ...]
) -> Update:
    try:
        if optimizer.step.__module__ != "optim.optimizer":
            raise _NotSoWritten("it has a step() of its own")
        rule, states = _rule_and_states(loop)
        return _written(optimizer, rule, states, dict(flags), dict(nonzero))
    except _NotSoWritten as error:
        raise TypeError(
            f"{optimizer.__name__} has no rule that can be written down: {error}. Train with it "
            "eagerly, loss.backward() and optimizer.step()"
        ) from None


class _NotSoWritten(Exception):
    """The optimizer is not written as those of `optim` are."""


def _rule_and_states(loop: Any) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """Return the rule that a loop applies to each coordinate, and what it calls the states."""
    function = inspect.unwrap(loop) if hasattr(loop, "__wrapped__") else None
    if not inspect.isfunction(function):
        raise _NotSoWritten(
            "its rule is not elementwise, a loop over the coordinates that optim.loop compiles"
        )
    node = _source(function)
    names = [argument.arg for argument in node.args.args]
    match names, node.body[-1]:
        case [x, g, *states, sign, coefficients], ast.For(
            target=ast.Name(id=i), body=[ast.Assign(value=ast.Call(func=ast.Name(id=rule)))]
        ):
            arrays = [f"{name}[{i}]" for name in (x, *states)]
            given = ", ".join([arrays[0], f"{sign} * {g}[{i}]", *arrays[1:], f"*{coefficients}"])
            loop_like = f"for {i} in prange({x}.size): {', '.join(arrays)} = {rule}({given})"
            if ast.dump(ast.parse(loop_like).body[0]) == ast.dump(node.body[-1]):
                return function.__globals__[rule], tuple(states)
    raise _NotSoWritten(
        f"{function.__name__} is not one rule applied to every coordinate, as adam_loop is"
    )


def _written(
    optimizer: Any,
    rule: Callable[..., Any],
    states: tuple[str, ...],
    flags: dict[str, Any],
    nonzero: dict[str, bool],
) -> Update:
    """Write the functions down."""
    texts: dict[str, str] = {}
    node = _source(rule)
    _require_positional(node)
    stem = rule.__name__.removesuffix("_rule")
    _add(texts, node, rule)

    coefficients = optimizer.coefficients
    node = _source(coefficients)
    settle = _Settle(flags, nonzero)
    node.body = _until_return([settle.visit(statement) for statement in node.body])
    used = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    arguments = node.args
    if len(arguments.args) != 1 or not used.isdisjoint(
        argument.arg for argument in (arguments.vararg, arguments.kwarg) if argument
    ):
        raise _NotSoWritten("its coefficients() does not take t and hyperparameters by name")
    kept = [argument for argument in arguments.kwonlyargs if argument.arg in used]
    node.args = ast.arguments(
        posonlyargs=[], args=[arguments.args[0], *kept],
        kwonlyargs=[], kw_defaults=[], defaults=[],
    )  # fmt: skip
    # One name must not stand for two texts, where groups of one optimizer have other flags.
    settled = [name for name in settle.true if name not in stem]
    node.name = "_".join([stem, *settled, "coefficients"])
    _add(texts, node, coefficients)
    return Update(
        definitions="\n\n\n".join(texts.values()),
        rule=rule.__name__,
        coefficients=node.name,
        states=states,
        hyperparameters=tuple(argument.arg for argument in kept),
        maximize=flags.get("maximize", False),
    )


class _Settle(ast.NodeTransformer):
    """Put flags into the text, and the branches that hyperparameters choose."""

    def __init__(self, flags: dict[str, Any], nonzero: dict[str, bool]) -> None:
        self.flags, self.nonzero = flags, nonzero
        self.true: list[str] = []  # the names that a settled choice found to be true

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self.flags:
            return node
        self._note(node.id, bool(self.flags[node.id]))
        return ast.copy_location(ast.Constant(self.flags[node.id]), node)

    def visit_If(self, node: ast.If) -> Any:
        truth = self._truth(node.test)
        if truth is None:
            return self.generic_visit(node)
        return [self.visit(statement) for statement in (node.body if truth else node.orelse)]

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        truth = self._truth(node.test)
        if truth is None:
            return self.generic_visit(node)
        return ast.copy_location(self.visit(node.body if truth else node.orelse), node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Join two tuples that are added."""
        self.generic_visit(node)
        match node:
            case ast.BinOp(ast.Tuple(first), ast.Add(), ast.Tuple(second)):
                return ast.Tuple([*first, *second], ast.Load())
        return node

    def _truth(self, test: ast.expr) -> bool | None:
        """Whether a condition holds, if hyperparameters alone decide that."""
        match test:
            case ast.Name(id=name) if name in self.nonzero:
                self._note(name, self.nonzero[name])
                return self.nonzero[name]
            case ast.UnaryOp(ast.Not(), operand):
                truth = self._truth(operand)
                return None if truth is None else not truth
            case ast.BoolOp(kind, operands):
                known = [self._truth(operand) for operand in operands]
                decisive = isinstance(kind, ast.Or)
                if decisive in known or None not in known:
                    return decisive in known if decisive else False not in known
                return None
        names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
        if not names <= self.flags.keys():
            return None
        for name in sorted(names):
            self._note(name, bool(self.flags[name]))
        constant = ast.Expression(ast.fix_missing_locations(test))
        return bool(eval(compile(constant, "<test>", "eval"), {"__builtins__": {}}, self.flags))

    def _note(self, name: str, truth: bool) -> None:
        if truth and name not in self.true:
            self.true.append(name)


def _source(function: Callable[..., Any]) -> ast.FunctionDef:
    """Return the function's source as a tree."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError):
        raise _NotSoWritten(
            f"the source of {function.__name__} is in no file, and so cannot be read"
        ) from None
    if not isinstance(tree, ast.FunctionDef):
        raise _NotSoWritten(f"{function.__name__} is not written as def {function.__name__}(...)")
    return tree


def _require_positional(node: ast.FunctionDef) -> None:
    if node.args.kwonlyargs or node.args.vararg or node.args.kwarg:
        raise _NotSoWritten(f"{node.name} takes arguments by name")


def _until_return(statements: list[Any]) -> list[ast.stmt]:
    """Return statements, of which some are lists, up to the first that returns."""
    flat: list[ast.stmt] = []
    for statement in statements:
        flat += statement if isinstance(statement, list) else [statement]
        if isinstance(flat[-1], ast.Return):
            break
    return flat


def _add(texts: dict[str, str], node: ast.FunctionDef, function: Callable[..., Any]) -> None:
    """Add a function to `texts`, behind what it calls."""
    own = {a.arg for a in [*node.args.posonlyargs, *node.args.args]}
    own |= {
        name.id
        for name in ast.walk(node)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }
    body = [*node.body, *map(ast.Expr, node.args.defaults)]
    for name in dict.fromkeys(_names(body)):
        if name in own or hasattr(builtins, name):
            continue
        value = function.__globals__.get(name)
        if MODULES.get(name, texts) is value:
            continue
        if isinstance(value, int | float):
            text = f"{name} = {value!r}"
        elif inspect.isfunction(value):
            called = inspect.unwrap(value)  # without what remembers its results
            inner = _source(called)
            _require_positional(inner)
            if name not in texts:
                _add(texts, inner, called)
            text = _text(inner)
        else:
            raise _NotSoWritten(
                f"{function.__name__} uses {name}, which is no function, no number, and neither "
                "math nor np"
            )
        if texts.setdefault(name, text) != text:
            raise _NotSoWritten(f"two different things in it have the name {name}")
    texts[node.name] = _text(node)


def _names(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                yield node.id


def _text(node: ast.FunctionDef) -> str:
    """Return a function's text: no decorators, no types, one line of docstring."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    parts = [(a.lineno, a.arg) for a in arguments]
    for i, default in enumerate(reversed(node.args.defaults), start=1):
        parts[-i] = (parts[-i][0], f"{parts[-i][1]}={ast.unparse(default)}")
    lines = _laid_out(f"def {node.name}(", parts, "):")
    body = node.body
    if (docstring := ast.get_docstring(node)) is not None:
        lines.append(f'    """{docstring.splitlines()[0]}"""')
        body = body[1:]
    for statement in body:
        lines += [" " * 4 + line for line in _statement(statement)]
    return "\n".join(lines)


def _statement(statement: ast.stmt) -> list[str]:
    """Return the lines of a statement."""
    match statement:
        case ast.Return(ast.Tuple(elements)) if len(elements) > 1:
            return _laid_out("return ", [(e.lineno, ast.unparse(e)) for e in elements], "")
    return ast.unparse(ast.fix_missing_locations(statement)).splitlines()


def _laid_out(before: str, parts: list[tuple[int, str]], after: str) -> list[str]:
    """Return parts with commas between them in one line, or in the lines that they came from."""
    line = before + ", ".join(part for _, part in parts) + after
    if len(line) <= WIDTH - 4:
        return [line]
    rows = ["    " + ", ".join(part for _, part in row) + "," for _, row in _by_line(parts)]
    return [before.rstrip("(") + "(", *rows, after or ")"]


def _by_line(
    parts: list[tuple[int, str]],
) -> Iterator[tuple[int, Iterator[tuple[int, str]]]]:
    return itertools.groupby(parts, key=operator.itemgetter(0))
