"""Gradient clipping as text: what `optim.clipping` does, within a compiled step.

Gradients themselves are not changed, as two of them may be one array: the rule is given the clipped
elements.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from minigrad.tracing.node import Node

__all__ = ["Clip", "clipping"]


@dataclass(frozen=True)
class Clip:
    """What is done to the gradients between backward and update."""

    kind: Literal["norm", "value"]
    limit: float


@dataclass(frozen=True)
class Clipping:
    """The text that clips.

    Attributes
    ----------
    functions : str
        What the lines need, in front of `run`.
    lines : list of str
        Of each step, before the update.
    element : callable
        ``element(place, text)`` is the text of a clipped element, from that of one as it is;
        `place` is the parameter's among the trace's.
    """

    functions: str
    lines: list[str]
    element: Callable[[int, str], str]


OF_SQUARES = '''\
@fast
def {squares}(g, unit):
    """Sum of squares of unit g, in float64."""
    total = 0.0
    for i in range(g.size):
        element = np.float64(g[i]) * unit
        total += element * element
    return total
'''

OUT_OF_RANGE = '''

@exact
def {largest}(g):
    """Largest magnitude; NaN if there is one."""
    found = 0.0
    for i in range(g.size):
        found = np.maximum(found, np.float64(abs(g[i])))
    return found


@exact
def {unit_for}(greatest):
    """A power of two that, times the gradients, makes their squares fit into float64."""
    if greatest == 0.0 or not greatest < math.inf:
        return 1.0
    return math.ldexp(1.0, -max(math.frexp(greatest)[1], -1000))
'''

OF_VALUES = '''\
@exact
def {clipped}(element, limit):
    """An element within [-limit, limit]; NaN stays NaN."""
    return min(max(element, -limit), limit)
'''


def clipping(
    clip: Clip | None,
    gradients: Mapping[int, str],
    nodes: Mapping[int, Node],
    name: Callable[[str], str],
) -> Clipping:
    """Return the text of clipping.

    Parameters
    ----------
    clip : Clip or None
    gradients : mapping of int to str
        The variable that is the flat gradient, by its parameter's place.
    nodes : mapping of int to Node
        The parameters.
    name : callable
        ``name("norm")`` returns a name that is free, such as "norm".
    """
    if clip is None:
        return Clipping("", [], lambda place, text: text)
    limit = repr(clip.limit)
    if clip.kind == "value":
        clipped = name("clipped")
        return Clipping(
            OF_VALUES.format(clipped=clipped), [],
            lambda place, text: f"{clipped}({text}, {cast(nodes[place], limit)})",
        )  # fmt: skip

    squares, total, norm, scale = map(name, ("squares", "total", "norm", "scale"))
    functions = OF_SQUARES.format(squares=squares)
    lines = ["# clip"]
    if all(node.dtype == np.float32 for node in nodes.values()):  # squares fit into float64
        lines += _sum(total, [f"{squares}({g}, 1.0)" for g in gradients.values()])
        length, scales = norm, scale
    else:
        unit, largest, unit_for = map(name, ("unit", "largest", "unit_for"))
        functions += OUT_OF_RANGE.format(largest=largest, unit_for=unit_for)
        greatest = [f"{largest}({g})" for g in gradients.values()]
        most = greatest[0] if len(greatest) == 1 else f"max({', '.join(greatest)})"
        found = [f"{unit} = {unit_for}({most})"]
        if len(found[0]) > 84:
            rows = textwrap.wrap(", ".join(greatest), 80)
            found = [f"{unit} = {unit_for}(max(", *(f"    {row}" for row in rows), "))"]
        add = _sum(total, [f"{squares}({g}, {unit})" for g in gradients.values()])
        lines += [
            f"{unit} = 1.0",
            *add,
            f"if not 2.0**-900 < {total} < 2.0**900:  # squares may have left float64's range",
            *(f"    {line}" for line in (*found, *add)),
        ]
        # One after the other, as optim does: their product may leave float64's range.
        length, scales = f"{norm} / {unit}", f"{unit} * {scale}"
    lines += [
        f"{norm} = math.sqrt({total})",
        f"if {length} > {limit} and {norm} < math.inf:",
        f"    {scale} = {limit} / {norm}",
        "else:",
        f"    {scales.replace(' * ', ' = ')} = 1.0",
    ]
    return Clipping(
        functions, lines, lambda place, text: cast(nodes[place], f"{text} * {scales}")
    )


def _sum(name: str, terms: list[str]) -> list[str]:
    line = f"{name} = {' + '.join(terms)}"
    if len(line) <= 84:
        return [line]
    return [f"{name} = {terms[0]}", *(f"{name} += {term}" for term in terms[1:])]


def cast(node: Node, number: str) -> str:
    """Return the text of a float64 number in the type of a parameter."""
    return f"np.float32({number})" if node.dtype == np.float32 else number
