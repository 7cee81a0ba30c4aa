"""The nodes of a trace in the making, each with what is known of it when it is called."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.tracing.frames import TRACING, assigned, is_library
from minigrad.tracing.node import EAGER, Check, Kind, Node, Section, Site, Unsupported

__all__ = ["Recorder"]

ENGINE = tuple(
    f"{name}.py"
    for name in ("primitive", "backward", "tensor", "record", "symbol", "forms", "trace")
)


class Recorder:
    """The nodes so far, and to what the next one belongs."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.nodes: list[Node] = []
        self.checks: list[Check] = []
        self.row = 0
        self.section: Section = "forward"
        self.code: CodeType | None = getattr(function, "__code__", None)
        self._constants: dict[int, tuple[Any, Node]] = {}
        self._last_site: tuple[int, int] | None = None
        self._round = 0

    def leaf(self, kind: Kind, value: npt.NDArray[Any], name: str = "") -> Node:
        """Return a new input, parameter or constant."""
        return Node(kind, value, name=name)

    def constant(self, value: npt.NDArray[Any]) -> Node:
        """Return the node of an array that is no input: one for each array."""
        if id(value) not in self._constants:
            self._constants[id(value)] = value, self.leaf("constant", value)
        return self._constants[id(value)][1]

    def operation(
        self,
        value: Any,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        options: dict[str, Any],
    ) -> Symbol:
        """Note a call whose result is `value`."""
        if isinstance(value, tuple | list) or not hasattr(value, "dtype"):
            raise Unsupported(
                f"{_called(function)} gives no single array, so a traced step cannot hold it; "
                + EAGER
            )
        node = Node(
            "operation", np.asarray(value), function,
            tuple(self._operand(x) for x in arguments),
            {key: self._operand(x, bare=True) for key, x in options.items()},
            row=self.row, section=self.section,
        )  # fmt: skip
        node.name, node.site = self._names()
        self.nodes.append(node)
        return Symbol(node, self)

    def _operand(self, x: Any, bare: bool = False) -> Any:
        if isinstance(x, Symbol):
            return x.node
        if isinstance(x, np.ndarray | np.generic) and not bare:
            return self.constant(x if isinstance(x, np.ndarray) else np.asarray(x))
        if isinstance(x, list | tuple):
            return type(x)(self._operand(part, bare) for part in x)
        return x

    def _names(self) -> tuple[str, tuple[Site, str] | None]:
        """What the code that called NumPy assigns the result to: in the library, in the loss."""
        inner: str | None = None
        frame: FrameType | None = sys._getframe(3)
        while frame is not None:
            code = frame.f_code
            if code.co_name == "trace" and code.co_filename == TRACING + "trace.py":
                break  # the engine's own call: what asked for the trace has no name for its parts
            if code is self.code or not is_library(code.co_filename):
                site = (id(frame), frame.f_lasti)
                if site != self._last_site:
                    self._last_site, self._round = site, self._round + 1
                name = assigned(code, frame.f_lasti)
                named = name not in ("", "return")
                return inner or "", ((*site, self._round), name) if named else None
            if inner is None and not code.co_filename.endswith(ENGINE):
                inner = assigned(code, frame.f_lasti)
                if inner == "return":
                    inner = None  # perhaps the caller has a name for it
                elif len(inner) == 1:
                    inner = ""  # z and w say nothing here
            frame = frame.f_back
        return inner or "", None


def _called(function: Callable[..., Any]) -> str:
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module.replace('numpy', 'np', 1)}.{getattr(function, '__name__', function)}"


from minigrad.tracing.symbol import Symbol  # noqa: E402  last, as it is made of a Recorder
