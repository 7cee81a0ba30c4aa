"""How fast a sweep is: one training, and how much faster two processes make many.

``python -m experiments.speed.sweeps`` times the airfoil training of
``learning_rate_sensitivity``, and sweeps of it with one worker and with two, in turns.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable
from statistics import median

from tqdm import tqdm

from datasets import Regression, airfoil
from experiments.speed.timing import Timings, ratio
from experiments.sweep import Run, SpawnedPool, sweep
from experiments.sweep.executors import one_blas_thread
from experiments.trainings import train_linear

__all__ = ["compare"]

OPTIMIZERS = ("sgd", "adam", "yogi", "lion", "rmsprop")
ONE, READY, STARTED = "one worker", "two, ready", "two, started for it"


def trainings(n: int) -> list[Run]:
    """Return n different runs of `train_linear`, with the optimizers in turn."""
    return [
        {"optimizer": OPTIMIZERS[i % len(OPTIMIZERS)], "lr": 0.01, "seed": i} for i in range(n)
    ]


def compare(data: Regression, runs: int, rounds: int) -> Timings:
    """Time sweeps of the same runs with one worker and with two, in turns.

    Parameters
    ----------
    data : Regression
        What to train on.
    runs, rounds : int
        How many trainings a sweep has, and how many sweeps each candidate.

    Returns
    -------
    dict of str to list of float
        Seconds per sweep: in this process, with two processes that are ready, and with two that
        have to be started first.
    """
    train, todo = functools.partial(train_linear, data), trainings(runs)
    with SpawnedPool(2) as pool:
        candidates: dict[str, Callable[[], object]] = {
            ONE: lambda: sweep(train, todo, workers=1),
            READY: lambda: sweep(train, todo, workers=2, executor=pool),
            STARTED: lambda: sweep(train, todo, workers=2),
        }
        sweep(train, trainings(100), workers=2, executor=pool)  # starts its processes
        timings: Timings = {name: [] for name in candidates}
        for _ in tqdm(range(rounds), unit="round", leave=False, disable=None):
            for name, run in candidates.items():
                started = time.perf_counter()
                run()
                timings[name].append(time.perf_counter() - started)
    return timings


def main() -> None:
    """Parse the command line, and print one training's time and the sweeps'."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.speed.sweeps",
        description="Time the airfoil training of sweeps, and sweeps with one worker and two.",
    )
    parser.add_argument("--runs", type=int, default=1000, help="in a sweep (default: 1000)")
    parser.add_argument("--rounds", type=int, default=5, help="of each (default: 5)")
    options = parser.parse_args()
    if min(options.runs, options.rounds) < 1:
        parser.error("--runs and --rounds: must be 1 or above")
    data = airfoil()
    with one_blas_thread():
        single = []
        for run in trainings(100):
            started = time.perf_counter()
            train_linear(data, **run)
            single.append(time.perf_counter() - started)
    print(f"one training, two epochs of batches of 10: {1e3 * median(single):.1f} ms")
    timings = compare(data, options.runs, options.rounds)
    print(f"\n{options.runs} trainings{'time':>25}{'times as fast':>16}")
    for name, seconds in timings.items():
        print(f"  {name:24}{median(seconds):8.2f} s{ratio(timings, ONE, name):15.2f}")


if __name__ == "__main__":
    main()
