"""The text of a compiled epoch: batches, forward, backward, clipping and update in one function.

`epoch_source` puts together what others wrote: the loops of a traced step (`loops`) and the rule of
each parameter group (`rule`).  What it adds itself is the frame around them, and the sections
``# batch``, ``# check``, ``# clip`` and ``# update``.
"""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from minigrad.tracing.clip import Clip, clipping
from minigrad.tracing.names import unused
from minigrad.tracing.node import Trace
from minigrad.tracing.rule import Update

if TYPE_CHECKING:
    from minigrad.tracing.loops import LoopCode

__all__ = ["Part", "epoch_source"]


@dataclass(frozen=True)
class Part:
    """Parameters that are updated together: of one group, and at the same t.

    Attributes
    ----------
    update : Update
        Their rule.
    group : int
        Place of the group in the optimizer: the row of learning rates.
    parameters : tuple of int
        Places in ``trace.parameters``.
    """

    update: Update
    group: int
    parameters: tuple[int, ...]


HEADER = '''\
"""{title}

{facts}
Written by minigrad.compile.  To change it, copy it to a file of your own and import that: `run` is
an ordinary function, and with NUMBA_DISABLE_JIT=1 set a debugger steps through it.
"""

import math

import numpy as np
from numba import njit

exact = njit(error_model="numpy")  # rounds as NumPy does
fast = njit(error_model="numpy", fastmath={{"contract", "reassoc"}})  # may fuse and reorder sums
'''

FINITE = '''\
@fast
def {finite}(g):
    """Whether no element is NaN or infinite: 0 g is 0 for a number, and NaN for the rest."""
    zero = total = g.dtype.type(0)
    for i in range(g.size):
        total += zero * g[i]
    return total == zero
'''

RUN = (
    "{order} holds the places of examples, of one batch after the other; {rates} the learning "
    "rates, a row for each parameter group.  The optimizer's parameters, and its states, which are "
    "flat, are updated in place; {t} counts the updates{skipped}.  Returns -1, or the "
    "number of the parameter whose gradient was not finite and ended the run."
)


def epoch_source(
    trace: Trace,
    code: LoopCode,
    parts: Sequence[Part],
    *,
    nonfinite: Literal["raise", "skip", "ignore"] = "raise",
    clip: Clip | None = None,
    optimizer: str = "",
) -> str:
    """Return the text of a module whose function `run` makes steps.

    Parameters
    ----------
    trace : Trace
        The step for one batch; its length is that of the inputs' first axes.
    code : LoopCode
        The loops of forward and backward.
    parts : sequence of Part
        Which parameters are updated, and how; the others stay as they are.
    nonfinite : {"raise", "skip", "ignore"}
        What a NaN or infinity in the gradient of an updated parameter does: end the run before that
        step's update, leave the update out, or nothing.
    clip : Clip, optional
        Between backward and update, over all updated parameters.
    optimizer : str
        Its name, for the first line.

    Returns
    -------
    str
        It needs NumPy and Numba only.  ``run(*examples, order, *parameters, *fixed, *states, t,
        rates, *hyperparameters, losses)`` makes a step for each element of `losses`, with the batch
        that `order` (of int64) has there.  `states` are flat, those of the first part's first
        parameter first; `t`, of float64, has the number of updates of each part so far, and behind
        them with ``nonfinite="skip"`` that of the updates left out, and is kept up to date; `rates`
        is of shape (groups, steps); `hyperparameters` are those of each part in turn, but for the
        learning rate.  It returns the place in ``trace.parameters`` of a gradient that was not
        finite and ended the run, or -1.
    """
    return _Epoch(trace, code, parts, nonfinite, clip).text(optimizer)


