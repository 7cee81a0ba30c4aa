"""The recorded trajectories of the optimizers, and how far another path is from them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RECORD: dict[str, Any] = json.loads(
    (Path(__file__).parent / "reference" / "optimizers.json").read_text(encoding="utf-8")
)
GRADIENTS = {name: np.array(rows) for name, rows in RECORD["gradients"].items()}


@dataclass(frozen=True)
class Trajectory:
    """One run of `reference/record_optimizers.py`."""

    optimizer: str  # the class's name in `optim`
    options: dict[str, Any]
    source: str  # "torch", "optax" or "equations"
    gradients: Any  # one row, or matrix, a step
    path: Any  # x after each of RECORD["steps"]; the first is the start

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value}" for name, value in self.options.items())
        shape = "x".join(map(str, self.start.shape)) + " " if self.start.ndim > 1 else ""
        return f"{shape}{self.optimizer}({options})"

    @property
    def start(self) -> Any:
        return self.path[0]

    def error(self, path: Any) -> float:
        """The largest error of a path (x after each step), in units of the largest |x| so far.

        Where x starts at 0, the unit is thus how far x has moved, also where that is 1e-12.  A
        coordinate that has been 0 all the time has to be 0.
        """
        ours = np.array([self.start, *path])[RECORD["steps"]]
        off = np.abs(ours - self.path)
        size = np.maximum.accumulate(np.abs(self.path))
        in_units = np.divide(off, size, out=np.where(off == 0, 0.0, np.inf), where=size > 0)
        return float(np.max(in_units))


TRAJECTORIES = [
    Trajectory(
        run["optimizer"], run["options"], run["source"],
        GRADIENTS[run["gradients"]], np.array(run["path"]),
    )
    for run in RECORD["runs"]
]  # fmt: skip


def trajectories(optimizer: str) -> list[Trajectory]:
    return [run for run in TRAJECTORIES if run.optimizer == optimizer]
