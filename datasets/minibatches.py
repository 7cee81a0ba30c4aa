"""Shuffled batches: one epoch, or an endless stream that can be resumed."""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["MinibatchStream", "minibatches"]


def minibatches(
    X: npt.NDArray[Any], y: npt.NDArray[Any], batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Yield the examples once, in random order, `batch_size` at a time: one epoch.

    Parameters
    ----------
    X, y : ndarray
        Examples along the first axis, equally many.
    batch_size : int
        Examples in a batch; the last batch holds what is left.
    rng : numpy.random.Generator
        Draws the order; one permutation an epoch.

    Yields
    ------
    (ndarray, ndarray)
        Views of shuffled copies of X and y.

    Raises
    ------
    ValueError
        At the call, if the lengths differ or are 0, or `batch_size` is below 1.
    TypeError
        If `batch_size` is no whole number.

    Examples
    --------
    >>> X, y = np.arange(10.0).reshape(5, 2), np.arange(5.0)
    >>> [len(batch) for batch, _ in minibatches(X, y, 2, np.random.default_rng(0))]
    [2, 2, 1]
    """
    _check(X, y, batch_size)
    order = rng.permutation(len(X))
    return _slices(X[order], y[order], batch_size)


class MinibatchStream(Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]):
    """Batches without end, epoch after epoch, that can be resumed in the middle of an epoch.

    The batches of an epoch are those of `minibatches` with the same generator, which draws the
    order when the epoch's first batch is asked for.

    Parameters
    ----------
    X, y, batch_size, rng
        As in `minibatches`.  The stream draws from `rng` itself, not from a copy, so the generator
        may serve others between the batches, say Dropout; the orders then depend on what they
        draw.  Its state is part of the stream's: `load_state_dict` sets it, for all whom it
        serves.  For orders that depend on nothing else give a generator of its own, for example
        ``rng.spawn(1)[0]``.

    Attributes
    ----------
    epoch : int
        Epochs that are complete.
    position : int
        Batches since then.
    batches_per_epoch : int
        The last of them may be a small one.

    Raises
    ------
    ValueError, TypeError
        As `minibatches`; also a TypeError if `rng` is no generator.

    Examples
    --------
    >>> X, y = np.arange(10.0).reshape(5, 2), np.arange(5.0)
    >>> batches = MinibatchStream(X, y, 2, np.random.default_rng(0))
    >>> [len(next(batches)[0]) for _ in range(4)], batches.epoch, batches.position
    ([2, 2, 1, 2], 1, 1)
    >>> twin = MinibatchStream(X, y, 2, np.random.default_rng(1))
    >>> twin.load_state_dict(batches.state_dict())
    >>> [bool(np.all(next(twin)[0] == next(batches)[0])) for _ in range(4)]
    [True, True, True, True]
    """

    def __init__(
        self,
        X: npt.NDArray[Any],
        y: npt.NDArray[Any],
        batch_size: int,
        rng: np.random.Generator,
    ) -> None:
        _check(X, y, batch_size)
        if not isinstance(rng, np.random.Generator):
            raise TypeError(
                f"rng={rng!r} is of type {type(rng).__name__}; it must be a "
                "numpy.random.Generator, such as np.random.default_rng(0)"
            )
        self.X, self.y, self.batch_size, self.rng = X, y, operator.index(batch_size), rng
        self.batches_per_epoch = -(-len(X) // self.batch_size)
        self.epoch = self.position = 0
        self._rng_before = rng.bit_generator.state  # just before the epoch's order was drawn
        self._rest: Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = iter(())

    def __next__(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return the next batch."""
        if self.position == 0:
            self._rng_before = self.rng.bit_generator.state
            self._rest = minibatches(self.X, self.y, self.batch_size, self.rng)
        batch = next(self._rest)
        self.position += 1
        if self.position == self.batches_per_epoch:
            self.epoch, self.position = self.epoch + 1, 0
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Return where the stream is: not the epoch's order, but the generator that drew it.

        ``rng_before`` is the generator's state before the epoch's order was drawn, ``rng`` its
        state now.
        """
        return {
            "examples": len(self.X),
            "batch_size": self.batch_size,
            "epoch": self.epoch,
            "position": self.position,
            "rng_before": copy.deepcopy(self._rng_before),
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another stream was, over the same examples in the same order.

        Parameters
        ----------
        state : mapping
            What `state_dict` of such a stream returned.

        Raises
        ------
        ValueError
            If it is no such state, or that of a stream with another number of examples, another
            batch size or another kind of bit generator.  Nothing has been changed.
        """
        if not isinstance(state, Mapping) or state.keys() != self.state_dict().keys():
            raise ValueError(
                "this is no state of a MinibatchStream, a dict with the keys "
                + ", ".join(self.state_dict())
            )
        faults = [
            f"{name} is {state[name]!r} there and {now!r} here"
            for name, now in (("examples", len(self.X)), ("batch_size", self.batch_size))
            if state[name] != now
        ]
        for name, end in (("epoch", math.inf), ("position", self.batches_per_epoch)):
            if type(state[name]) is not int or not 0 <= state[name] < end:
                faults.append(f"{name}={state[name]!r}: accepted is an int from 0, below {end}")
        generators = []
        for name in ("rng_before", "rng"):
            generator = copy.deepcopy(self.rng)
            try:
                generator.bit_generator.state = state[name]
            except (IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
                kind = type(self.rng.bit_generator).__name__
                faults.append(f"{name} is no state of a {kind}: {error}")
            generators.append(generator)
        if faults:
            raise ValueError(
                "this state does not fit the stream; nothing was changed:\n  "
                + "\n  ".join(faults)
            )
        if state["position"] > 0:
            epoch = minibatches(self.X, self.y, self.batch_size, generators[0])
            self._rest = islice(epoch, state["position"], None)
        self.epoch, self.position = state["epoch"], state["position"]
        self._rng_before = copy.deepcopy(state["rng_before"])
        self.rng.bit_generator.state = state["rng"]


def _check(X: npt.NDArray[Any], y: npt.NDArray[Any], batch_size: int) -> None:
    n = len(X)
    if n != len(y):
        raise ValueError(f"X has {n} examples and y {len(y)}; every example needs its target")
    if n == 0:
        raise ValueError("X and y are empty: there is no batch to draw")
    if operator.index(batch_size) < 1:
        raise ValueError(f"batch_size={batch_size}: accepted is a whole number from 1")


def _slices(
    X: npt.NDArray[Any], y: npt.NDArray[Any], batch_size: int
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    for start in range(0, len(X), batch_size):
        stop = start + batch_size
        yield X[start:stop], y[start:stop]
