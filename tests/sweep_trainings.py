"""Trainings for the tests of sweeps, in a module that worker processes can import."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from experiments.sweep import Result


def walk(*, seed: int, steps: int = 10) -> Result:
    """Return where a random walk ends, and its first steps."""
    steps_taken = np.random.default_rng(seed).normal(size=steps)
    return {"end": float(steps_taken.sum()), "first": [float(step) for step in steps_taken[:3]]}


def product(*, seed: int, size: int = 300) -> Result:
    """Return a sum over a product large enough for BLAS to share among threads."""
    a = np.random.default_rng(seed).normal(size=(size, size))
    return {"sum": float((a @ a).sum())}


def fails_at_3(*, seed: int) -> Result:
    """Raise an exception in one run."""
    if seed == 3:
        raise ValueError("three is too many")
    return walk(seed=seed)


def dies_at_3(*, seed: int) -> Result:
    """Kill the process in one run, as the kernel does when memory ends."""
    if seed == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return walk(seed=seed)


def dies_once(folder: str, *, seed: int) -> Result:
    """Kill the process at run 3 the first time it is tried, and not again."""
    mark = Path(folder) / "died"
    if seed == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return walk(seed=seed)


def diverges(*, lr: float) -> Result:
    """Return inf, -inf and NaN for a large learning rate."""
    if lr > 1:
        return {"loss": float("inf"), "others": [float("-inf"), float("nan"), 1.0]}
    return {"loss": lr}


def returns_an_array(*, seed: int) -> Result:
    """Return what a line of JSON cannot hold."""
    return {"end": np.zeros(seed)}


def exits_at_3(*, seed: int) -> Result:
    """Call sys.exit in one run, as a training written as a script might."""
    if seed == 3:
        sys.exit("three is enough")
    return walk(seed=seed)


def of_numpy(*, seed: int) -> Result:
    """Return NumPy's scalars."""
    return {"loss": np.float32(0.1), "n": np.int64(seed), "even": np.bool_(seed % 2 == 0)}


def slow(*, seed: int, seconds: float = 0.03) -> Result:
    """Take some time."""
    time.sleep(seconds)
    return walk(seed=seed)


def process(*, seed: int) -> Result:
    """Say which process ran it."""
    time.sleep(0.01)
    return {"pid": os.getpid()}
