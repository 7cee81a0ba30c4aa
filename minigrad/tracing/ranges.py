"""In which range whole numbers among the examples have to be: labels, and rows that are looked up.

Compiled code reads wherever an index points.  So the numbers of all examples are looked at before
the first step, as far as the trace shows which they are: an input itself, or a part or another
shape of it.  An index that a step computes is looked at in that step (see `loops`).
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from minigrad.tracing.elements import data_parts, parts_of
from minigrad.tracing.node import Node, Trace, Unsupported

__all__ = ["Range", "check_ranges", "ranges_of"]

Array = npt.NDArray[Any]


class Range(NamedTuple):
    """The numbers that an input may hold."""

    place: int  # of the input
    used: tuple[int, ...]  # which numbers of an example, flat
    least: int
    below: int
    reason: str


def ranges_of(trace: Trace) -> list[Range]:
    """Return what a trace needs of its inputs.

    Raises
    ------
    Unsupported
        If labels are computed within the step, where a loss could not say which one is wrong.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> from minigrad.tracing import trace
    >>> table = Tensor(np.ones((7, 2)), requires_grad=True)
    >>> def loss(words):
    ...     return (table[words[:, 1]] ** 2).sum()
    >>> ranges_of(trace(loss, np.zeros((4, 3), int)))
    [Range(place=0, used=(1,), least=-7, below=7, reason='indices into an axis of length 7')]
    """
    found: dict[tuple[int, tuple[int, ...]], Range] = {}
    wanted = [(check.node, 0, check.count, check.complaint) for check in trace.checks]
    for node in trace.nodes:
        wanted += [
            (index, -n, n, f"indices into an axis of length {n}") for index, n in data_parts(node)
        ]
    for node, least, below, reason in wanted:
        if node.kind == "constant":
            continue
        source, places = _moved(node)
        if source is None:
            if least == 0:
                raise Unsupported(
                    f"{reason}: they are computed within the step, where compiled code cannot "
                    "look whether they are in range; compute them before, and give them as an input"
                )
            continue
        size = int(np.prod(source.shape[1:], dtype=int))
        place = trace.inputs.index(source)
        used = tuple(np.unique(places % size).tolist()) if size else ()
        if (before := found.get((place, used))) is not None:
            least, below = max(least, before.least), min(below, before.below)
            reason = before.reason
        found[place, used] = Range(place, used, least, below, reason)
    return list(found.values())


def _moved(node: Node) -> tuple[Node | None, Array]:
    """Return the input that a node has elements of, and which: their places in it, flat."""
    if node.kind == "input":
        return node, np.arange(np.prod(node.shape, dtype=int)).reshape(node.shape)
    nowhere = None, np.empty(0, int)
    moves = (np.reshape, np.transpose, np.broadcast_to, np.astype, operator.getitem)
    if node.kind != "operation" or node.function not in moves or len(node.operands) != 1:
        return nowhere
    source, places = _moved(node.arguments[0])
    if source is None:
        return nowhere
    if node.function is np.reshape:
        places = places.reshape(node.shape)
    elif node.function is np.transpose:
        places = places.transpose(node.options["axes"])
    elif node.function is np.broadcast_to:
        places = np.broadcast_to(places, node.shape)
    elif node.function is operator.getitem:
        places = places[parts_of(node)]
    return source, places


def check_ranges(ranges: list[Range], trace: Trace, arrays: list[Array]) -> None:
    """Raise ValueError if a number among the examples is not in its range."""
    for place, used, least, below, reason in ranges:
        x = arrays[place].reshape(len(arrays[place]), -1)
        if len(used) < x.shape[1]:
            x = x[:, list(used)]
        if x.size and not (x.min() >= least and x.max() < below):
            bad = x[~((x >= least) & (x < below))][0]
            raise ValueError(
                f"{trace.inputs[place].name} holds {bad}; accepted are whole numbers from {least}, "
                f"below {below} ({reason})"
            )
