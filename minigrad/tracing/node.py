"""What a trace consists of: calls of NumPy, what they are called with, and what they give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from minigrad.tensor import Tensor

__all__ = ["EAGER", "Check", "Node", "Section", "Site", "Trace", "Unsupported", "ValueNeeded"]

Kind = Literal["input", "parameter", "constant", "operation"]
Section = Literal["forward", "backward"]
Site = tuple[int, int, int]
"""A call in the traced function: frame, instruction, and a number that rises with others."""

EAGER = "train eagerly instead: loss.backward(), then optimizer.step()"


class Unsupported(TypeError):
    """The step does something that cannot be written down."""


class ValueNeeded(Unsupported):
    """The step's course depends on values, of which a trace knows none."""


class Node:
    """One call of NumPy, or what a step begins with; compared by identity.

    Attributes
    ----------
    kind : {"input", "parameter", "constant", "operation"}
    function : callable or None
        What an operation calls: a ufunc or another function of NumPy, `operator.getitem`, or
        `minigrad.linear_maps.scatter`.
    arguments : tuple
        Its operands: nodes and Python numbers.
    options : dict
        What else it is called with: axis, keepdims, shape, axes, index, dtype.
    shape, dtype
        Of the result.
    value : ndarray
        The result, for the arrays with which the step was traced; a constant's only one.
    name : str
        Of an input or parameter, its variable; of an operation, what it may be called, or "".
    row : int
        Numbers the applications of primitives and of VJPs; an operation belongs to one.
    section : {"forward", "backward"}
    site : tuple or None
        Of the call in the traced function that made this: its `Site`, and the variable that gets
        the call's result.
    of : Node or None
        What this is the gradient of, or a summand of that.
    """

    __slots__ = (
        "arguments", "dtype", "function", "kind", "name", "of", "options", "row", "section",
        "shape", "site", "value",
    )  # fmt: skip

    def __init__(
        self,
        kind: Kind,
        value: npt.NDArray[Any],
        function: Callable[..., Any] | None = None,
        arguments: tuple[Any, ...] = (),
        options: dict[str, Any] | None = None,
        *,
        name: str = "",
        row: int = 0,
        section: Section = "forward",
    ) -> None:
        self.kind, self.value, self.function = kind, value, function
        self.arguments, self.options = arguments, options or {}
        self.shape: tuple[int, ...] = value.shape
        self.dtype: np.dtype[Any] = value.dtype
        self.name, self.row, self.section = name, row, section
        self.site: tuple[Site, str] | None = None
        self.of: Node | None = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def operands(self) -> list[Node]:
        """The nodes that are computed before: among the arguments, and in an index."""
        return list(_nodes_in((self.arguments, *self.options.values())))

    def __repr__(self) -> str:
        what = self.kind if self.function is None else getattr(self.function, "__name__", "call")
        return f"<{what} {self.name}{' ' if self.name else ''}{self.shape} {self.dtype}>"


def _nodes_in(x: Any) -> Iterator[Node]:
    if isinstance(x, Node):
        yield x
    elif isinstance(x, tuple | list):
        for part in x:
            yield from _nodes_in(part)


class Check:
    """What an input's values have to fulfil, or compiled code would read anywhere.

    Attributes
    ----------
    node : Node
        Integers, each of which has to be at least 0 and below `count`.
    count : int
    complaint : str
        Who needs it: function and what the numbers are.
    """

    __slots__ = ("complaint", "count", "node")

    def __init__(self, node: Node, count: int, complaint: str) -> None:
        self.node, self.count, self.complaint = node, count, complaint


@dataclass(frozen=True)
class Trace:
    """A step, written down: what `trace` returns, and `source` and `compile` read.

    Attributes
    ----------
    name : str
        Of the traced function.
    inputs : tuple of Node
        The arrays it was called with.
    parameters : tuple of Node
        One for each leaf with `requires_grad` on which the loss depends.
    tensors : tuple of Tensor
        These leaves.
    loss : Node
        Of shape ().
    gradients : tuple of Node
        ∂loss/∂parameter, each of its parameter's shape and dtype.
    nodes : tuple of Node
        The operations that loss and gradients take, each after those it needs.
    checks : tuple of Check
        What the values of inputs have to fulfil.
    optimizer : Optimizer or None
        Whose step comes at the end, if the traced function makes one.
    fixed : tuple of Node
        One for each leaf without `requires_grad` that is read, such as a frozen parameter: what it
        holds may change between steps, and no step changes it.
    fixed_tensors : tuple of Tensor
        These leaves.
    """

    name: str
    inputs: tuple[Node, ...]
    parameters: tuple[Node, ...]
    tensors: tuple[Tensor, ...]
    loss: Node
    gradients: tuple[Node, ...]
    nodes: tuple[Node, ...]
    checks: tuple[Check, ...]
    optimizer: Any = None
    fixed: tuple[Node, ...] = ()
    fixed_tensors: tuple[Tensor, ...] = ()

    @property
    def arguments(self) -> tuple[Node, ...]:
        """What the step is given: inputs, parameters and what is fixed."""
        return *self.inputs, *self.parameters, *self.fixed

    def __repr__(self) -> str:
        inputs = ", ".join(f"{node.name}: {node.shape}" for node in self.inputs)
        parameters = ", ".join(f"{node.name}: {node.shape}" for node in self.parameters)
        return f"<trace of {self.name}({inputs}), by {parameters}: {len(self.nodes)} operations>"
