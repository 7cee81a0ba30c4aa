"""A list of independent trainings, run through any executor."""

from __future__ import annotations

import collections
import contextlib
import json
import pickle
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from experiments.sweep.executors import (
    ClusterExecutor,
    InProcess,
    SpawnedPool,
    cores,
    one_blas_thread,
    only_first_interrupt,
)
from experiments.sweep.fingerprint import data_fingerprint, source_fingerprint, unbound
from experiments.sweep.results_file import ResultsFile, SweepError, decode, encode, key_of

__all__ = ["ExecutorLost", "Interrupted", "Result", "Run", "RunsFailed", "sweep"]

Run = Mapping[str, Any]
"""One training's keyword arguments: JSON values, so that they can name it in a file."""

Result = Mapping[str, Any]
"""What a training returns: names to numbers or lists of numbers; inf where it diverged."""

LARGEST_CHUNK = 16  # runs that go to a process together, when there are many
SHOWN = 10  # failures that a message names


class RunsFailed(SweepError):
    """Some runs raised an exception; the message names them, and the others' results are kept."""


class ExecutorLost(SweepError):
    """The executor was shut down, broken, or lost its connection; what was done is kept."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a sweep; the message says what is kept and how to continue."""


def sweep(
    train: Callable[..., Result],
    runs: Sequence[Run],
    *,
    results: Path | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    fresh: bool = False,
    description: str = "sweep",
) -> list[dict[str, Any]]:
    """Call ``train(**run)`` for every run, side by side, and return the results in their order.

    Every run is a function of its arguments alone, so the results do not depend on the executor,
    on the number of workers, or on what was interrupted and continued in between.

    Parameters
    ----------
    train : callable
        One training; a function of a module, perhaps with its data bound by `functools.partial`,
        since it is sent to other processes.
    runs : sequence of dict
        The keyword arguments of each.  Equal runs are run once.
    results : Path, optional
        A file that keeps each result as it arrives.  What it has already is not run again.
    workers : int, optional
        How many processes; by default as many as there are cores.  1 stays in this process.  For
        an `executor`, how many runs it can run at a time.
    executor : concurrent.futures.Executor, optional
        What runs them instead: a pool of your own, Dask's ``Client.get_executor()``, or
        ``mpi4py.futures.MPIPoolExecutor``.  It is not shut down.
    fresh : bool
        Whether to throw away what the file has.
    description : str
        For the progress bar.

    Returns
    -------
    list of dict
        What the trainings returned.

    Raises
    ------
    RunsFailed
        If runs failed, after all others are done.  They are not kept, so the next call tries them
        again.
    ExecutorLost
        If the executor takes no more runs; with what was done until then kept.
    Interrupted
        After Ctrl-C, likewise.
    ResultsFileError
        If the file is not one of results; before anything is run, as all errors below.
    ValueError, TypeError
        If `workers`, `train` or a run is not as above.

    Examples
    --------
    >>> from functools import partial
    >>> from datasets import airfoil_stand_in
    >>> from experiments.trainings import train_linear
    >>> runs = [{"optimizer": "adam", "lr": lr, "seed": 1} for lr in (1e-2, 1e-5)]
    >>> results = sweep(partial(train_linear, airfoil_stand_in()), runs, workers=1)
    >>> [round(result["loss"], 1) for result in results]
    [0.2, 0.5]
    """
    if workers is not None and (type(workers) is not int or workers < 1):
        raise ValueError(f"workers={workers!r}: accepted is a whole number from 1")
    if not callable(train):
        raise TypeError(f"train={train!r}: accepted is a function, or a functools.partial of one")
    results, runs = None if results is None else Path(results), list(runs)
    identity = (_name(train), source_fingerprint(train), data_fingerprint(train))
    keys = [key_of(*identity, run) for run in runs]
    todo = dict(zip(keys, runs, strict=True))
    with contextlib.ExitStack() as stack:
        stack.enter_context(only_first_interrupt())
        stack.enter_context(one_blas_thread())  # from the first chunk to the last, if in threads
        file = None if results is None else stack.enter_context(ResultsFile(results, fresh=fresh))
        kept = {} if file is None else {key: file.lines[key] for key in todo if key in file.lines}
        missing = [key for key in todo if key not in kept]
        bar = stack.enter_context(
            tqdm(total=len(todo), initial=len(kept), desc=description, unit="run", leave=False,
                 disable=None)
        )  # fmt: skip
        failures: dict[str, str] = {}

        def keep(key: str, outcome: Outcome) -> None:
            bar.update()
            if outcome.result is None:
                failures[key] = outcome.failure
                return
            if file is not None:
                file.add(key, outcome.result)
            kept[key] = outcome.result

        started = time.perf_counter()
        if missing:
            if executor is None:
                executor, workers = _own_executor(train, workers, len(missing), stack)
            queue = _Queue(train, todo, missing, executor, workers or cores())
            try:
                for key, outcome in queue.outcomes():
                    keep(key, outcome)
            except KeyboardInterrupt:
                for key, outcome in queue.finished():
                    keep(key, outcome)
                queue.cancel()
                bar.close()
                message = _how_to_continue(len(kept), len(todo), results)
                raise Interrupted(f"interrupted: {message}") from None
            except (ExecutorLost, OSError) as error:
                queue.cancel()
                message = _how_to_continue(len(kept), len(todo), results)
                raise type(error)(f"{error}; {message}") from error
    if file is not None:
        seconds = time.perf_counter() - started
        print(_report(description, file, identity[1], len(missing), len(todo), seconds))
    if failures:
        raise RunsFailed(_failures(failures, len(todo), results))
    return [decode(json.loads(kept[key])) for key in keys]


