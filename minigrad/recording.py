"""Whether operations are recorded: `no_grad`, `enable_grad`; who watches them; what is traced."""

from __future__ import annotations

import threading
from contextlib import ContextDecorator
from typing import Any

__all__ = ["enable_grad", "is_traced", "mode", "no_grad", "watchers"]


class _Mode(threading.local):
    """Whether operations are recorded; each thread has its own answer."""

    recording = True
    transforms = 0  # how many of grad, value_and_grad, ... are running around us


mode = _Mode()

# Objects that are told of every operation and of every gradient, the innermost last: see `anomaly`.
# In all threads, so that the engine has nothing to look up where there are none.
watchers: list[Any] = []


def is_traced(x: Any) -> bool:
    """Whether x stands in for an array, as arrays do while a step is traced: see `tracing`.

    Most code need not ask, as NumPy's functions take both.  What fills an array in place, or looks
    at values, does.
    """
    return getattr(x, "stands_for_array", False)


class _Recording(ContextDecorator):
    """Set `mode.recording` inside a block or a decorated function, and set it back after."""

    value: bool

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(mode.recording)
        mode.recording = self.value

    def __exit__(self, *exception: object) -> None:
        mode.recording = self._before.pop()

    def _recreate_cm(self) -> _Recording:
        return type(self)()  # the calls of one decorated function may overlap, in threads


class no_grad(_Recording):
    """Compute without recording: results inside carry no graph and keep nothing alive.

    Works as a context manager and as a decorator.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> w = Tensor(2.0, requires_grad=True)
    >>> with no_grad():
    ...     z = w * w
    >>> z.requires_grad
    False
    """

    value = False


class enable_grad(_Recording):
    """Record again, inside `no_grad`."""

    value = True