class _Epoch:
    """The text in the making: names that are still free, and the functions that are needed."""

    def __init__(
        self, trace: Trace, code: LoopCode, parts: Sequence[Part], nonfinite: str, clip: Clip | None
    ) -> None:
        self.trace, self.code, self.parts, self.nonfinite = trace, code, parts, nonfinite
        self.clip = clip
        self.batch = trace.inputs[0].shape[0]
        self.functions: list[str] = []
        written = "\n".join([*code.buffers, *code.statements, code.loss])
        globals_ = [code.functions, *(part.update.definitions for part in parts)]
        self.taken = set(re.findall(r"[^\W\d]\w*", re.sub(r"#.*", "", written)))
        self.taken.update(*(re.findall(r"(?m)^(?:def )?(\w+)", text) for text in globals_))
        leaves = [node.name for node in trace.arguments]
        self.taken.update(dir(builtins), leaves, code.gradients)
        self.taken.update(("np", "math", "njit", "exact", "fast", "run"))
        # An index of one short loop may be that of another; it must only be no array.
        self.arrays = {*leaves, *code.gradients}
        self.arrays.update(re.findall(r"(?m)^(\w+) *=", "\n".join(code.buffers)))
        self.i, self.n = unused("i", self.arrays), unused("n", self.arrays)
        self.step, self.order, self.losses = map(self.name, ("step", "order", "losses"))
        self.t, self.rates = map(self.name, ("t", "rates"))

    def name(self, wish: str) -> str:
        """Return a name that nothing has yet."""
        found = unused(wish, self.taken)
        self.taken.add(found)
        return found

    def index(self, place: int) -> str:
        """Return the index into a flat parameter: a loop's variable, if there is a loop."""
        return "0" if _size(self.trace.parameters[place]) == 1 else self.i

    def text(self, optimizer: str) -> str:
        trace, code = self.trace, self.code
        examples = [self.name(f"all_{node.name}") for node in trace.inputs]
        states = {
            place: [self.name(f"{trace.parameters[place].name}_{s}") for s in part.update.states]
            for part in self.parts
            for place in part.parameters
        }
        numbers = self._numbers()
        arguments = [
            *examples, self.order,
            *(node.name for node in (*trace.parameters, *trace.fixed)),
            *(name for names in states.values() for name in names),
            self.t, self.rates,
            *(name for names in numbers for name in names.values()),
            self.losses,
        ]  # fmt: skip
        before, flat = self._flat_parameters(states)
        gradients, views, views_in_step = self._flat_gradients(states)
        check = self._check(gradients)
        nodes = {place: trace.parameters[place] for place in gradients}
        clipped = clipping(self.clip, gradients, nodes, self.name)
        body = [
            *self._batch(examples),
            *self._forward_and_backward(),
            *views_in_step,
            *check,
            *clipped.lines,
            *self._update(numbers, states, flat, {
                place: clipped.element(place, f"{g}[{self.index(place)}]")
                for place, g in gradients.items()
            }),
        ]
        lines = [
            *(f"{x.name} = {_empty(x)}" for x in trace.inputs),
            *before, *code.buffers, *views,
            f"for {self.step} in range({self.losses}.size):",
            *_indented(body),
            "return -1",
        ]  # fmt: skip
        run = [
            '@njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc"})',
            *_signature("run", arguments),
            *_indented([self._docstring(), *lines]),
        ]
        own = [code.functions, *self.functions, clipped.functions]
        parts = [HEADER.format(title=self._title(optimizer), facts=self._facts()).rstrip()]
        parts += [text.strip("\n") for text in (*self._rules(), *own, "\n".join(run)) if text]
        return "\n\n\n".join(parts) + "\n"

    def _docstring(self) -> str:
        """Return what `run` says about its arguments."""
        skipped = ", in its last element the steps left out" if self.nonfinite == "skip" else ""
        if len(self.parts) > 1:
            skipped = " of parameters that share a rule" + skipped
        rest = RUN.format(order=self.order, rates=self.rates, t=self.t, skipped=skipped)
        title = f"Make a step for each element of {self.losses}: the loss of its batch."
        return f'"""{title}\n\n{textwrap.fill(rest, 96)}\n"""'

    def _title(self, optimizer: str) -> str:
        return f"Steps of {self.trace.name}: forward, backward and {optimizer or 'update'}."

    def _facts(self) -> str:
        lines = [f"One batch: {_shapes(self.trace.inputs)}."]
        if self.trace.parameters:
            lines.append(f"Parameters: {_shapes(self.trace.parameters)}.")
        if self.trace.fixed:
            lines.append(f"Read, and not updated: {_shapes(self.trace.fixed)}.")
        if self.clip is not None:
            lines.append(f"Gradients are clipped by {self.clip.kind}, to {self.clip.limit!r}.")
        return "\n".join(textwrap.fill(line, 100, subsequent_indent="    ") for line in lines)

    def _numbers(self) -> list[dict[str, str]]:
        """For each part the names of its hyperparameters, but for the learning rate."""
        many = len(self.parts) > 1
        return [
            {
                name: self.name(f"{name}_{k}" if many else name)
                for name in part.update.hyperparameters
                if name != "lr"
            }
            for k, part in enumerate(self.parts)
        ]

    def _rules(self) -> list[str]:
        """The functions of all rules, each once, and the coefficients in float32 if needed."""
        texts: dict[str, str] = {}
        for part in self.parts:
            for text in _functions(part.update.definitions):
                texts.setdefault(text, _decorated(text, "@exact"))
            if np.dtype(np.float32) in self._dtypes(part):
                text = _single(part.update)
                texts.setdefault(text, _decorated(text, "@exact"))
        return list(texts.values())

    def _dtypes(self, part: Part) -> set[np.dtype[Any]]:
        return {self.trace.parameters[place].dtype for place in part.parameters}

    def _batch(self, examples: Sequence[str]) -> list[str]:
        row = self.name("example")
        lines = ["# batch", f"for {self.n} in range({self.batch}):"]
        lines.append(f"    {row} = {self.order}[{self.batch} * {self.step} + {self.n}]")
        for node, source in zip(self.trace.inputs, examples, strict=True):
            indices = _indices(node.shape[1:], {*self.arrays, self.n, row})
            depth = 1
            for index, length in zip(indices, node.shape[1:], strict=True):
                if index != "0":
                    lines.append("    " * depth + f"for {index} in range({length}):")
                    depth += 1
            to, of = ", ".join([self.n, *indices]), ", ".join([row, *indices])
            lines.append("    " * depth + f"{node.name}[{to}] = {source}[{of}]")
        return lines

    def _forward_and_backward(self) -> list[str]:
        lines = list(self.code.statements)
        after_forward = lines.index("# backward") if "# backward" in lines else len(lines)
        lines.insert(after_forward, f"{self.losses}[{self.step}] = {self.code.loss}")
        return lines

    def _flat_parameters(self, updated: Iterable[int]) -> tuple[list[str], dict[int, str]]:
        """Lines that make flat views of the parameters that are updated, and the views' names.

        The rule takes one coordinate after the other, whatever the shape: so states are flat, and
        one loop over all that lies side by side in memory is faster than a nest of short ones.
        """
        lines, flat = [], {}
        for place in updated:
            node = self.trace.parameters[place]
            flat[place] = node.name
            if node.ndim != 1:
                flat[place] = self.name(f"flat_{node.name}")
                lines.append(f"{flat[place]} = {node.name}.reshape({_size(node)})")
        return lines, flat

    def _flat_gradients(
        self, updated: Iterable[int]
    ) -> tuple[dict[int, str], list[str], list[str]]:
        """Names of flat views of gradients; the lines for it before the loop, and in each step."""
        flat: dict[int, str] = {}
        once: list[str] = []
        each: list[str] = []
        buffers = set(re.findall(r"(?m)^(\w+) *=", "\n".join(self.code.buffers)))
        statements = "\n".join(self.code.statements)
        for place in updated:
            name, node = self.code.gradients[place], self.trace.parameters[place]
            flat[place] = name
            if node.ndim != 1:
                flat[place] = self.name(f"flat_{name}")
                lasts = name in buffers and not re.search(rf"(?m)^\s*{name} *=", statements)
                to = once if lasts else each
                to.append(f"{flat[place]} = {name}.reshape({_size(node)})")
        return flat, once, each

    def _check(self, gradients: dict[int, str]) -> list[str]:
        if self.nonfinite == "ignore":
            return []
        finite = self.name("finite")
        self.functions.append(FINITE.format(finite=finite))
        lines = ["# check"]
        if self.nonfinite == "skip":
            all_finite = " and ".join(f"{finite}({g})" for g in gradients.values())
            condition = [f"if not ({all_finite}):"]
            if len(condition[0]) > 88:
                rows = textwrap.wrap(all_finite.replace("and ", "and\0"), 84)
                rows = [f"    {row}".replace("\0", " ") for row in rows]
                condition = ["if not (", *rows, "):"]
            skipped = f"    {self.t}[-1] += 1.0"
            return [*lines, *condition, skipped, "    continue"]
        for place, g in gradients.items():
            name = self.trace.parameters[place].name
            lines += [f"if not {finite}({g}):", f"    return {place}  # {name}"]
        return lines

    def _update(
        self,
        numbers: list[dict[str, str]],
        states: dict[int, list[str]],
        flat: dict[int, str],
        gradients: dict[int, str],
    ) -> list[str]:
        lines = ["# update"]
        for k, (part, names) in enumerate(zip(self.parts, numbers, strict=True)):
            update = part.update
            rate = f"{self.rates}[{part.group}, {self.step}]"
            t = f"{self.t}[{k}]"
            given = [t, *(names.get(h, rate) for h in update.hyperparameters)]
            lines.append(f"{t} += 1.0")
            c = {}
            for dtype in sorted(self._dtypes(part), key=str, reverse=True):
                c[dtype] = self.name("c")
                function = update.coefficients + ("_float32" if dtype == np.float32 else "")
                lines += _call(f"{c[dtype]} = {function}", given)
            for place in part.parameters:
                node, g = self.trace.parameters[place], gradients[place]
                i = self.index(place)
                arrays = [f"{name}[{i}]" for name in (flat[place], *states[place])]
                minus = f"-{g}" if re.fullmatch(r"\w+\[\w+\]|[\w.]+\(.*\)", g) else f"-({g})"
                taken = [arrays[0], minus if update.maximize else g, *arrays[1:]]
                taken.append(f"*{c[node.dtype]}")
                called = _call(f"{', '.join(arrays)} = {update.rule}", taken)
                if i == "0":
                    lines += called
                else:
                    lines += [f"for {i} in range({_size(node)}):", *_indented(called)]
        return lines


