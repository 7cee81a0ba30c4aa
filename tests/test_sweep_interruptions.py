"""A sweep in a process of its own that is interrupted or killed, and one on a cluster."""

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sweep_trainings as trainings

from experiments.sweep import cluster, sweep
from experiments.sweep.results_file import ResultsFile

RUNS = [{"seed": seed} for seed in range(60)]
SCRIPT = """
import sys
from pathlib import Path
import sweep_trainings as trainings
from experiments.sweep import Interrupted, sweep
if __name__ == "__main__":
    try:
        runs = [{"seed": seed} for seed in range(60)]
        sweep(trainings.slow, runs, results=Path("runs.jsonl"), workers=int(sys.argv[1]))
    except Interrupted as interruption:
        print(interruption)
        sys.exit(130)
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no such signals")


def started(folder: Path, workers: int, done: int) -> "subprocess.Popen[str]":
    """A sweep in a group of processes of its own, once it has made some runs (-1: none yet)."""
    script = folder / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(script), str(workers)],
        cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, start_new_session=True,
    )  # fmt: skip
    results = folder / "runs.jsonl"
    deadline = time.monotonic() + 60
    while not results.exists() or results.read_bytes().count(b"\n") < 1 + done:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def alive(group: int) -> bool:
    """Whether any process of a group is running."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
@pytest.mark.parametrize("to_the_group", [True, False])
def test_ctrl_c_ends_a_sweep_at_once_and_the_next_one_continues(
    tmp_path: Path, workers: int, to_the_group: bool
) -> None:
    process = started(tmp_path, workers, done=4)
    send = os.killpg if to_the_group else os.kill  # as a terminal does, and as a notebook does
    send(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "run the same command again, without --fresh, to continue" in out
    assert "Traceback" not in errors
    with ResultsFile(tmp_path / "runs.jsonl") as file:
        assert 4 <= len(file.lines) < 60
    results = sweep(trainings.slow, RUNS, results=tmp_path / "runs.jsonl", workers=2)
    assert results == [trainings.walk(**run) for run in RUNS]


@pytest.mark.parametrize(
    "delay", [0.2, *(pytest.param(k / 20, marks=pytest.mark.slow) for k in range(24))]
)
def test_ctrl_c_while_the_workers_start_ends_a_sweep_too(tmp_path: Path, delay: float) -> None:
    process = started(tmp_path, 2, done=-1)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=20)
    assert process.returncode in (130, -signal.SIGINT)  # the second: before there was a sweep
    assert "continue" in out or process.returncode < 0
    assert "Exception in thread" not in errors


@pytest.mark.parametrize("pause", [0.0, pytest.param(0.05, marks=pytest.mark.slow)])
def test_ctrl_c_twice_is_as_good_as_once(tmp_path: Path, pause: float) -> None:
    process = started(tmp_path, 2, done=4)
    os.kill(process.pid, signal.SIGINT)
    time.sleep(pause)
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode != 0  # not 130 where the second one came after the sweep's end
    assert "to continue" in out or process.returncode != 130
    results = sweep(trainings.slow, RUNS, results=tmp_path / "runs.jsonl", workers=2)
    assert results == [trainings.walk(**run) for run in RUNS]


def test_when_the_sweep_is_killed_its_workers_end_too(tmp_path: Path) -> None:
    process = started(tmp_path, 2, done=1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)
    deadline = time.monotonic() + 20
    while alive(process.pid):
        assert time.monotonic() < deadline, "a worker outlived the sweep"
        time.sleep(0.05)
    results = sweep(trainings.slow, RUNS, results=tmp_path / "runs.jsonl", workers=2)
    assert results == [trainings.walk(**run) for run in RUNS]


@pytest.mark.slow
def test_a_cluster_gives_the_numbers_of_a_serial_sweep_even_if_a_worker_is_killed(
    tmp_path: Path,
) -> None:
    distributed = pytest.importorskip("distributed")
    from datasets import airfoil_stand_in
    from experiments.trainings import train_linear

    train = functools.partial(train_linear, airfoil_stand_in())
    runs = [
        {"optimizer": name, "lr": lr, "seed": seed}
        for name in ("adam", "yogi", "sgd")
        for lr in (0.001, 0.01, 10.0)
        for seed in range(10)
    ]
    serial = sweep(train, runs, workers=1)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as local, cluster(local.scheduler_address) as (executor, threads):
        assert threads == 2
        path = tmp_path / "runs.jsonl"
        assert sweep(train, runs, results=path, executor=executor, workers=threads) == serial
        kill = functools.partial(trainings.dies_once, str(tmp_path))
        expected = [trainings.walk(**run) for run in RUNS]
        assert sweep(kill, RUNS, executor=executor, workers=threads) == expected
        assert (tmp_path / "died").exists()


def test_a_cluster_that_does_not_answer_is_named() -> None:
    pytest.importorskip("distributed")
    with pytest.raises(OSError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        cluster("tcp://127.0.0.1:9", timeout=0.5).__enter__()


def test_a_cluster_without_dask_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install 'minigrad\[cluster\]'"):
        cluster("tcp://127.0.0.1:8786").__enter__()
