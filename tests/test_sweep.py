"""Sweeps: their order, what they keep, what fails, and that the workers do not matter."""

import functools
import json
import os
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sweep_trainings as trainings

from experiments import paths
from experiments.sweep import ExecutorLost, Interrupted, RunsFailed, SpawnedPool, sweep
from experiments.sweep import running as running_module
from experiments.sweep.fingerprint import data_fingerprint, source_fingerprint

SEEDS = [{"seed": seed} for seed in range(40)]


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def test_results_come_in_the_order_of_the_runs_and_equal_runs_are_run_once(tmp_path: Path) -> None:
    runs = [*reversed(SEEDS), {"seed": 7}]
    results = sweep(trainings.walk, runs, results=tmp_path / "runs.jsonl", workers=1)
    assert results == [trainings.walk(**run) for run in runs]
    assert len(lines_of(tmp_path / "runs.jsonl")) == 40


@pytest.mark.parametrize("train", [trainings.walk, trainings.product])
def test_results_do_not_depend_on_the_executor_or_the_number_of_workers(train: Any) -> None:
    runs = SEEDS[:12]
    alone = sweep(train, runs, workers=1)
    assert alone == sweep(train, runs, workers=2) == sweep(train, runs, workers=3)
    with ThreadPoolExecutor(2) as threads:
        assert alone == sweep(train, runs, executor=threads, workers=2)
    with ProcessPoolExecutor(2, get_context("spawn")) as processes:
        assert alone == sweep(train, runs, executor=processes, workers=5)


def test_two_workers_are_two_processes_and_one_is_this_one() -> None:
    assert {r["pid"] for r in sweep(trainings.process, SEEDS[:3], workers=1)} == {os.getpid()}
    others = {r["pid"] for r in sweep(trainings.process, SEEDS, workers=2)}
    assert len(others) == 2
    assert os.getpid() not in others


def test_no_runs_give_no_results() -> None:
    assert sweep(trainings.walk, []) == []


