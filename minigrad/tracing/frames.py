"""Where in the traced code a call stands: which line, and which variable gets its result."""

from __future__ import annotations

import dis
import linecache
import os
import sys
from pathlib import Path
from types import CodeType, FrameType

import numpy as np

from minigrad.primitive import Primitive

__all__ = ["asked_at", "asking", "assigned", "is_library", "optimizer_call"]

PASSING_ON = tuple(f"minigrad{os.sep}{name}.py" for name in ("tensor", "methods", "primitive"))
TRACING = str(Path(__file__).parent) + os.sep
PACKAGE = str(Path(__file__).parents[1]) + os.sep
OPTIM = str(Path(__file__).parents[2] / "optim") + os.sep
NUMPY = str(Path(np.__file__).parent) + os.sep


def is_library(file: str) -> bool:
    """Whether a source file is ours or NumPy's, and not that of a traced function."""
    return file.startswith((PACKAGE, OPTIM, NUMPY))


STORES = ("STORE_FAST", "STORE_FAST_LOAD_FAST", "STORE_NAME", "STORE_DEREF", "STORE_GLOBAL")

_instructions: dict[CodeType, dict[int, str]] = {}


def assigned(code: CodeType, offset: int) -> str:
    """Return the variable to which the result of the instruction at `offset` goes.

    "" if it goes into an expression, "return" if the function returns it.
    """
    names = _instructions.get(code)
    if names is None:
        names, before = {}, 0
        for instruction in dis.get_instructions(code):
            found = ""
            if instruction.opname in STORES:
                stored = instruction.argval  # with what is loaded next, where that is one
                found = stored[0] if isinstance(stored, tuple) else str(stored)
            elif instruction.opname == "RETURN_VALUE":
                found = "return"
            found = found if found.isidentifier() else ""  # @py_assert1 is pytest's own
            # A frame that waits for a call stands on it, or on the cache behind it.
            names.update(dict.fromkeys(range(before, instruction.offset, 2), found))
            before = instruction.offset
        _instructions[code] = names
    return names.get(offset, "")


def asked_at() -> str:
    """Return the place in the traced code that called us: file, line and the line's text."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_library(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return "an unknown line"
    return _place(frame.f_code.co_filename, frame.f_lineno)


def _place(file: str, line: int) -> str:
    text = linecache.getline(file, line).strip()
    return f"{file}:{line}" + (f": `{text}`" if text else "")


def optimizer_call(error: BaseException) -> str:
    """Return which function of `optim` raised, and where it was called; "" if none did."""
    traceback, place = error.__traceback__, "an unknown line"
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename.startswith(OPTIM):
            return f"{code.co_name} at {place}"
        if not is_library(code.co_filename):
            place = _place(code.co_filename, traceback.tb_lineno)
        traceback = traceback.tb_next
    return ""


def asking() -> str:
    """Return the name of the library's function that called us, or "" if the traced code did.

    The primitive's, if it is one, else that which the traced code called.  A Tensor's own methods
    only pass on what they are asked.
    """
    frame: FrameType | None = sys._getframe(1)
    name = ""
    while frame is not None and is_library(frame.f_code.co_filename):
        code, file = frame.f_code, frame.f_code.co_filename
        if isinstance(primitive := frame.f_locals.get("self"), Primitive):
            return primitive.name
        if not file.startswith((TRACING, NUMPY)) and not file.endswith(PASSING_ON):
            name = code.co_name
        frame = frame.f_back
    return name
