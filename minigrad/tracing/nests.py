"""The loops that fill one array, or sum up one number.

A sum is written in one of two ways; which of them depends on what lies side by side in memory, for
that is what a processor adds at once.  Terms that do, or up to 16 of them, are the innermost loop:

    for i in ...:                          # error[i] = sum of X[i, j] w[j] - y[i]
        s = 0.0
        for j in range(5):
            s += X[i, j] * w[j]
        error[i] = s - y[i]

Otherwise rows of the result are summed up, 8 terms at a time, which the compiler writes out:

    for i in ...:                          # z[i, j] = sum of X[i, k] w[k, j]
        for j in range(32):
            z[i, j] = 0.0
        for block in range(0, 64, 8):
            for j in range(32):
                s = 0.0
                for k in range(block, block + 8):
                    s += X[i, k] * w[k, j]
                z[i, j] += s
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minigrad import linear_maps
from minigrad.tracing.elements import (
    ATOM,
    EXTREMA,
    OR,
    PRODUCTS,
    REDUCTIONS,
    TIMES,
    Elements,
    Index,
    data_parts,
    unsupported,
)  # fmt: skip
from minigrad.tracing.functions_of_numbers import literal
from minigrad.tracing.kept import UNROLLED
from minigrad.tracing.node import Node

__all__ = ["INDENT", "Nests"]

INDENT = "    "
LINE = 84
WIDTH = 92
"""Width of a line with its indentation, which is 8 more in an epoch."""
TOGETHER = 8
"""Number of terms that a pass over a row adds."""

Loops = list[tuple[str, int]]
"""Variable and number of rounds of each, the outermost first."""


@dataclass(frozen=True)
class Sum:
    """A product or a reduction to be written.

    Attributes
    ----------
    node, core : Node
        What is kept, and the product or reduction that it is made of; they may be the same.
    index, target : tuple and str
        An element of `node`, and its text.
    outer, inner : list of (str, int)
        The loops over elements, and those over terms.
    term : str
        What is summed up.
    """

    node: Node
    core: Node
    index: Index
    target: str
    outer: Loops
    inner: Loops
    term: str


class Nests:
    """Writes loops.

    Parameters
    ----------
    elements : Elements
        Writes what stands in them.
    letters : sequence of str
        Variables of loops.
    s, n, block : str
        Variables for a sum, a sum of whole numbers, and the first of 8 terms.

    Attributes
    ----------
    lines : list of str
        Those that have been written.
    """

    def __init__(
        self, elements: Elements, letters: Sequence[str], s: str, n: str, block: str
    ) -> None:
        self.elements, self.letters = elements, letters
        self.s, self.n, self.block = s, n, block
        self.lines: list[str] = []

    def fill(self, node: Node, cores: Mapping[Node, Node]) -> None:
        """Write what computes an array that is kept."""
        core = cores.get(node)
        if node.function is np.concatenate:
            self._concatenated(node)
        elif node.function is linear_maps.scatter:
            self._scattered(node)
        elif core is not None or node.function in (*PRODUCTS, *REDUCTIONS):
            self._reduced(node, core or node)
        else:
            index, outer = self.over(node.shape)
            value, _ = self.elements.computed(node, index)
            self.nest(outer, [f"{self.elements.at(node, index)} = {value}"])

    def over(self, shape: Iterable[int], skip: int = 0) -> tuple[Index, Loops]:
        """Return an index into a shape, and its loops: variable and bound of each."""
        index: list[str] = []
        outer: Loops = []
        for n in shape:
            if n == 1:
                index.append("0")
            else:
                letter = self.letters[skip + len(outer)]
                index.append(letter)
                outer.append((letter, n))
        return tuple(index), outer

    def nest(self, outer: Loops, body: list[str], depth: int = 0) -> None:
        """Write a body within loops."""
        for variable, bound in outer:
            self.lines.append(f"{INDENT * depth}for {variable} in range({bound}):")
            depth += 1
        for line in body:
            self.lines += [INDENT * depth + part for part in _wrapped(line, depth)]

    # Sums

    def _reduced(self, node: Node, core: Node) -> None:
        index, outer = self.over(node.shape)
        at = index if node is core else self.elements.reads(node, index, core)
        self.elements.indices.clear()
        term, inner = self._term(core, at, len(outer))
        reads = [tuple(i for i in read if not i.isdigit()) for read in self.elements.indices]
        total = Sum(node, core, index, self.elements.at(node, index), outer, inner, term)
        if not inner:
            level = TIMES if core.function in PRODUCTS else OR
            self.nest(outer, [f"{total.target} = {self._final(total, term, level)}"])
            return
        last = inner[-1][0]
        side_by_side = all(read[-1] == last for read in reads if last in read)
        across = outer and any(read[-1:] == (outer[-1][0],) for read in reads)
        if _rounds(inner) <= UNROLLED or side_by_side or not across:
            self._innermost(total)
        else:
            self._over_rows(total)

    def _innermost(self, x: Sum) -> None:
        """Write a sum whose loops are the innermost."""
        s, depth = self._sum_of(x), len(x.outer)
        if x.node is x.core and x.core.function is not np.mean and x.target.isidentifier():
            s = x.target
        self.nest(x.outer, [f"{s} = {self._first(x.core)}"])
        self.nest(x.inner, [self._more(x.core, s, x.term)], depth)
        if s != x.target:
            self.nest([], [f"{x.target} = {self._final(x, s, ATOM)}"], depth)

    def _over_rows(self, x: Sum) -> None:
        """Write a sum over rows: a few terms at a time are added to all elements of one."""
        *outer, row = x.outer
        *middle, (last, n) = x.inner
        s, block, depth = self._sum_of(x), self.block, len(outer) + len(middle)
        self.nest([*outer, row], [f"{x.target} = {self._first(x.core)}"])
        self.nest(middle, [], len(outer))
        whole = n - n % TOGETHER
        if whole:
            self.nest([], [
                f"for {block} in range(0, {whole}, {TOGETHER}):",
                f"{INDENT}for {row[0]} in range({row[1]}):",
                f"{INDENT * 2}{s} = {self._first(x.core)}",
                f"{INDENT * 2}for {last} in range({block}, {block} + {TOGETHER}):",
                f"{INDENT * 3}{self._more(x.core, s, x.term)}",
                f"{INDENT * 2}{self._more(x.core, x.target, s)}",
            ], depth)  # fmt: skip
        if n > whole:
            self.nest([], [f"for {last} in range({whole}, {n}):"], depth)
            self.nest([row], [self._more(x.core, x.target, x.term)], depth + 1)
        final = self._final(x, x.target, ATOM)
        if final != x.target:
            self.nest([row], [f"{x.target} = {final}"], len(outer))

    def _final(self, x: Sum, total: str, level: int) -> str:
        """Return the element that is made of a sum, given the text of that."""
        if x.core.function is np.mean and x.inner:
            total, level = f"{total} / {literal(_rounds(x.inner), x.core.dtype)}", TIMES
        if x.node is x.core:
            return total
        return self.elements.made_of(x.node, x.index, x.core, total, level)

    def _sum_of(self, x: Sum) -> str:
        return self.s if x.core.dtype.kind == "f" else self.n

    def _first(self, core: Node) -> str:
        if core.function in EXTREMA:
            if core.dtype.kind != "f":
                raise unsupported(core)
            return literal(-math.inf if core.function is np.max else math.inf, core.dtype)
        return literal(0, core.dtype)

    def _more(self, core: Node, total: str, term: str) -> str:
        if core.function in EXTREMA:
            return f"{total} = {self.elements.own(EXTREMA[core.function], core.dtype, total, term)}"
        return f"{total} += {term}"

    def _term(self, core: Node, index: Index, skip: int) -> tuple[str, Loops]:
        """Return what is summed up, and the loops over it."""
        at, dtype = self.elements.at, core.dtype
        x = core.arguments[0]
        if core.function is np.einsum:
            return self._einsum_term(core, index, skip)
        if core.function not in PRODUCTS:
            axes, keepdims = core.options["axis"], core.options["keepdims"]
            reduced, inner = self.over([x.shape[axis] for axis in axes], skip)
            rest = iter([i for n, i in enumerate(index) if not (keepdims and n in axes)])
            along = dict(zip(axes, reduced, strict=True))
            full = tuple(along[n] if n in along else next(rest) for n in range(x.ndim))
            return at(x, full, dtype), inner
        y = core.arguments[1]
        if core.function is np.vdot:
            full, inner = self.over(x.shape, skip)
            return f"{at(x, full, dtype, TIMES)} * {at(y, full, dtype, ATOM)}", inner
        (k,), inner = self.over(x.shape[-1:], skip)
        own = list(index)
        column = [own.pop()] if y.ndim > 1 else []
        row = [own.pop()] if x.ndim > 1 else []
        left = (*own[len(own) - (x.ndim - 2) :], *row, k) if x.ndim > 1 else (k,)
        right = (*own[len(own) - (y.ndim - 2) :], k, *column) if y.ndim > 1 else (k,)
        return f"{at(x, left, dtype, TIMES)} * {at(y, right, dtype, ATOM)}", inner

    def _einsum_term(self, core: Node, index: Index, skip: int) -> tuple[str, Loops]:
        """Return the product of elements at the indices that the letters stand for."""
        subscripts, *operands = core.arguments
        inputs, _, output = subscripts.partition("->")
        letters = inputs.split(",")
        if len(operands) > 2:  # which would take a longer time than two products of two
            raise unsupported(core)
        lengths = {
            letter: n
            for word, x in zip(letters, operands, strict=True)
            for letter, n in zip(word, x.shape, strict=True)
        }
        found = dict(zip(output, index, strict=True))
        summed = [letter for letter in lengths if letter not in found]
        along, inner = self.over([lengths[letter] for letter in summed], skip)
        found.update(zip(summed, along, strict=True))
        factors = [
            self.elements.at(x, tuple(found[letter] for letter in word), core.dtype, ATOM)
            for word, x in zip(letters, operands, strict=True)
        ]
        return " * ".join(factors), inner

    # Arrays that are put together

    def _concatenated(self, node: Node) -> None:
        axis, start = node.options["axis"], 0
        for x in node.arguments:
            if not isinstance(x, Node):
                raise unsupported(node)
            index, outer = self.over(x.shape)
            place = f"{index[axis]} + {start}" if start else index[axis]
            place = str(start) if index[axis] == "0" else place
            to = (*index[:axis], place, *index[axis + 1 :])
            name = f"{self.elements.names[node]}[{', '.join(to)}]"
            self.nest(outer, [f"{name} = {self.elements.at(x, index, node.dtype)}"])
            start += x.shape[axis]

    def _scattered(self, node: Node) -> None:
        x = node.arguments[0]
        index, outer = self.over(node.shape)
        self.nest(outer, [f"{self.elements.at(node, index)} = {literal(0, node.dtype)}"])
        index, outer = self.over(x.shape)
        place = self.elements.indexed(node, node.shape, list(index))
        added = "+=" if data_parts(node) else "="
        name = f"{self.elements.names[node]}[{', '.join(place) or '()'}]"
        self.nest(outer, [f"{name} {added} {self.elements.at(x, index, node.dtype)}"])


def _wrapped(line: str, depth: int) -> list[str]:
    """Return a long assignment on several lines, broken before operators, the outermost first."""
    if len(line) <= min(LINE, WIDTH - len(INDENT) * depth):
        return [line]
    target, sign, value = line.partition(" = " if " = " in line else " += ")
    parts: list[str] = []
    width = min(LINE, WIDTH - len(INDENT) * (depth + 1))
    for deepest in range(value.count("(") + 1):
        breakable = _breakable(value, deepest)
        parts = textwrap.wrap(breakable, width, break_long_words=False, break_on_hyphens=False)
        if max(map(len, parts)) <= width:
            break
    return [f"{target}{sign}(", *(INDENT + part.replace("\0", " ") for part in parts), ")"]


def _breakable(text: str, deepest: int) -> str:
    """Return the text with spaces only before operators within so many brackets, else zeros."""
    words, depth, found = text.split(" "), 0, ""
    for word, following in itertools.pairwise([*words, ""]):
        depth += sum(map(word.count, "([")) - sum(map(word.count, ")]"))
        breaks = depth <= deepest and (following in ("+", "-", "*", "/", "**") or word[-1] == ",")
        found += word + (" " if breaks else "\0")
    return found[:-1]


def _rounds(loops: Loops) -> int:
    return math.prod(n for _, n in loops)