def test_what_a_file_has_is_not_run_again(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "runs.jsonl"
    first = sweep(trainings.process, SEEDS[:5], results=path, workers=1)
    before = path.read_bytes()
    with SpawnedPool(1) as pool:
        assert sweep(trainings.process, SEEDS[:5], results=path, executor=pool) == first
        assert path.read_bytes() == before
        assert "5 kept" in capsys.readouterr().out
        more = sweep(trainings.process, SEEDS[:8], results=path, executor=pool)
        assert more[:5] == first
        assert all(r["pid"] != os.getpid() for r in more[5:])
        fresh = sweep(trainings.process, SEEDS[:5], results=path, executor=pool, fresh=True)
    assert all(r["pid"] != os.getpid() for r in fresh)
    assert len(lines_of(path)) == 5


def test_results_of_other_source_are_not_taken_for_these(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    path = tmp_path / "runs.jsonl"
    sweep(trainings.walk, SEEDS[:3], results=path, workers=1)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('{"end": ', '{"end": 7.0, "was": '), encoding="utf-8")
    assert sweep(trainings.walk, SEEDS[:3], results=path, workers=1)[0]["end"] != (
        trainings.walk(seed=0)["end"]
    )
    monkeypatch.setattr(running_module, "source_fingerprint", lambda train: "an edited rule")
    assert sweep(trainings.walk, SEEDS[:3], results=path, workers=1) == [
        trainings.walk(seed=seed) for seed in range(3)
    ]
    assert "that other source code made were not used" in capsys.readouterr().out
    assert len(lines_of(path)) == 6


def test_the_fingerprint_notices_an_edit_of_what_a_training_runs_and_of_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = source_fingerprint(paths.train)
    read = Path.read_bytes

    def edited(name: str) -> str:
        monkeypatch.setattr(
            Path, "read_bytes", lambda self: read(self) + (b"#" if self.name == name else b"")
        )
        return source_fingerprint(paths.train)

    for name in ("adam.py", "primitives.py", "airfoil.py", "paths.py", "landscapes.py"):
        assert edited(name) != before, name
    for name in ("report.py", "question.py", "running.py", "divergence.py", "test_sweep.py"):
        assert edited(name) == before, name


def test_the_fingerprint_of_the_data_notices_a_bit() -> None:
    a = np.arange(6.0)
    b = a.copy()
    b[3] = np.nextafter(b[3], 4.0)
    prints = [data_fingerprint(functools.partial(print, x)) for x in (a, b, a.reshape(2, 3), 1.0)]
    prints += [data_fingerprint(functools.partial(print, end=x)) for x in ("a", ["a"], {"a": 1})]
    assert len(set(prints)) == len(prints)
    assert data_fingerprint(functools.partial(print, a.copy())) == prints[0]
    with pytest.raises(TypeError, match="no fingerprint"):
        data_fingerprint(functools.partial(print, object()))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_fails_is_named_and_the_others_go_on(tmp_path: Path, workers: int) -> None:
    path = tmp_path / "runs.jsonl"
    with pytest.raises(RunsFailed) as caught:
        sweep(trainings.fails_at_3, SEEDS[:9], results=path, workers=workers)
    message = str(caught.value)
    assert message.startswith("1 of 9 runs failed; the others are kept in ")
    assert '{"seed": 3}: ValueError: three is too many' in message
    assert "sweep_trainings.py" in message
    assert "fails_at_3" in message
    assert sorted(line["run"]["seed"] for line in lines_of(path)) == [0, 1, 2, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_training_that_exits_has_failed_and_the_others_go_on(workers: int) -> None:
    with pytest.raises(RunsFailed, match=r"(?s)1 of 5 .*SystemExit: three is enough"):
        sweep(trainings.exits_at_3, SEEDS[:5], workers=workers)


def test_numpys_scalars_are_kept_as_numbers() -> None:
    (result,) = sweep(trainings.of_numpy, SEEDS[2:3], workers=1)
    assert result == {"loss": float(np.float32(0.1)), "n": 2, "even": True}
    assert [type(value) for value in result.values()] == [float, int, bool]


def test_many_failures_are_counted_and_ten_are_named() -> None:
    with pytest.raises(RunsFailed) as caught:
        sweep(trainings.returns_an_array, SEEDS, workers=1)
    message = str(caught.value)
    assert message.startswith("40 of 40 runs failed:")
    assert "  and 30 more" in message
    assert message.count("accepted are floats") == 11


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_a_run_whose_process_dies_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    with pytest.raises(RunsFailed, match=r'1 of 40 .*\n.*\{"seed": 3\}: its worker was lost'):
        sweep(trainings.dies_at_3, SEEDS, results=path, workers=2)
    assert {line["run"]["seed"] for line in lines_of(path)} == set(range(40)) - {3}


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_a_process_that_is_killed_once_changes_nothing(tmp_path: Path) -> None:
    train = functools.partial(trainings.dies_once, str(tmp_path))
    assert sweep(train, SEEDS, workers=2) == sweep(trainings.walk, SEEDS, workers=1)
    assert (tmp_path / "died").exists()


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_a_broken_executor_of_the_callers_ends_the_sweep_with_what_is_done_kept(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.jsonl"
    with (
        ProcessPoolExecutor(1, get_context("spawn")) as processes,
        pytest.raises(ExecutorLost, match=r"takes no more runs .*3 of 9 runs .*to continue"),
    ):
        sweep(trainings.dies_at_3, SEEDS[:9], results=path, executor=processes, workers=1)
    assert {line["run"]["seed"] for line in lines_of(path)} == {0, 1, 2}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_diverged_is_a_result(tmp_path: Path, workers: int) -> None:
    path = tmp_path / "runs.jsonl"
    runs = [{"lr": 0.5}, {"lr": 2.0}]
    for _ in range(2):  # computed, and read back
        results = sweep(trainings.diverges, runs, results=path, workers=workers)
        assert results[0] == {"loss": 0.5}
        assert results[1]["loss"] == np.inf
        np.testing.assert_array_equal(results[1]["others"], [-np.inf, np.nan, 1.0])


class InterruptedExecutor(Executor):
    """Runs some chunks, and then the user presses Ctrl-C."""

    def __init__(self, chunks: int) -> None:
        self.left = chunks

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(fn, *args, **kwargs)


def test_an_interrupted_sweep_says_how_to_continue_and_does(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    whole = sweep(trainings.walk, SEEDS, workers=1)
    for done in (11, 22, 33):
        with pytest.raises(Interrupted, match=rf"{done} of 40 runs are done and kept in .*again"):
            sweep(
                trainings.walk, SEEDS, results=path, executor=InterruptedExecutor(11), workers=1
            )
        assert len(lines_of(path)) == done
        path.write_bytes(path.read_bytes() + b'{"train": "walk", "sou')  # and the power failed
    assert sweep(trainings.walk, SEEDS, results=path, workers=2) == whole
    with pytest.raises(Interrupted, match="nothing is kept"):
        sweep(trainings.walk, SEEDS, executor=InterruptedExecutor(11), workers=1)


def test_an_executor_that_was_shut_down_is_named(tmp_path: Path) -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(ExecutorLost, match=r"after shutdown.*0 of 40 runs are done and kept"):
        sweep(trainings.walk, SEEDS, results=tmp_path / "runs.jsonl", executor=executor)


def test_a_pool_that_was_stopped_starts_anew() -> None:
    with SpawnedPool(1) as pool:
        first = pool.submit(os.getpid).result()
        pool.stop()
        pool.stop()
        assert pool.submit(os.getpid).result() not in (first, os.getpid())


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "two"])
def test_a_number_of_workers_that_is_none_is_refused(workers: Any) -> None:
    with pytest.raises(ValueError, match=r"workers=.*accepted is a whole number from 1"):
        sweep(trainings.walk, SEEDS, workers=workers)


def test_what_cannot_be_sent_to_a_process_is_refused_before_anything_is_run() -> None:
    with pytest.raises(TypeError, match=r"cannot be sent to another process .*workers=1"):
        sweep(lambda seed: trainings.walk(seed=seed), SEEDS, workers=2)
    assert sweep(lambda seed: trainings.walk(seed=seed), SEEDS[:2], workers=1) == [
        trainings.walk(seed=0),
        trainings.walk(seed=1),
    ]
