"""The nodes of a trace in the making, each with what is known of it when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from minigrad.tracing.frames import TRACING, asked_at, assigned, is_library
from minigrad.tracing.node import EAGER, Check, Kind, Node, Section, Site, Unsupported

__all__ = ["Recorder", "called"]

ENGINE = tuple(
    f"{os.sep}{name}.py"
    for name in ("primitive", "backward", "tensor", "record", "symbol", "forms", "trace")
)


class Recorder:
    """The nodes so far, and to what the next one belongs.

    Attributes
    ----------
    refused : Unsupported or None
        The first refusal: a traced function that catches it does not make the step traceable.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.nodes: list[Node] = []
        self.checks: list[Check] = []
        self.row = 0
        self.section: Section = "forward"
        self.code: CodeType | None = getattr(function, "__code__", None)
        self.refused: Unsupported | None = None
        self._constants: dict[int, tuple[npt.NDArray[Any], Node]] = {}
        self._last_site: tuple[int, int] | None = None
        self._round = 0

    def leaf(self, kind: Kind, value: npt.NDArray[Any], name: str = "") -> Node:
        """Return a new input, parameter or constant."""
        return Node(kind, value, name=name)

    def constant(self, value: npt.NDArray[Any]) -> Node:
        """Return the node of an array that is no input: one for each, with a copy of its values."""
        kept = self._constants.get(id(value))  # which nothing else gets while we hold the array
        if kept is None:
            kept = self._constants[id(value)] = value, self.leaf("constant", value.copy(order="K"))
        self._check_constant(*kept)
        return kept[1]

    def check_constants(self) -> None:
        """Refuse arrays that were changed after they were used: a VJP that needs one is wrong."""
        for value, node in self._constants.values():
            self._check_constant(value, node)

    def _check_constant(self, value: npt.NDArray[Any], node: Node) -> None:
        if not _same_bits(value, node.value):
            self.refuse(
                Unsupported(
                    f"an array of shape {value.shape} was changed in place after the step had "
                    f"used it, so its gradient would be another; make a new one, or {EAGER}"
                )
            )

    def refuse(self, error: Unsupported) -> NoReturn:
        """Raise the error, and remember it."""
        self.refused = self.refused or error
        raise error

    def operation(
        self,
        value: Any,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        options: dict[str, Any],
    ) -> Symbol:
        """Note a call whose result is `value`."""
        if isinstance(value, tuple | list) or not hasattr(value, "dtype"):
            self.refuse(
                Unsupported(
                    f"{called(function)} at {asked_at()} gives no single array, so a traced step "
                    f"cannot hold it; {EAGER}"
                )
            )
        node = Node(
            "operation", np.asarray(value), function,
            tuple(map(self._operand, arguments)),
            {key: self._option(x) for key, x in options.items()},
            row=self.row, section=self.section,
        )  # fmt: skip
        node.name, node.site = self._names()
        self.nodes.append(node)
        result = Symbol(node, self)
        result.is_scalar = isinstance(value, np.generic)
        return result

    def _operand(self, x: Any) -> Any:
        """Return a node for a Symbol and for an array; a number as it is."""
        if isinstance(x, Symbol):
            return x.node
        if isinstance(x, np.ndarray | np.generic):
            return self.constant(x if isinstance(x, np.ndarray) else np.asarray(x))
        if isinstance(x, list | tuple):
            return type(x)(map(self._operand, x))
        return x

    def _option(self, x: Any) -> Any:
        """Return a node for a Symbol; an array, such as an index, stays one, with its values."""
        if isinstance(x, Symbol):
            return x.node
        if isinstance(x, np.ndarray):
            return self.constant(x).value
        if isinstance(x, list | tuple):
            return type(x)(map(self._option, x))
        return x

    def _names(self) -> tuple[str, tuple[Site, str] | None]:
        """What the code that called NumPy assigns the result to: in the library, in the loss."""
        inner: str | None = None
        frame: FrameType | None = sys._getframe(3)  # past this, `operation` and what called it
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


def _same_bits(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> bool:
    return (x.shape, x.dtype) == (y.shape, y.dtype) and x.tobytes() == y.tobytes()


def called(function: Callable[..., Any]) -> str:
    """Return how a function of NumPy is called: ``np.linalg.solve``."""
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module.replace('numpy', 'np', 1)}.{getattr(function, '__name__', function)}"


from minigrad.tracing.symbol import Symbol  # noqa: E402  last, as it is made of a Recorder
