"""The tape in words: the operations that lead to a tensor, in the order in which they ran.

A graph is written down as one entry per node, ``v3 = subtract(v2, y)``, with its value and its
gradient, rounded.  An input stands before its first use.  `drawing` turns the entries into
pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from minigrad.backward import backpropagate
from minigrad.primitive import bare
from minigrad.recording import watchers
from minigrad.tensor import Tensor

__all__ = ["Entry", "gradients_of", "in_words", "read_tape", "shown_name"]

SMALL = 6  # up to so many elements are written out
LINE = 36  # in characters; a matrix that is longer takes one line per row
LONGEST_NAME = 48
MOST_ARGUMENTS = 6


@dataclass(frozen=True)
class Entry:
    """One node of a graph, as text.

    Attributes
    ----------
    kind : str
        "parameter" (a leaf with requires_grad), "constant" or "operation".
    name : str
        Given by the caller, or made up: p1, p2, ... for parameters, c1, ... for constants,
        v1, ... for results, and "output" for the last.
    title : str
        The name, and for an operation what it was called with.
    shape, dtype : str
        Of the value; the shape of a number is written as "scalar".
    value, gradient : tuple of str
        Lines of text; `gradient` has none where there is no gradient to show.
    inputs : tuple of int
        Position on the tape of every input that has an entry, in the order of the arguments; an
        input that is used twice appears twice.
    """

    kind: Literal["parameter", "constant", "operation"]
    name: str
    title: str
    shape: str
    dtype: str
    value: tuple[str, ...]
    gradient: tuple[str, ...]
    inputs: tuple[int, ...]


def read_tape(
    output: Tensor,
    names: Mapping[str, Any] | None = None,
    gradients: Mapping[Tensor, Any] | None = None,
) -> list[Entry]:
    """Write down the graph that leads to `output`: inputs before results, `output` last.

    A number, and an array or constant tensor without axes that has no name, is written into the
    operation that uses it.  Everything else has an entry of its own, one however often it is used.

    Parameters
    ----------
    output : Tensor
        The result of an operation.
    names : mapping of str to Tensor or ndarray, optional
        What some of the nodes are called.
    gradients : mapping of Tensor to array, optional
        ∂output/∂node.

    Examples
    --------
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> for entry in read_tape((np.array([3.0, 4.0]) * w**2).sum(), {"w": w}):
    ...     print(entry.title, *entry.value)
    w [1, 2]
    v1 = power(w, 2) [1, 4]
    c1 [3, 4]
    v2 = multiply(c1, v1) [3, 16]
    output = sum(v2) 19
    """
    given = {id(node): shown_name(name) for name, node in (names or {}).items()}
    made_up = {kind: _numbered(letter, set(given.values())) for kind, letter in LETTERS.items()}
    entries: list[Entry] = []
    position: dict[int, int] = {}  # of a node, by its id: arrays have no hash

    def append(node: Any, kind: Any, call: str, inputs: tuple[int, ...]) -> None:
        name = given.get(id(node))
        if name is None:
            last = node is output and "output" not in given.values()
            name = "output" if last else next(made_up[kind])
        gradient = (gradients or {}).get(node) if isinstance(node, Tensor) else None
        array = np.asarray(bare(node))
        position[id(node)] = len(entries)
        entries.append(
            Entry(
                kind=kind,
                name=name,
                title=f"{name} = {call}" if call else name,
                shape=str(array.shape) if array.ndim else "scalar",
                dtype=str(array.dtype),
                value=in_words(array),
                gradient=() if gradient is None else in_words(np.asarray(bare(gradient))),
                inputs=inputs,
            )
        )

    for z in _operations(output):
        arguments = []
        inputs = []
        for x in z.parents:
            if id(x) not in position:
                is_parameter = isinstance(x, Tensor) and x.requires_grad
                if not is_parameter and np.ndim(bare(x)) == 0 and id(x) not in given:
                    arguments.append(number(bare(x)))
                    continue
                append(x, "parameter" if is_parameter else "constant", "", ())
            inputs.append(position[id(x)])
            arguments.append(entries[inputs[-1]].name)
        if len(arguments) > MOST_ARGUMENTS:
            arguments[2:-1] = ["…"]
        # None and False stand for an option that was not asked for.
        arguments += [
            f"{key}={_option(key, x)}"
            for key, x in z.kwargs.items()
            if x is not None and x is not False
        ]
        call = f"{getattr(z.op, 'name', z.op)}({', '.join(arguments)})"
        append(z, "operation", call, tuple(inputs))
    return entries


LETTERS = {"parameter": "p", "constant": "c", "operation": "v"}


def gradients_of(output: Tensor, gradient: Any = None) -> dict[Tensor, Any]:
    """Return ∂output/∂node for every node with `requires_grad`; no `grad` is touched."""
    inner: dict[Tensor, Any] = {}
    with np.errstate(all="ignore"), _unwatched():  # a NaN is there to be seen
        leaves = backpropagate(output, gradient, keep=inner)
    return {**inner, **leaves}


@contextmanager
def _unwatched() -> Iterator[None]:
    """Let `detect_anomaly` look away."""
    waiting = watchers.copy()
    watchers.clear()
    try:
        yield
    finally:
        watchers[:0] = waiting  # before any that another thread has added


def _operations(output: Tensor) -> list[Tensor]:
    """Every tensor that an operation made on the way to `output`, oldest first."""
    seen = {output}
    waiting = [output]
    while waiting:
        for x in waiting.pop().parents:
            if isinstance(x, Tensor) and x.op is not None and x not in seen:
                seen.add(x)
                waiting.append(x)
    return sorted(seen, key=lambda z: z.serial)


def _numbered(letter: str, taken: set[str]) -> Iterator[str]:
    i = 0
    while True:
        i += 1
        if f"{letter}{i}" not in taken:
            yield f"{letter}{i}"


# Names, numbers and arrays as short text


def shown_name(name: str) -> str:
    r"""Return `name` on one line: control characters escaped, the middle of a long one left out.

    Examples
    --------
    >>> print(shown_name("two\nlines"), len(shown_name("x" * 1000)))
    two\nlines 48
    """
    name = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in name
    )
    return name if len(name) <= LONGEST_NAME else f"{name[:15]}…{name[16 - LONGEST_NAME :]}"


def number(x: Any, digits: int = 4) -> str:
    """Return a number with so many significant digits; None and True as they are.

    Examples
    --------
    >>> number(2 / 3), number(-1e-9), number(12345678), number(True), number(-0.0)
    ('0.6667', '-1e-09', '1.235e+07', 'True', '-0')
    """
    x = x[()] if isinstance(x, np.ndarray) else x
    if x is None or isinstance(x, str | bool | np.bool_):
        return shown_name(str(x))
    return f"{x:.{digits}g}"


def in_words(array: npt.NDArray[Any]) -> tuple[str, ...]:
    r"""Return a small array's elements, or what kind of numbers are in a large one.

    Examples
    --------
    >>> in_words(np.array([0.5, 1.0]))
    ('[0.5, 1]',)
    >>> print(*in_words(np.array([[123.4, -0.0567, 12345.0], [1.0, 2.0, 0.333333]])), sep="\n")
    [[123.4, -0.0567, 1.234e+04],
     [    1,       2,    0.3333]]
    >>> in_words(np.arange(100.0))
    ('mean 49.5, from 0 to 99',)
    >>> in_words(np.array([np.nan, 1.0, np.inf, 3.0, 4.0, 5.0, 6.0]))
    ('mean 3.8, from 1 to 6', '1 NaN, 1 infinite')
    """
    if array.size == 0:
        return ("no elements",)
    if array.size <= SMALL:
        one_line = _nested(array)
        if len(one_line) <= LINE or array.ndim != 2:
            return (one_line,)
        texts = [[number(x) for x in row] for row in array]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        rows = [
            "[" + ", ".join(text.rjust(n) for text, n in zip(row, widths, strict=True)) + "]"
            for row in texts
        ]
        lines = [f" {row}," for row in rows]
        lines[0] = f"[{rows[0]}," if len(rows) > 1 else f"[{rows[0]}"
        lines[-1] = (lines[-1][:-1] if len(rows) > 1 else lines[-1]) + "]"
        return tuple(lines)
    if array.dtype.kind == "c":
        return tuple(f"|z|: {line}" for line in in_words(np.abs(array)))
    if array.dtype.kind == "b":
        return (f"{np.count_nonzero(array)} of {array.size} are True",)
    finite = array[np.isfinite(array)]
    nan = np.count_nonzero(np.isnan(array))
    lines = []
    if finite.size:
        with np.errstate(over="ignore"):
            mean = finite.mean(dtype=np.float64)
        low, high = finite.min(), finite.max()
        if low == high:
            lines.append(f"{'all' if finite.size == array.size else 'else'} {number(low)}")
        else:
            lines.append(f"mean {number(mean, 3)}, from {number(low, 3)} to {number(high, 3)}")
    if finite.size < array.size:
        infinite = array.size - finite.size - nan
        counts = ((nan, "NaN"), (infinite, "infinite"))
        lines.append(", ".join(f"{count} {word}" for count, word in counts if count))
    return tuple(lines)


def _nested(array: npt.NDArray[Any]) -> str:
    if array.ndim == 0:
        return number(array[()])
    return "[" + ", ".join(_nested(part) for part in array) + "]"


def _option(key: str, x: Any) -> str:
    """A keyword argument in few characters, an index as it is written between brackets."""
    if key == "index":
        parts = x if isinstance(x, tuple) else (x,)
        return "[" + ", ".join(map(_part_of_index, parts)) + "]"
    if isinstance(x, np.ndarray | Tensor):
        x = np.asarray(bare(x))
        return _nested(x) if x.size <= SMALL else f"<{x.shape} {x.dtype}>"
    if isinstance(x, type) and issubclass(x, np.generic):
        return x.__name__
    if callable(x):
        return str(getattr(x, "__name__", type(x).__name__))
    text = repr(x) if isinstance(x, str | tuple | list | dict) else str(x)
    return shown_name(text)


def _part_of_index(part: Any) -> str:
    if isinstance(part, slice):
        text = ":".join("" if x is None else str(x) for x in (part.start, part.stop, part.step))
        return text[:-1] if part.step is None else text
    if part is Ellipsis:
        return "..."
    return _option("", np.asarray(part) if isinstance(part, list) else part)