def _empty(node: Any) -> str:
    dtype = "" if node.dtype == np.float64 else f", np.{node.dtype.name}"
    dtype = ", np.bool_" if node.dtype == np.bool else dtype
    shape = str(node.shape[0]) if node.ndim == 1 else str(node.shape)
    return f"np.empty({shape}{dtype})"


def _size(node: Any) -> int:
    return int(np.prod(node.shape, dtype=int))


def _shapes(nodes: Iterable[Any]) -> str:
    return ", ".join(f"{node.name} {node.dtype} {node.shape}" for node in nodes)


def _indices(shape: Sequence[int], taken: set[str]) -> list[str]:
    """Return an index into a shape: 0 for an axis of length 1, else a variable."""
    indices: list[str] = []
    letters = iter("ijlmpqrsuvwxyz")
    for length in shape:
        wish = "0" if length == 1 else unused(next(letters), taken | set(indices))
        indices.append(wish)
    return indices


def _indented(lines: Iterable[str]) -> list[str]:
    return [
        " " * 4 + line if line else line
        for text in lines
        for line in text.splitlines() or [""]
    ]


def _call(function: str, arguments: Sequence[str]) -> list[str]:
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= 88:
        return [line]
    rows = textwrap.wrap(", ".join(a.replace(" ", "\0") for a in arguments), 84)
    return [f"{function}(", *(f"    {row}".replace("\0", " ") for row in rows), ")"]