# In the workers


class Outcome(NamedTuple):
    """What became of a run: its result as JSON text, or how it failed."""

    result: str | None
    failure: str = ""


def run_chunk(train: Callable[..., Result], runs: Sequence[Run]) -> list[Outcome]:
    """Run trainings one after the other; one that fails does not keep the next from its turn."""
    outcomes = []
    with one_blas_thread():
        for run in runs:
            try:
                outcomes.append(Outcome(encode(train(**run))))
            except (Exception, SystemExit) as error:
                trace = "".join(traceback.format_tb(error.__traceback__)[1:])  # below this line
                outcomes.append(Outcome(None, f"{_summary(error)}\n{trace}"))
    return outcomes


# In the process that hands out the runs


class _Queue:
    """Hands runs to an executor in chunks, and takes in what becomes of them."""

    def __init__(
        self,
        train: Callable[..., Result],
        runs: Mapping[str, Run],
        missing: Sequence[str],
        executor: Executor,
        workers: int,
    ) -> None:
        self.train, self.runs, self.executor = train, runs, executor
        alone = isinstance(executor, InProcess)
        size = 1 if alone else min(max(1, len(missing) // (64 * workers)), LARGEST_CHUNK)
        self.in_flight = 1 if alone else 2 * workers  # a chunk waits for each that runs
        self.chunks = collections.deque(
            missing[i : i + size] for i in range(0, len(missing), size)
        )
        self.suspects: collections.deque[str] = collections.deque()
        self.pending: dict[Future[list[Outcome]], Sequence[str]] = {}

    def outcomes(self) -> Iterator[tuple[str, Outcome]]:
        """Yield the key of each run as it is done, and what became of it.

        When a worker dies, nobody knows which of the runs in its pool it died of: all of them are
        tried again in the end, one at a time, and the one that is alone when a worker dies has
        failed.
        """
        while self.chunks or self.pending or self.suspects:
            while self.chunks and len(self.pending) < self.in_flight:
                self._submit(self.chunks.popleft())
            alone = not self.pending
            if alone:
                self._submit([self.suspects.popleft()])
            done, _ = wait(self.pending, timeout=1, return_when=FIRST_COMPLETED)
            if not done and isinstance(self.executor, ClusterExecutor) and self.executor.lost:
                raise ExecutorLost("the connection to the scheduler is lost")
            for future in done:
                yield from self._take_in(future, alone=alone)

    def finished(self) -> Iterator[tuple[str, Outcome]]:
        """Yield what is done and not yet taken in, without waiting."""
        for future in [future for future in self.pending if future.done()]:
            yield from self._take_in(future, alone=False)

    def cancel(self) -> None:
        """Take back what is not done, as far as the executor can."""
        if isinstance(self.executor, SpawnedPool):
            self.executor.stop()
            return
        if isinstance(self.executor, ClusterExecutor) and self.executor.lost:
            return
        for future in self.pending:
            with contextlib.suppress(Exception):  # of a cluster that goes just now
                future.cancel()

    def _submit(self, keys: Sequence[str]) -> None:
        try:
            future = self.executor.submit(run_chunk, self.train, [self.runs[key] for key in keys])
        except RuntimeError as error:  # BrokenExecutor is one; so is that it has been shut down
            raise ExecutorLost(f"the executor takes no more runs ({error})") from error
        self.pending[future] = keys

    def _take_in(
        self, future: Future[list[Outcome]], *, alone: bool
    ) -> Iterator[tuple[str, Outcome]]:
        keys = self.pending.pop(future)
        try:
            outcomes = future.result()
        except Exception as error:  # not of a run: its worker died, say
            if alone:
                yield keys[0], Outcome(None, f"its worker was lost: {_summary(error)}")
            else:
                self.suspects.extend(keys)
            return
        yield from zip(keys, outcomes, strict=True)


def _own_executor(
    train: Callable[..., Result], workers: int | None, runs: int, stack: contextlib.ExitStack
) -> tuple[Executor, int]:
    """Return the executor for a sweep that was given none; `stack` will shut it down."""
    function = unbound(train)
    here = _module(function) == "__main__" and not hasattr(sys.modules["__main__"], "__file__")
    workers = min(workers or cores(), runs)
    if workers == 1 or here:  # what a notebook defines, no other process can import
        return InProcess(), 1
    try:
        pickle.dumps(train)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"{_name(train)} cannot be sent to another process ({error}); define it at the top of "
            "a module, or give workers=1"
        ) from error
    pool = SpawnedPool(workers)
    stack.callback(pool.shutdown, cancel_futures=True)
    return pool, workers


def _name(train: Callable[..., Result]) -> str:
    """Return "module.function", whether the module was imported or run as a script."""
    function = unbound(train)
    module = _module(function).rpartition(".")[-1]
    if module == "__main__":
        module = Path(getattr(sys.modules["__main__"], "__file__", "notebook")).stem
    return f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}"


