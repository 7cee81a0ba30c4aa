"""How long the first step of an optimizer takes in a fresh process, its compiled loop on disk.

``python -m experiments.speed.first_use`` starts a process for each measurement.  In it NumPy, Numba
and minigrad are imported off the clock; then `optim` is imported, an optimizer made, and a step
made with it.  Numba sets itself up when a process calls the first of its functions, whichever that
is: the first line is how long that takes for a function that adds 1 to an array.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from statistics import median
from typing import Any

import numpy as np
from numba import njit
from tqdm import tqdm

__all__ = ["measure"]

OPTIMIZERS = ("SGD", "Adam", "Yogi", "RAdam", "Lion")
NUMBA_ALONE = "Numba alone"


def _add_one(x: Any) -> None:
    for i in range(x.size):
        x[i] += 1


_compiled_add_one = njit(cache=True)(_add_one)


def measure(name: str, size: int) -> float:
    """Return the seconds that a first use takes, in this process, which should be a fresh one.

    Parameters
    ----------
    name : str
        Of an optimizer, or `NUMBA_ALONE`.
    size : int
        Number of elements of the one parameter.
    """
    from minigrad import Tensor

    values = np.ones(size)
    started = time.perf_counter()
    if name == NUMBA_ALONE:
        _compiled_add_one(values)
    else:
        import optim

        parameter = Tensor(values, requires_grad=True)
        parameter.grad = np.ones(size)
        getattr(optim, name)([parameter]).step()
    return time.perf_counter() - started


def main() -> None:
    """Parse the command line; measure each first use in processes of its own."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.speed.first_use",
        description="Time the first step of an optimizer in a fresh process.",
    )
    parser.add_argument("--rounds", type=int, default=7, help="processes for each (default: 7)")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(measure(options.only[0], int(options.only[1])))
        return
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: must be 1 or above")
    cases = [(NUMBA_ALONE, 10)] + [(name, n) for n in (10, 1 << 21) for name in OPTIMIZERS]
    seconds: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
    for i in tqdm(range(options.rounds + 1), unit="round", leave=False, disable=None):
        for case in cases:
            command = [sys.executable, "-m", "experiments.speed.first_use", "--only"]
            result = subprocess.run(
                [*command, case[0], str(case[1])], stdout=subprocess.PIPE, text=True, check=True
            )
            if i > 0:  # the first may have compiled
                seconds[case].append(float(result.stdout))
    own = median(seconds[NUMBA_ALONE, 10])
    print("First use in a fresh process, beyond importing Numba, NumPy and minigrad\n")
    print(f"  {NUMBA_ALONE:32}{own * 1e3:>7.0f} ms")
    for (name, size), times in list(seconds.items())[1:]:
        whole = median(times)
        label = f"{name}, {size:,} elements"
        print(f"  {label:32}{whole * 1e3:>7.0f} ms{(whole - own) * 1e3:>+8.0f} ms")


if __name__ == "__main__":
    main()
