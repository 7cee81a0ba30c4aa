"""`compile`: a loss and an optimizer in, a function that runs an epoch out."""

from __future__ import annotations

import contextlib
import importlib.util
import numbers
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.tracing.epoch import Part, epoch_source
from minigrad.tracing.generated import imported
from minigrad.tracing.given import (
    Input,
    as_traced,
    check_limit,
    checked_clip,
    checked_examples,
    checked_order,
    checked_rates,
    look_again,
)
from minigrad.tracing.loops import loops, with_free_names
from minigrad.tracing.node import Trace
from minigrad.tracing.ranges import Range, check_ranges, ranges_of
from minigrad.tracing.rule import update_of
from minigrad.tracing.trace import trace

__all__ = ["CompiledEpoch", "compile"]

Array = npt.NDArray[Any]


def compile(
    loss: Callable[..., Any],
    optimizer: Any,
    batch_size: int,
    *,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> CompiledEpoch:
    """Return a function that runs whole epochs as machine code: batches, gradients and updates.

    Parameters
    ----------
    loss : callable
        ``loss(X, y)``, or with any other number of arrays: of one batch, examples along the first
        axis.  It is traced, see `trace`, when a batch of a size first occurs.  Tensors that it
        reads are read anew at every call, frozen ones too, and it is traced again after one has
        been frozen, or is no longer.  All else is as it was when it was traced: Python numbers and
        flags, arrays that are no Tensors, and what it drew from a generator with a fixed seed.
    optimizer : optim.Optimizer
        One whose rule is elementwise: any but Muon.
    batch_size : int
        Examples in a batch.
    clip_norm, clip_value : float, optional
        A limit for the gradients of the parameters that the optimizer has, as
        `optim.clip_grad_norm` and `optim.clip_grad_value` do it; at most one of the two.
    folder : path, optional
        Where the generated file is kept; ``~/.cache/minigrad/steps`` by default, with
        ``$XDG_CACHE_HOME`` in place of ``~/.cache`` if that is set.

    Returns
    -------
    CompiledEpoch

    Raises
    ------
    TypeError
        If the optimizer's rule is not elementwise; the message names it.  Also if an argument is
        of another kind.
    ValueError
        If `batch_size` or a limit is out of range.

    Notes
    -----
    Between batches, nothing but the compiled code runs: an epoch cannot be interrupted by Ctrl-C,
    and parameters are the tensors that the loss had at the first call.  Hyperparameters are read at
    every call.  The update rounds as the optimizer does; sums in forward and backward may be added
    up in another order than NumPy's, so that losses differ in the last digits.

    The first call compiles, and writes the code to a file, which is named by a digest of what is in
    it.  Later processes find file and machine code there.  The folder may be deleted at any time.
    How long it takes grows with the number of loops, and so with layers and parameters, not with
    examples: 0.7 s for a linear model, 3 s for a network of three layers, and 11 s for one of
    nine, on two shared cores.  It is twice that if a last batch is smaller, since that is code of
    its own.  What changes the code compiles once more: a flag of the optimizer, momentum that
    becomes 0, a tensor that is frozen, or no longer is.

    Where a unit has gradient 0 for thousands of steps (in float32, hundreds), such as one of a relu
    that is never active, Adam's first moment decays to subnormal numbers, with which processors are
    several times as slow.

    Examples
    --------
    >>> from minigrad import Tensor, mse_loss
    >>> from optim import Adam
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 2))
    >>> y = X @ [2.0, -3.4] + 4.2
    >>> w = Tensor(np.zeros(2), requires_grad=True)
    >>> b = Tensor(0.0, requires_grad=True)
    >>> def loss(X, y):
    ...     return mse_loss(X @ w + b, y)
    >>> epoch = compile(loss, Adam([w, b], lr=0.1), batch_size=10)
    >>> for _ in range(30):
    ...     losses = epoch(X, y, rng=rng)
    >>> losses.shape, w.data.round(2), b.data.round(2)
    ((10,), array([ 2. , -3.4]), np.float64(4.2))
    """
    return CompiledEpoch(loss, optimizer, batch_size, clip_norm, clip_value, folder)


@dataclass(frozen=True)
class _Function:
    """One generated function: for one batch size, and one state of the optimizer's flags."""

    run: Callable[..., int]
    source: str
    path: Path


@dataclass(frozen=True)
class _Run:
    """A function and what it is given in one call, besides examples, order, rates and losses."""

    function: _Function
    size: int  # of a batch
    steps: int
    dtype: np.dtype[Any]  # of the loss
    slots: list[list[Any]]  # of each part, for its t
    slot_of: dict[int, Any]  # by the place in the trace
    values: list[Array]  # parameters, what is fixed, then states
    others: list[Any]  # hyperparameters


class CompiledEpoch:
    """What `compile` returns; call it to train.

    Parameters and the optimizer's state are the live ones: epochs, compiled or not, steps of the
    optimizer, schedules, checkpoints and changes of hyperparameters may follow each other in any
    order.  A call leaves ``grad`` of the parameters that it updated None.

    Attributes
    ----------
    source : str
        The generated code, once the epoch has been called.
    path : Path
        The file it is in, likewise.
    """

    def __init__(
        self,
        loss: Callable[..., Any],
        optimizer: Any,
        batch_size: Any,
        clip_norm: float | None,
        clip_value: float | None,
        folder: str | os.PathLike[str] | None,
    ) -> None:
        if not callable(loss):
            raise TypeError(
                f"compile() takes the loss, a function of a batch, and got {type(loss).__name__}; "
                "e.g. compile(lambda X, y: mse_loss(net(X), y), optimizer, batch_size=10)"
            )
        if not hasattr(optimizer, "param_groups") or not hasattr(optimizer, "_slots"):
            raise TypeError(
                f"the optimizer is of type {type(optimizer).__name__}; accepted are those of optim"
            )
        if isinstance(batch_size, bool) or not isinstance(batch_size, numbers.Integral):
            raise TypeError(f"batch_size={batch_size!r}: accepted is a whole number from 1")
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: accepted is a whole number from 1")
        for group in optimizer.param_groups:
            update_of(group)
        self._loss = loss
        self._optimizer = optimizer
        self._batch_size = int(batch_size)
        self._clip = checked_clip(clip_norm, clip_value)
        self._folder = None if folder is None else Path(folder)
        self._inputs: list[Input] = []
        self._traces: dict[int, tuple[Trace, list[Range]]] = {}  # by the batch's size
        self._functions: dict[Any, _Function] = {}
        self._shown: _Function | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy begins with: it finds its own tensors when it traces its own loss."""
        return self.__dict__ | {"_traces": {}, "_functions": {}, "_shown": None}

    @property
    def source(self) -> str:
        """The generated code, of the function for whole batches."""
        return self._made().source

    @property
    def path(self) -> Path:
        """The file that holds it."""
        return self._made().path

    def __repr__(self) -> str:
        name = getattr(self._loss, "__name__", type(self._loss).__name__)
        kind = type(self._optimizer).__name__
        return f"<compiled epoch of {name} with {kind}, {self._batch_size} examples a batch>"

    def __call__(
        self,
        *examples: Array,
        rng: np.random.Generator | None = None,
        order: npt.ArrayLike | None = None,
        rates: npt.ArrayLike | None = None,
    ) -> Array:
        """Make a step for each batch.

        Parameters
        ----------
        *examples : ndarray
            What the loss takes, for all examples: equally long along the first axis, and in all
            other axes and dtypes as at the first call.
        rng : numpy.random.Generator, optional
            Draws the order of the epoch, as `datasets.minibatches` does with it.
        order : array_like of int, optional
            Which examples, one batch after the other; as many and as often as you like.  Without
            `rng` and `order` they come as they are given.
        rates : array_like of float, optional
            The learning rate of each step, in place of the optimizer's; of shape (steps,), or
            (groups, steps) for a row of rates for each parameter group.

        Returns
        -------
        ndarray of shape (steps,)
            The loss of each batch, before its update.  A last batch may be smaller.

        Raises
        ------
        ValueError, TypeError
            If an argument or a tensor does not fit, or a label or index among the examples is out
            of range; nothing has been changed.
        IndexError
            If an index that the loss computes is out of range.  The steps before have been made.
        FloatingPointError
            If a gradient holds NaN or infinity, and the optimizer has ``nonfinite="raise"``.  The
            steps before have been made.
        Unsupported
            If the loss cannot be traced or compiled.
        """
        arrays = checked_examples(examples, self._inputs)
        count = len(arrays[0])
        indices = checked_order(order, rng, count)
        total = count if indices is None else len(indices)
        whole, rest = divmod(total, self._batch_size)
        steps = whole + (rest > 0)
        table = checked_rates(rates, self._optimizer, steps)
        sizes = [
            (size, how_often)
            for size, how_often in ((self._batch_size, whole), (rest, int(rest > 0)))
            if how_often
        ]
        self._trace([size for size, _ in sizes], arrays)
        runs = [  # all of them are ready before one makes a step
            self._ready(size, how_often, table, arrays) for size, how_often in sizes
        ]
        if rng is not None:
            indices = rng.permutation(count)
        elif indices is None:
            indices = np.arange(count)
        losses = np.empty(steps, runs[0].dtype)
        self._make(runs[0], arrays, indices, table, losses)
        if len(runs) == 2:
            last = np.ascontiguousarray(table[:, whole:])
            self._make(runs[1], arrays, indices[total - rest :], last, losses[whole:], whole)
        return losses

    def _make(
        self,
        run: _Run,
        arrays: list[Array],
        indices: Array,
        table: Array,
        losses: Array,
        made: int = 0,
    ) -> None:
        """Make the steps of one batch size."""
        before = [slots[0].t for slots in run.slots]
        skipped = self._optimizer.skipped
        t = np.array([*before, 0.0])  # behind the parts, how many steps were left out

        def settle() -> None:
            """Note what has been done; to do it twice changes nothing more."""
            updates = int(t[0]) - before[0]
            self._optimizer.skipped = skipped + int(t[-1])
            for start, slots in zip(before, run.slots, strict=True):
                for slot in slots if updates else ():
                    slot.t = start + updates
                    slot.parameter.data = slot.data  # says that it changed: see Tensor.serial
                    slot.parameter.grad = None

        try:
            culprit = run.function.run(
                *arrays, indices, *run.values, t, table, *run.others, losses[: run.steps]
            )
        finally:
            try:
                settle()
            except KeyboardInterrupt:  # the counts have to be those of the arrays all the same
                settle()
                raise
        updates = int(t[0]) - before[0]
        if culprit >= 0:
            slot = run.slot_of[culprit]
            batch = indices[run.size * updates : run.size * (updates + 1)]
            raise FloatingPointError(
                f"step {made + updates} of this call (the first is 0): the gradient of "
                f"{slot.label} holds NaN or infinity, with the batch of examples "
                f"{np.array2string(batch, threshold=20, separator=', ')}; this step changed "
                "nothing, those before it were made. Lower the learning rate or look for the "
                "operation that overflows; nonfinite='skip' leaves such steps out"
            )

    # What the steps are made of

    def _trace(self, sizes: list[int], arrays: list[Array]) -> None:
        """Have a trace for batches of each size, and see that the examples go with it."""
        if any(
            not all(tensor.requires_grad for tensor in traced.tensors)
            or any(tensor.requires_grad for tensor in traced.fixed_tensors)
            for traced, _ in self._traces.values()
        ):  # something has been frozen since, or is no longer
            self._traces, self._functions = {}, {}
        for size in sizes:
            if size not in self._traces:
                traced = self._traced(size, arrays)
                self._traces[size] = traced, ranges_of(traced)
                self._inputs = [Input(x.name, x.shape[1:], x.dtype) for x in traced.inputs]
            traced, ranges = self._traces[size]
            check_ranges(ranges, traced, arrays)

    def _ready(self, size: int, steps: int, table: Array, arrays: list[Array]) -> _Run:
        """Return all that steps with batches of this size take, checked and compiled."""
        traced, _ = self._traces[size]
        places = {id(tensor): place for place, tensor in enumerate(traced.tensors)}
        parts: list[Part] = []
        found: list[list[Any]] = []
        slot_of: dict[int, Any] = {}
        others: list[Any] = []
        for g, group in enumerate(self._optimizer._groups):
            by_t: dict[int, list[int]] = {}
            for slot in group._slots:
                place = places.get(id(slot.parameter))
                if place is not None:
                    by_t.setdefault(slot.t, []).append(place)
                    slot_of[place] = slot
                    look_again(slot)
            for members in by_t.values():
                update = update_of(group)
                parts.append(Part(update, g, tuple(members)))
                found.append([slot_of[place] for place in members])
                given = group._values
                others += [given[name] for name in update.hyperparameters if name != "lr"]
        values = [
            slot_of[place].data if place in slot_of else as_traced(tensor, node)
            for place, (tensor, node) in enumerate(
                zip(traced.tensors, traced.parameters, strict=True)
            )
        ]
        values += map(as_traced, traced.fixed_tensors, traced.fixed)
        values += [array for slots in found for slot in slots for array in slot.arrays]
        key = size, self._optimizer.nonfinite, tuple(parts)
        function = self._functions.get(key)
        if function is None:
            function = self._generated(traced, tuple(parts))
            order, losses = np.empty(0, np.int64), np.empty(0, traced.loss.dtype)  # to compile it
            function.run(*arrays, order, *values, np.zeros(len(parts) + 1), table, *others, losses)
            self._functions[key] = function
        if self._shown is None or size == self._batch_size:
            self._shown = function
        return _Run(function, size, steps, traced.loss.dtype, found, slot_of, values, others)

    def _traced(self, size: int, arrays: list[Array]) -> Trace:
        rows = np.arange(size) % len(arrays[0])
        batch = [x[rows] for x in arrays]
        try:
            traced = trace(self._loss, *batch)
        except IndexError:  # index 0 is in every range: so there is a trace that says which it is
            batch = [np.zeros_like(x) if x.dtype.kind in "iu" else x for x in batch]
            with contextlib.suppress(IndexError):
                traced = trace(self._loss, *batch)
                check_ranges(ranges_of(traced), traced, arrays)
            raise
        with_free_names(traced)
        if traced.optimizer is not None:
            raise TypeError(
                f"{traced.name} makes a step of {type(traced.optimizer).__name__} itself; give "
                "compile() the loss alone, which it follows by backward and step"
            )
        if not any(slot.parameter in traced.tensors for slot in self._optimizer._slots):
            raise ValueError(
                f"{traced.name} depends on none of the optimizer's "
                f"{len(self._optimizer._slots)} parameter(s); check that these are the ones that "
                "the loss is computed from"
            )
        return traced

    def _generated(self, traced: Trace, parts: tuple[Part, ...]) -> _Function:
        if self._clip is not None:
            check_limit(self._clip, traced, parts)
        blas = importlib.util.find_spec("scipy") is not None  # Numba takes np.dot from there
        source = epoch_source(
            traced, loops(traced, blas=blas), parts,
            nonfinite=self._optimizer.nonfinite, clip=self._clip,
            optimizer=type(self._optimizer).__name__,
        )  # fmt: skip
        module, path = imported(source, traced.name, self._folder)
        return _Function(module.run, source, path)

    def _made(self) -> _Function:
        if self._shown is None:
            raise RuntimeError(
                "the code is generated at the first call, when the shapes of the examples are "
                "known; call the epoch once"
            )
        return self._shown
