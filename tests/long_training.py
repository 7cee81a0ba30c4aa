"""A small TinyLM in a training that is made to be stopped.

    python tests/long_training.py FOLDER

trains to the end, from wherever the checkpoint is, and prints the step before each.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from datasets import MinibatchStream
from experiments.lineup import build
from experiments.trainings import resumable
from experiments.trainings.resumable import Checkpoints, History
from experiments.trainings.tiny_lm import TinyLM

STEPS, EVERY = 30, 4  # batches of 7 in an epoch of 9: the last is a small one


class LongTraining:
    """Everything that takes part."""

    def __init__(
        self, folder: Path, *, optimizer: str = "adam", lr: float = 0.01, width: int = 8,
        source: str = "6f1e",
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(1)
        self.model = TinyLM(positions=8, width=width, rng=rng)
        examples = np.random.default_rng(2).integers(0, 28, (60, 9))
        self.batches = MinibatchStream(examples[:, :-1], examples[:, 1:], 7, rng)
        self.optimizer = build(optimizer, self.model.parameters(), lr=lr)
        run = {"source": source, "optimizer": optimizer, "lr": lr}
        self.checkpoints = Checkpoints(folder, run)

    def run(
        self, steps: int = STEPS, announce: Callable[[], Any] = lambda: None, every: int = EVERY
    ) -> History:
        """Train, and announce each evaluation."""

        def evaluate() -> dict[str, Any]:
            announce()
            return {"norm": float(sum((p.data**2).sum() for p in self.model.parameters()))}

        return resumable.train(
            self.model, self.optimizer, self.batches, steps=steps, checkpoints=self.checkpoints,
            evaluate=evaluate, every=every, description="a small one",
        )  # fmt: skip

    def steps(self) -> int:
        """Return how many batches it has taken."""
        return self.batches.epoch * self.batches.batches_per_epoch + self.batches.position

    def state(self) -> dict[str, Any]:
        """Return all that the training has changed."""
        parts: dict[str, Any] = {"model": self.model, "optimizer": self.optimizer,
                                 "batches": self.batches}  # fmt: skip
        return {name: part.state_dict() for name, part in parts.items()}


if __name__ == "__main__":
    resumable.SECONDS_BETWEEN_CHECKPOINTS = 0.0
    LongTraining(Path(sys.argv[1])).run(announce=lambda: print("evaluated", flush=True))
