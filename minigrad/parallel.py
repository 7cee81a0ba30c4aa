"""Data parallelism: the parts of a batch side by side, each on a core of its own."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import pairwise
from typing import Any

import numpy as np

from minigrad.backward import backpropagate
from minigrad.compiled import this_thread
from minigrad.recording import mode
from minigrad.tensor import Tensor

__all__ = ["DataParallel"]


class DataParallel:
    """A loss and its gradients, with the batch cut into parts that run at the same time.

    The mean loss of a batch is the mean of its parts' mean losses, each weighted by its share of
    the examples, and so are the gradients.  Each part has a graph and a thread of its own, from
    the first layer to the gradients of the parameters, and BLAS is kept to the same thread.  NumPy,
    BLAS and the compiled loops let other threads run while they compute, so a large model gets
    nearly twice as fast on two cores; one whose step takes a few milliseconds gets slower.

    Parameters
    ----------
    loss : callable
        Takes its part of every array of the batch and returns the mean loss over it, a scalar
        Tensor.  It must not change the model or draw random numbers (as `nn.BatchNorm2d` and
        `nn.Dropout` do in training): the threads would do so in any order.  A part whose loss
        uses no parameter, because all of it is masked, adds no gradients.
    parts : int, optional
        Into how many parts a batch is cut; by default as many as there are cores.  The gradients
        depend on it, by rounding.
    threads : int, optional
        How many parts run at the same time; by default as many as there are cores.  The gradients
        do not depend on it.

    Raises
    ------
    TypeError, ValueError
        If `parts` or `threads` is no whole number, or below 1.

    Notes
    -----
    While it runs, all of the process's BLAS calls keep to one thread each.  In its threads, large
    matrix products take a compiled loop that on one core is faster than NumPy's BLAS, where the
    processor has AVX-512 (`kernels.products`).

    Examples
    --------
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> step = DataParallel(lambda X, y: ((X @ w - y) ** 2).mean(), parts=2)
    >>> X, y = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([0.0, 0.0, 3.0])
    >>> step(X, y), w.grad
    (1.6666666666666665, array([0.66666667, 1.33333333]))
    """

    def __init__(
        self, loss: Callable[..., Any], *, parts: int | None = None, threads: int | None = None
    ) -> None:
        cores = os.cpu_count() or 1
        self.loss = loss
        try:
            self.parts = cores if parts is None else operator.index(parts)
            self.threads = cores if threads is None else operator.index(threads)
        except TypeError:
            raise TypeError(
                f"DataParallel: parts={parts!r} and threads={threads!r} must be whole numbers"
            ) from None
        if self.parts < 1 or self.threads < 1:
            raise ValueError(
                f"DataParallel: parts={parts!r} and threads={threads!r} must be at least 1"
            )
        self._pool: Any = None
        self._blas: Any = None

    def __call__(self, *batch: Any) -> float:
        """Add the gradients of the mean loss to `grad` of every leaf, and return the loss.

        Parameters
        ----------
        *batch : array_like
            Arrays with one length, the examples along the first axis.

        Raises
        ------
        RuntimeError
            Under `no_grad`, or if no part of the loss depends on a tensor with `requires_grad`.
        TypeError
            If `loss` returns anything but a Tensor.
        ValueError
            If the arrays' lengths differ, or are 0; if the loss is no scalar.
        Exception
            What `loss` raised for the first part that failed.  After any of these, every gradient
            is what it was.
        """
        if not mode.recording:
            raise RuntimeError(
                "DataParallel computes gradients, and was called under no_grad(); call the loss "
                "itself for its value alone"
            )
        arrays = [np.asarray(x) for x in batch]
        lengths = {x.shape[:1] for x in arrays}
        if len(lengths) != 1 or lengths <= {(), (0,)}:
            raise ValueError(
                f"DataParallel: the batch has arrays of shapes {[x.shape for x in arrays]}; their "
                "lengths, the first number of each, must be equal, and at least 1"
            )
        n = len(arrays[0])
        cuts = np.linspace(0, n, min(self.parts, n) + 1).round().astype(int).tolist()
        if self._pool is None:
            from threadpoolctl import ThreadpoolController

            self._pool = ThreadPoolExecutor(self.threads, "minigrad", this_thread.take_one_core)
            self._blas = ThreadpoolController()
        with self._blas.limit(limits=1, user_api="blas"):
            running = [
                # In a copy of this thread's context, so that np.errstate holds there too.
                self._pool.submit(
                    copy_context().run, self._part, [x[start:stop] for x in arrays], n
                )
                for start, stop in pairwise(cuts)
            ]
            errors = [part.exception() for part in running]
        for error in errors:
            if error is not None:
                raise error
        losses, gradients = zip(*(part.result() for part in running), strict=True)
        if all(part is None for part in gradients):
            raise RuntimeError(
                "backward() on a tensor with no graph: nothing that the loss of any part was "
                "computed from has requires_grad=True"
            )
        terms: dict[Tensor, list[Any]] = {}
        for part in gradients:  # in order: the sum must not depend on who was first
            for leaf, g in (part or {}).items():
                terms.setdefault(leaf, []).append(g)
        total = {leaf: _sum(leaf.grad, gs) for leaf, gs in terms.items()}
        for leaf, g in total.items():
            leaf.grad = g
        return sum(losses)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_pool": None, "_blas": None}  # a copy starts threads of its own

    def _part(self, batch: list[Any], n: int) -> tuple[float, dict[Tensor, Any] | None]:
        """Return the part's share of the loss, and of its gradients; None where it has no graph."""
        share = len(batch[0]) / n
        loss = self.loss(*batch)
        if not isinstance(loss, Tensor):
            raise TypeError(
                f"DataParallel: the loss is a {type(loss).__name__}; it must be a Tensor, computed "
                "from the parameters without .item() or float()"
            )
        if loss.size != 1:
            raise ValueError(
                f"DataParallel: the loss has shape {loss.shape}; it must be a scalar, the mean "
                "over the examples, e.g. by .mean()"
            )
        if not loss.requires_grad:
            return share * loss.item(), None
        return share * loss.item(), backpropagate(loss, np.full(loss.shape, share, loss.dtype))


def _sum(so_far: Any, terms: list[Any]) -> Any:
    """Add all the terms to one that may be None, in an array of its own, C-ordered; or a Tensor."""
    if isinstance(so_far, Tensor):
        return so_far + sum(terms[1:], terms[0])
    z = np.empty(terms[0].shape, terms[0].dtype)
    if len(terms) == 1:
        z[...] = terms[0]
    else:
        np.add(terms[0], terms[1], out=z)
    for g in terms[2:]:
        z += g
    return z if so_far is None else np.add(so_far, z, out=z)