def _module(function: Callable[..., Result]) -> str:
    return getattr(function, "__module__", None) or "builtins"


def _summary(error: BaseException) -> str:
    return traceback.format_exception_only(error)[-1].strip()


def _report(
    description: str, file: ResultsFile, source: str, made: int, total: int, seconds: float
) -> str:
    line = f"sweep {description}: {made} runs in {seconds:.1f} s"
    if made < total:
        line += f", {total - made} kept from earlier in {file.path} (--fresh runs them again)"
    if made and file.sources - {source}:
        line += f"; those in {file.path} that other source code made were not used"
    return line + (f"; a line that was cut off in {file.path} was removed" if file.cut else "")


def _how_to_continue(done: int, total: int, results: Path | None) -> str:
    if results is None:
        return f"{done} of {total} runs were done; without a results file nothing is kept"
    return (
        f"{done} of {total} runs are done and kept in {results}; run the same command again, "
        "without --fresh, to continue"
    )


def _failures(failures: Mapping[str, str], total: int, results: Path | None) -> str:
    others = results is not None and len(failures) < total
    kept = f"; the others are kept in {results}" if others else ""
    lines = [f"{len(failures)} of {total} runs failed{kept}:"]
    for key, failure in list(failures.items())[:SHOWN]:
        lines.append(f"  {json.dumps(json.loads(key)['run'])}: {failure.splitlines()[0]}")
    if len(failures) > SHOWN:
        lines.append(f"  and {len(failures) - SHOWN} more")
    first = next(iter(failures.values()))
    return "\n".join(lines) + "\nThe first of them:\n" + first.rstrip()
