"""Running a step without its consequences: no parameter, gradient, optimizer or generator changes.

What a step could change is looked for among its variables.  An optimizer's `step` is noted instead
of made.  What a trace could not hold, since it changes from one step to the next, is put back and
refused: learning rates that the step sets, random numbers that it draws, gradients that it adds up
over steps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.tensor import Tensor
from minigrad.tracing.frames import asked_at
from minigrad.tracing.names import tensors_of, variables_of
from minigrad.tracing.node import EAGER, Unsupported
from minigrad.tracing.record import Recorder
from minigrad.tracing.symbol import Symbol

if TYPE_CHECKING:
    from minigrad.tracing.trace import Watcher

__all__ = ["Surroundings"]


class Surroundings:
    """What a function may change, found among its variables.

    Parameters
    ----------
    function : callable
        It is not called.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        values = list(_flat([value for _, value in variables_of(function)]))
        found: dict[int, Any] = {id(value): value for value in values}
        self.optimizers = [x for x in found.values() if _has(x, "step", "param_groups")]
        self.schedulers = [
            x for x in found.values() if _has(x, "step", "state_dict") and x not in self.optimizers
        ]
        self.generators = [x for x in found.values() if isinstance(x, np.random.Generator)]
        self.tensors = tensors_of(function)
        self.leaves = dict.fromkeys(
            [*self.tensors, *(p for x in self.optimizers for p in parameters_of(x))]
        )

    @contextmanager
    def undisturbed(self, watcher: Watcher, *, marked: Recorder | None = None) -> Iterator[None]:
        """Let nothing change in a block; gradients are None at its start.

        With `marked`, they are Symbols instead: a step that adds to one of them, and leaves the sum
        for the next step, is refused.
        """
        gradients = {leaf: leaf.grad for leaf in self.leaves}
        groups = [(group, dict(group)) for x in self.optimizers for group in x.param_groups]
        states = [generator.bit_generator.state for generator in self.generators]
        marks = {}
        for leaf in self.leaves:
            leaf.grad = None
            if marked is not None:
                mark = marked.leaf("constant", np.zeros(leaf.shape, leaf.dtype))
                leaf.grad = marks[leaf] = Symbol(mark, marked)
        for optimizer in self.optimizers:
            vars(optimizer)["step"] = functools.partial(watcher.step, optimizer)
        for scheduler in self.schedulers:
            vars(scheduler)["step"] = functools.partial(_refuse_step, scheduler)
        try:
            yield
            self._refuse_sums(marks, marked)
        finally:
            for stepping in (*self.optimizers, *self.schedulers):
                vars(stepping).pop("step", None)
            for tensor, g in (watcher.leaves | gradients).items():
                tensor.grad = g
            drew = [x for x, s in zip(self.generators, states, strict=True) if _moved(x, s)]
            for generator, state in zip(self.generators, states, strict=True):
                generator.bit_generator.state = state
            changed = [(group, before) for group, before in groups if dict(group) != before]
            for group, before in changed:
                for name, value in before.items():
                    setattr(group, name, value)
        if drew:
            raise Unsupported(
                "the step draws random numbers, other ones each time; draw them before, and give "
                f"them as an input, or {EAGER}"
            )
        if changed:
            raise Unsupported(
                "the step changes hyperparameters of the optimizer; its text has one value for "
                f"each. Change them between steps, give compile()'s epochs rates=, or {EAGER}"
            )

    def _refuse_sums(self, marks: dict[Tensor, Symbol], marked: Recorder | None) -> None:
        if marked is None:
            return
        added_to = {x for node in marked.nodes for x in node.operands}
        for leaf, mark in marks.items():
            if mark.node in added_to and leaf.grad is not None:
                raise Unsupported(
                    "the step adds gradients to those of the step before; set them to None in it, "
                    f"with zero_grad() of the optimizer or of the module, or {EAGER}"
                )


def parameters_of(optimizer: Any) -> Iterator[Tensor]:
    """Yield the Tensors that an optimizer updates."""
    for group in optimizer.param_groups:
        yield from (p for p in group.params if isinstance(p, Tensor))


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        elif isinstance(value, dict):
            yield from _flat(value.values())
        else:
            yield value


def _has(x: Any, *names: str) -> bool:
    return not isinstance(x, type) and all(hasattr(x, name) for name in names)


def _moved(generator: np.random.Generator, state: Any) -> bool:
    return repr(generator.bit_generator.state) != repr(state)


def _refuse_step(scheduler: Any, *_: Any, **__: Any) -> None:
    raise Unsupported(
        f"{type(scheduler).__name__} makes a step at {asked_at()}, which changes from one step to "
        "the next and so belongs outside of a traced step: call it between steps, or give "
        f"compile()'s epochs rates=, or {EAGER}"
    )
