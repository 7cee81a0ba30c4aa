"""How the loops are compiled.

Numba keeps machine code until a loop's own file changes, and does not see a change in this one:
after another choice of flags, delete the ``__pycache__`` folder beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit, types
from numba.extending import intrinsic

__all__ = ["FUSE", "REORDER", "full_width", "kernel"]

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


@intrinsic  # type: ignore[untyped-decorator]
def full_width(typing: Any) -> Any:
    """Let the loops of this function use the processor's widest registers.

    Of AVX-512's 64 bytes the compiler takes 32 unless asked: its first processors slowed down at
    64.  It pays where a loop does much with each number, as exp does, and is long.
    """

    def generate(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        # llvmlite knows no attributes of this form: so past its check, as an element of the set.
        set.add(build.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate
