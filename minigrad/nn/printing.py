"""A module as text: the tree of its modules, each with its number of parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minigrad.nn.module import Module

__all__ = ["draw_tree"]


def draw_tree(module: Module) -> str:
    """Return one line for `module` and one for each module within.

    A parameter that two modules share is counted for each of them, and once in the total.

    Examples
    --------
    >>> import numpy as np
    >>> from minigrad import nn
    >>> rng = np.random.default_rng(0)
    >>> print(draw_tree(nn.Linear(5, 32, rng=rng)))
    Linear(5, 32): 192 parameters
    >>> print(draw_tree(nn.Sequential(nn.Linear(5, 32, rng=rng), nn.Tanh())))
    Sequential            192 parameters
    ├─ 0: Linear(5, 32)   192
    └─ 1: Tanh()
    """
    (first, total), *below = _lines(module, frozenset())
    unit = "parameter" if total == 1 else "parameters"
    if not below:
        return f"{first}: {total:,} {unit}" if total else first
    width = max(len(text) for text, _ in [(first, total), *below])
    digits = len(f"{total:,}")
    lines = [f"{first:{width}}   {total:,} {unit}"]
    lines += [f"{text:{width}}   {count:{digits},}" if count else text for text, count in below]
    return "\n".join(lines)


def _lines(module: Module, above: frozenset[int]) -> Iterator[tuple[str, int]]:
    """Yield the text and the number of parameters of each line; `above` ends a circle."""
    yield module.describe(), sum(parameter.size for parameter in module.parameters())
    children = [] if id(module) in above else list(module.named_children())
    for i, (name, child) in enumerate(children, start=1):
        branch, trunk = ("├─", "│ ") if i < len(children) else ("└─", "  ")
        (text, count), *below = _lines(child, above | {id(module)})
        yield f"{branch} {name}: {text}", count
        for text, count in below:
            yield f"{trunk} {text}", count
