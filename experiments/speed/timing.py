"""Comparing run times on a noisy machine: interleaved, in one process, medians."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median

__all__ = ["PAUSE_AFTER_BLAS", "TURN_WITH_BLAS", "Timings", "interleaved", "ratio"]

PAUSE = 0.005
"""Seconds of rest before each candidate, in which the last one's threads stop spinning."""

PAUSE_AFTER_BLAS, TURN_WITH_BLAS = 0.1, 0.4
"""Seconds of rest and of a turn where BLAS takes part: its threads look for more work for a while
before they sleep, and those of the next candidate have to share the cores with them."""

SAMPLE = 5e-5
"""Seconds that one sample should take, so that reading the clock does not matter."""

Timings = dict[str, list[float]]
"""Seconds per call, one entry per round, for each candidate."""


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    seconds_per_turn: float = 0.003,
    pause: float = PAUSE,
    before_turn: Mapping[str, Callable[[], object]] | None = None,
    tick: Callable[[], object] = lambda: None,
) -> Timings:
    """Time the candidates in turn, round after round.

    A slow moment of the machine thus hits all of them, and the ratio within a round is fair.  In
    its turn, a candidate rests, runs once untimed, then runs until `seconds_per_turn` are over;
    the turn's result is the median over samples of about `SAMPLE` seconds, so that a thread that
    was put to sleep once does not count for all.

    Parameters
    ----------
    candidates : mapping
        Name to function; each is run twice first, and so compiled.
    rounds : int
        Turns for each.
    seconds_per_turn : float
        How long a turn measures; at least once.
    pause : float
        Seconds of rest before each turn.
    before_turn : mapping, optional
        Name to what is called before each of a candidate's turns, off the clock.
    tick : callable
        Called after each turn, for a progress bar.

    Examples
    --------
    >>> timings = interleaved({"a": lambda: sum(range(99)), "b": lambda: None}, rounds=3)
    >>> {name: len(seconds) for name, seconds in timings.items()}
    {'a': 3, 'b': 3}
    """
    repeats = {}
    for name, run in candidates.items():
        run()
        repeats[name] = max(1, round(SAMPLE / max(_seconds(run, 1), 1e-9)))
    timings: Timings = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            if before_turn is not None:
                before_turn[name]()
            time.sleep(pause)
            run()
            samples: list[float] = []
            end = time.perf_counter() + seconds_per_turn
            while not samples or time.perf_counter() < end:
                samples.append(_seconds(run, repeats[name]))
            timings[name].append(median(samples))
            tick()
    return timings


def _seconds(run: Callable[[], object], repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - started) / repeats


def ratio(timings: Timings, name: str, base: str) -> float:
    """Return how many times as long as `base` the candidate takes: median over the rounds."""
    return median(a / b for a, b in zip(timings[name], timings[base], strict=True))
