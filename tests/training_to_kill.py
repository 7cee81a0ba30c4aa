"""A training run that is made to be killed, and the mistakes that its resumption can make.

    python tests/training_to_kill.py run.npz

trains to the end, from wherever the checkpoint is.
"""

import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.lib import format as npy

from datasets import MinibatchStream
from minigrad import Checkpoint, mse_loss, nn
from optim import Adam, ExponentialMovingAverage
from optim.schedules import Cosine, Scheduler

STEPS = 40  # of 7 in an epoch: a small last batch, and the end in the middle of the sixth


class Run:
    """A network with dropout, and all that takes part in its training."""

    def __init__(self, path: Path, mistake: str = "") -> None:
        rng = np.random.default_rng(0)
        X = rng.normal(size=(50, 8))
        y = np.sin(X @ rng.normal(size=(8, 1)))
        self.rng = rng
        self.net = nn.Sequential(
            nn.Linear(8, 32, rng=rng), nn.BatchNorm1d(32), nn.Tanh(), nn.Dropout(0.2, rng=rng),
            nn.Linear(32, 1, rng=rng),
        )  # fmt: skip
        decayed, others = self.net.parameters()[:1], self.net.parameters()[1:]
        self.optimizer = Adam([{"params": decayed, "weight_decay": 0.01}, {"params": others}])
        self.schedule = Scheduler(self.optimizer, Cosine(lr=0.01, steps=STEPS))
        self.ema = ExponentialMovingAverage(self.net.parameters(), decay=0.9)
        self.batches = MinibatchStream(X, y, 8, np.random.Generator(np.random.MT19937(1)))
        self.parts: dict[str, Any] = {
            "model": self.net, "optimizer": self.optimizer, "schedule": self.schedule,
            "ema": self.ema, "rng": self.rng, "batches": self.batches,
        }  # fmt: skip
        saved = dict(self.parts)
        if mistake.startswith("forget "):
            del saved[mistake.removeprefix("forget ")]
        elif mistake == "Adam's t":
            saved["optimizer"] = WithoutSteps(self.optimizer)
        self.checkpoint = Checkpoint(path, **saved)

    def train(self, announce: Callable[[int], None] = lambda step: None) -> None:
        """Go on from the checkpoint to the end, and write one after every step."""
        first = self.checkpoint.restore()
        losses = self.checkpoint.extra.get("losses", [])
        for step in range(first, STEPS):
            announce(step)
            X, y = next(self.batches)
            self.optimizer.zero_grad()
            loss = mse_loss(self.net(X), y)
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            self.ema.update()
            losses.append(loss.item())
            self.checkpoint.save(step + 1, losses=losses)

    def state(self) -> dict[str, Any]:
        """Return all that the run has computed."""
        return {
            name: part.bit_generator.state if name == "rng" else part.state_dict()
            for name, part in self.parts.items()
        }


class WithoutSteps:
    """An optimizer whose state lacks how many steps it has made."""

    def __init__(self, optimizer: Adam) -> None:
        self.optimizer = optimizer

    def state_dict(self) -> dict[str, Any]:
        state = self.optimizer.state_dict()
        return {**state, "state": [{**entry, "steps": 0} for entry in state["state"]]}

    def load_state_dict(self, state: Any, /) -> None:
        self.optimizer.load_state_dict(state)


def write_in_place(
    path: Path, arrays: Mapping[str, Any], texts: Mapping[str, str]
) -> None:
    """Write a checkpoint straight to where it belongs."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name), text)
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as member:
                npy.write_array(member, array, allow_pickle=False)


@contextmanager
def writer(mistake: str) -> Iterator[None]:
    """Let checkpoints be written as the mistake has it."""
    if mistake != "write in place":
        yield
        return
    with patch("minigrad.checkpoint.write_archive", write_in_place):
        yield


def train_until_killed(path: Path, mistake: str, connection: Any) -> None:
    """Train, and ask before each step; what runs in a process of its own."""

    def ask(step: int) -> None:
        connection.send(step)
        connection.recv()

    with writer(mistake):
        Run(path, mistake).train(ask)
    connection.recv()  # which never comes: a kill may be late


if __name__ == "__main__":
    Run(Path(sys.argv[1])).train()