def _signature(name: str, arguments: Sequence[str]) -> list[str]:
    line = f"def {name}({', '.join(arguments)}):"
    if len(line) <= 100:
        return [line]
    lines = [""]
    for argument in arguments:
        if len(lines[-1]) + len(argument) > 93:
            lines.append("")
        lines[-1] += f" {argument}," if lines[-1] else f"    {argument},"
    return [f"def {name}(", *lines, "):"]


def _functions(definitions: str) -> list[str]:
    """Split a text into its functions and constants."""
    lines = definitions.splitlines()
    return [
        "\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in ast.parse(definitions).body
    ]


def _decorated(text: str, decorator: str) -> str:
    """Put a decorator in front of each function."""
    return re.sub(r"(?m)^def ", f"{decorator}\ndef ", text)


def _single(update: Update) -> str:
    """The function that rounds the coefficients to float32."""
    rule = next(
        node
        for node in ast.parse(update.definitions).body
        if isinstance(node, ast.FunctionDef) and node.name == update.rule
    )
    count = len(rule.args.args) - 2 - len(update.states)
    given = ", ".join(["t", *update.hyperparameters])
    numbers = [f"np.float32(c[{i}])," for i in range(count)]
    rows = [" " * 8 + " ".join(numbers[i : i + 4]) for i in range(0, count, 4)]
    return "\n".join(
        [
            f"def {update.coefficients}_float32({given}):",
            '    """The same, rounded as eager steps do."""',
            f"    c = {update.coefficients}({given})",
            "    return (", *rows, "    )",
        ]
    )  # fmt: skip
