"""A line to fit with compiled epochs, and eagerly beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import optim
from datasets import minibatches
from minigrad import Tensor, compile, mse_loss  # noqa: A004

# Ten examples in batches of 4: the last has 2.  Epochs of the same text share their machine code.
X = np.random.default_rng(0).standard_normal((10, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.25
EXACT = 1e-12


class Line:
    """A line to fit, its optimizer and its epoch."""

    def __init__(
        self, folder: Path | None, kind: Any = optim.Adam, dtype: Any = np.float64, **given: Any
    ) -> None:
        self.weight = weight = Tensor(np.zeros(3, dtype), requires_grad=True)
        self.bias = bias = Tensor(np.zeros((), dtype), requires_grad=True)

        def line(X: Any, y: Any) -> Any:
            return mse_loss(X @ weight + bias, y)

        compiled = {k: given.pop(k) for k in ("clip_norm", "clip_value") if k in given}
        self.loss = line
        self.optimizer = kind([("weight", weight), ("bias", bias)], **{"lr": 0.1} | given)
        self.epoch = compile(line, self.optimizer, 4, folder=folder, **compiled)

    def eager(
        self,
        X: Any,
        y: Any,
        rng: np.random.Generator | None = None,
        order: Any = None,
        rates: Any = None,
        between: Callable[[], Any] = lambda: None,
    ) -> list[float]:
        """Make an epoch as everyone writes it."""
        if order is None and rng is None:
            order = range(len(X))
        if order is None:
            batches = list(minibatches(X, y, 4, rng))  # type: ignore[arg-type]
        else:
            batches = [(X[order[i : i + 4]], y[order[i : i + 4]]) for i in range(0, len(order), 4)]
        losses = []
        for k, batch in enumerate(batches):
            if rates is not None:
                self.optimizer.lr = rates[k]
            self.optimizer.zero_grad()
            loss = self.loss(*batch)
            loss.backward()
            between()
            self.optimizer.step()
            losses.append(float(loss.data))
        return losses

    def all(self) -> tuple[Any, ...]:
        """Parameters, state and number of steps."""
        state = self.optimizer.state_dict()["state"]
        arrays = [x for one in state for x in one.values() if isinstance(x, np.ndarray)]
        return (
            np.concatenate([self.weight.data, self.bias.data, *arrays], axis=None),
            [one["steps"] for one in state],
            self.optimizer.skipped,
        )


def assert_same(line: Line, other: Line, tolerance: float = EXACT) -> None:
    (numbers, *counts), (others, *other_counts) = line.all(), other.all()
    np.testing.assert_allclose(numbers, others, rtol=tolerance, atol=tolerance)
    assert counts == other_counts
