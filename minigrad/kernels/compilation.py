"""How the loops are compiled.

Numba keeps machine code until a loop's own file changes, and does not see a change in this one:
after another choice of flags, delete the ``__pycache__`` folder beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

__all__ = ["FUSE", "REORDER", "kernel"]

Function = TypeVar("Function", bound=Callable[..., Any])

# What the compiler may do beside IEEE's arithmetic: fuse a product and a sum, which rounds once
# instead of twice; and in loops that sum up, add in another order, several numbers at once.
FUSE = {"contract"}
REORDER = {"contract", "reassoc"}


def kernel(fastmath: set[str]) -> Callable[[Function], Function]:
    """Compile a loop, and keep the machine code on disk where that is possible."""

    def compiled(loop: Function) -> Function:
        options = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
        try:
            return njit(cache=True, **options)(loop)
        except RuntimeError:  # no folder can be written
            return njit(**options)(loop)

    return compiled
