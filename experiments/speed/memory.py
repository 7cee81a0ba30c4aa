"""Memory that training steps take: its peak, and whether it grows.

``python -m experiments.speed.memory`` runs the transformer's step of `models`, in minigrad and in
PyTorch if that is installed, each in a process of its own, and prints for each the memory that is
resident at the peak above what was resident before the first step, and how much more is resident
after the last step than after the fifth.  A step on a single sequence goes before, so that the
libraries' own code has been loaded.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from experiments.speed import models
from experiments.speed.models import TRANSFORMER, candidates

__all__ = ["measure"]

SETTLED = 5
"""Steps after which buffers have their size, and moments and compiled loops are there."""


def measure(name: str, steps: int) -> dict[str, float]:
    """Run one candidate's step, in this process.

    Parameters
    ----------
    name : str
        Of a candidate, as the speed table has it.
    steps : int
        How many; at least `SETTLED`.

    Returns
    -------
    dict
        "peak" and "growth", in megabytes.
    """
    whole, models.SEQUENCES = models.SEQUENCES, 1
    candidates(TRANSFORMER, np.random.default_rng(0))[name]()
    models.SEQUENCES = whole
    step = candidates(TRANSFORMER, np.random.default_rng(0))[name]
    before = resident()
    for i in tqdm(range(steps), desc=name, leave=False, disable=None):
        if i == SETTLED:
            settled = resident()
        step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"peak": peak - before, "growth": resident() - settled}


def resident() -> float:
    """Megabytes of this process that are in memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    """Parse the command line; measure each candidate in a process of its own."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.speed.memory",
        description="Memory of a transformer's training step, in minigrad and PyTorch (Linux).",
    )
    parser.add_argument("--steps", type=int, default=30, help="training steps (default: 30)")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps <= SETTLED:
        parser.error(f"--steps {options.steps}: must be more than {SETTLED}")
    if not Path("/proc/self/statm").exists():
        parser.error("needs /proc/self/statm, which this operating system does not have")
    if options.only:
        print(json.dumps(measure(options.only, options.steps)))
        return
    print(f"{TRANSFORMER}, {options.steps} steps\n\n{'':40}{'peak':>10}{'growth':>10}")
    for name in candidates(TRANSFORMER, np.random.default_rng(0)):
        command = [sys.executable, "-m", "experiments.speed.memory", "--only", name]
        result = subprocess.run(
            [*command, "--steps", str(options.steps)], stdout=subprocess.PIPE, check=True
        )
        found = json.loads(result.stdout)
        print(f"  {name:38}{found['peak']:>7.0f} MB{found['growth']:>7.1f} MB")


if __name__ == "__main__":
    main()
