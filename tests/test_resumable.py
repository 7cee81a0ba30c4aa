"""A long training that is stopped at any moment goes on exactly, and nobody else's is continued."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from long_training import EVERY, STEPS, LongTraining
from nested_states import same

from experiments.sweep.results_file import ResultsFile
from experiments.trainings import resumable
from experiments.trainings.resumable import CheckpointError, Checkpoints, History, one_by_one
from minigrad import Checkpoint

SCRIPT = Path(__file__).with_name("long_training.py")
posix = pytest.mark.skipif(os.name != "posix", reason="there are no such signals")


class Uninterrupted(NamedTuple):
    history: History
    state: dict[str, Any]
    seconds: float


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    LongTraining(tmp_path_factory.mktemp("compiling")).run(2)
    training = LongTraining(tmp_path_factory.mktemp("uninterrupted"))
    started = time.perf_counter()
    history = training.run()
    return Uninterrupted(history, training.state(), time.perf_counter() - started)


def ends_the_same(training: LongTraining, history: History, other: Uninterrupted) -> bool:
    """Whether losses, evaluations and all states are equal to the last bit."""
    return (
        history.losses == other.history.losses
        and history.evaluations == other.history.evaluations
        and same(training.state(), other.state)
    )


# Stopped at any moment


@posix
@pytest.mark.parametrize("count", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_killed_at_any_moment_it_ends_bit_identical(
    tmp_path: Path, uninterrupted: Uninterrupted, count: int
) -> None:
    rng = np.random.default_rng(count)
    for i in range(count):
        folder = tmp_path / str(i)
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder)], stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert process.stdout is not None
        for _ in range(rng.integers(2, STEPS // EVERY)):
            process.stdout.readline()
        time.sleep(rng.random() * uninterrupted.seconds / 4)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        assert (folder / f"{STEPS}.npz").is_file()  # a checkpoint after every step
        training = LongTraining(folder)
        assert ends_the_same(training, training.run(), uninterrupted)


def interrupted_after(step: int, delay: float, training: LongTraining) -> str:
    """Run it with a Ctrl-C some time after a step; the message, empty if that was at the end."""

    def interrupt() -> None:
        while training.steps() < step:
            time.sleep(1e-4)
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)

    def run() -> None:
        try:
            thread.start()
            training.run()
        finally:
            thread.join()
            time.sleep(0.1)  # for a signal that came after the end

    with pytest.raises(KeyboardInterrupt) as caught:
        run()
    return str(caught.value)


@posix
@pytest.mark.parametrize("count", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_ctrl_c_at_any_moment_ends_a_step_and_keeps_it(
    tmp_path: Path, uninterrupted: Uninterrupted, count: int
) -> None:
    rng = np.random.default_rng(count)
    came = 0
    for i in range(count):
        for third in range(2):  # twice, so that what was resumed is interrupted too
            training = LongTraining(tmp_path / str(i))
            step = int((third + rng.random()) * STEPS / 3) + 1
            delay = float(rng.random()) * uninterrupted.seconds / STEPS
            if message := interrupted_after(step, delay, training):
                came += 1
                assert "the same command, without --fresh, goes on from there" in message
                kept = LongTraining(tmp_path / str(i))
                history = History()
                parts = {"model": kept.model, "optimizer": kept.optimizer,
                         "batches": kept.batches, "history": history}  # fmt: skip
                kept.checkpoints.restore(STEPS, **parts)
                assert same(kept.state(), training.state())  # the whole of the last step
                assert history.losses == uninterrupted.history.losses[: len(history.losses)]
        training = LongTraining(tmp_path / str(i))
        assert ends_the_same(training, training.run(), uninterrupted)
    assert came > count
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@posix
def test_a_second_ctrl_c_while_the_first_one_saves_does_no_harm(
    tmp_path: Path, uninterrupted: Uninterrupted, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Checkpoint.save

    def interrupted_save(checkpoint: Checkpoint, step: int) -> None:
        signal.raise_signal(signal.SIGINT)
        save(checkpoint, step)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Checkpoint, "save", interrupted_save)
    with pytest.raises(KeyboardInterrupt, match=rf"is at step {EVERY} of {STEPS}"):
        LongTraining(tmp_path).run(announce=signal_after(1))
    monkeypatch.undo()
    training = LongTraining(tmp_path)
    assert ends_the_same(training, training.run(), uninterrupted)


def signal_after(evaluations: int) -> Any:
    """Return what sends a Ctrl-C at an evaluation, after as many without."""
    left = [evaluations]

    def announce() -> None:
        if left[0] == 0:
            signal.raise_signal(signal.SIGINT)
        left[0] -= 1

    return announce


@posix
def test_ctrl_c_in_the_last_step_is_not_lost(
    tmp_path: Path, uninterrupted: Uninterrupted
) -> None:
    training, last = LongTraining(tmp_path), len(uninterrupted.history.evaluations) - 1
    with pytest.raises(KeyboardInterrupt, match=rf"is at step {STEPS} of {STEPS}"):
        training.run(announce=signal_after(last))
    training = LongTraining(tmp_path)
    assert ends_the_same(training, training.run(), uninterrupted)


def test_in_another_thread_it_runs_and_leaves_signals_alone(
    tmp_path: Path, uninterrupted: Uninterrupted
) -> None:
    training, histories = LongTraining(tmp_path), []
    thread = threading.Thread(target=lambda: histories.append(training.run()))
    thread.start()
    thread.join()
    assert ends_the_same(training, histories[0], uninterrupted)


# More steps, and fewer


def test_more_steps_begin_where_fewer_have_ended_and_end_as_from_the_start(
    tmp_path: Path, uninterrupted: Uninterrupted
) -> None:
    for steps in (6, 18):  # evaluated after the last one too, which is no multiple of EVERY
        assert len(LongTraining(tmp_path).run(steps).losses) == steps
    kept = (tmp_path / "18.npz").read_bytes()
    training, evaluated = LongTraining(tmp_path), []
    history = training.run(announce=lambda: evaluated.append(1))
    assert ends_the_same(training, history, uninterrupted)
    assert len(evaluated) == len(history.evaluations) - 5  # after 0, 4, ..., 16: kept
    assert (tmp_path / "18.npz").read_bytes() == kept


def test_fewer_steps_do_not_use_what_went_beyond_them(
    tmp_path: Path, uninterrupted: Uninterrupted
) -> None:
    LongTraining(tmp_path).run()
    shorter, alone = LongTraining(tmp_path), LongTraining(tmp_path / "alone")
    history = shorter.run(10)
    assert history.losses == alone.run(10).losses == uninterrupted.history.losses[:10]
    assert same(shorter.state(), alone.state())


# Other trainings' checkpoints


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({"width": 16}, r"token.weight: shape \(28, 8\) where \(28, 16\) is needed"),
        ({"lr": 0.1}, "lr: found 0.01, expected 0.1"),
        ({"optimizer": "yogi"}, "optimizer: found 'adam', expected 'yogi'"),
        ({"source": "09bc"}, "source: found '6f1e', expected '09bc'"),
    ],
)
@pytest.mark.parametrize("steps", [6, 12])  # its own file, and that of fewer steps
def test_a_checkpoint_of_another_training_is_refused_before_anything_has_changed(
    tmp_path: Path, other: dict[str, Any], found: str, steps: int
) -> None:
    LongTraining(tmp_path).run(6)
    kept = (tmp_path / "6.npz").read_bytes()
    training = LongTraining(tmp_path, **other)
    before = training.state()
    with pytest.raises(CheckpointError, match=found) as caught:
        training.run(steps)
    assert "--fresh" in str(caught.value)
    assert str(tmp_path / "6.npz") in str(caught.value)
    assert same(training.state(), before)
    assert (tmp_path / "6.npz").read_bytes() == kept
    assert [path.name for path in tmp_path.iterdir()] == ["6.npz"]


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    LongTraining(tmp_path).run(6)
    content = (tmp_path / "6.npz").read_bytes()
    (tmp_path / "6.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="--fresh"):
        LongTraining(tmp_path).run(6)


# Divergence


def test_a_training_that_diverges_ends_with_losses_of_inf(tmp_path: Path) -> None:
    for steps in (5, 5, 9):  # again, from the checkpoint, and on
        training = LongTraining(tmp_path, optimizer="sgd", lr=1e30)
        history = training.run(steps)
        assert history.diverged == 2
        assert math.isfinite(history.losses[0])
        assert history.losses[1:] == [math.inf] * (steps - 1)
        assert [entry["step"] for entry in history.evaluations] == [0]


def test_the_summary_has_a_list_for_each_name_that_was_evaluated() -> None:
    history = History([2.0, 1.0], [{"step": 0, "right": 0.1}, {"step": 2, "right": 0.5}],
                      [0.25, 0.75])  # fmt: skip
    assert history.summary() == {
        "losses": [2.0, 1.0], "diverged": 0, "milliseconds": 500.0,
        "evaluated": [0, 2], "right": [0.1, 0.5],
    }  # fmt: skip
    at_once = History([math.inf], diverged=1).summary()
    assert at_once == {
        "losses": [math.inf], "diverged": 1, "milliseconds": 0.0, "evaluated": [],
    }  # fmt: skip


# Several


def count_to(*, steps: int, start: int, checkpoints: Checkpoints, description: str) -> Any:
    """Stand for a training."""
    CALLS.append((start, description))
    if start == STOPPED_AT:
        raise KeyboardInterrupt
    checkpoints.folder.mkdir(parents=True, exist_ok=True)
    (checkpoints.folder / f"{steps}.npz").write_text(str(checkpoints.run))
    return {"count": list(range(start, start + steps)), "worst": math.inf}


CALLS: list[tuple[int, str]] = []
STOPPED_AT = -1
RUNS = [{"start": start, "steps": 3} for start in (0, 10)]


def test_several_trainings_are_kept_as_they_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    CALLS.clear()
    monkeypatch.setattr("test_resumable.STOPPED_AT", 10)
    with pytest.raises(KeyboardInterrupt):
        one_by_one(count_to, RUNS, folder=tmp_path, name="counts")
    monkeypatch.setattr("test_resumable.STOPPED_AT", -1)
    results = one_by_one(count_to, RUNS, folder=tmp_path, name="counts")
    assert results == [{"count": [s, s + 1, s + 2], "worst": math.inf} for s in (0, 10)]
    assert CALLS == [(0, "start=0 (1 of 2)"), (10, "start=10 (2 of 2)"), (10, "start=10 (2 of 2)")]
    assert "start=0 (1 of 2): kept from earlier" in capsys.readouterr().out
    with ResultsFile(tmp_path / "runs" / "counts.jsonl") as file:
        assert len(file.lines) == 2
    assert (tmp_path / "checkpoints" / "counts" / "start=10" / "3.npz").is_file()


def test_fresh_throws_away_results_and_checkpoints(tmp_path: Path) -> None:
    CALLS.clear()
    one_by_one(count_to, RUNS, folder=tmp_path, name="counts")
    one_by_one(count_to, RUNS[:1], folder=tmp_path, name="counts", fresh=True)
    assert [start for start, _ in CALLS] == [0, 10, 0]
    assert not (tmp_path / "checkpoints" / "counts" / "start=10" / "3.npz").exists()


def test_a_checkpoint_that_no_longer_training_needs_is_removed(tmp_path: Path) -> None:
    one_by_one(count_to, RUNS, folder=tmp_path, name="counts", extend=False)
    assert not list((tmp_path / "checkpoints").rglob("*.npz"))


def test_results_of_other_source_code_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CALLS.clear()
    one_by_one(count_to, RUNS, folder=tmp_path, name="counts")
    monkeypatch.setattr(resumable, "source_fingerprint", lambda train: "09bc")
    one_by_one(count_to, RUNS, folder=tmp_path, name="counts")
    assert [start for start, _ in CALLS] == [0, 10, 0, 10]


def test_source_code_that_is_edited_meanwhile_is_not_what_the_checkpoints_are_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = iter(["6f1e", "09bc", "09bc", "09bc"])
    monkeypatch.setattr(resumable, "source_fingerprint", lambda train: next(versions))
    one_by_one(count_to, RUNS, folder=tmp_path, name="counts")
    kept = [path.read_text() for path in tmp_path.glob("checkpoints/counts/*/3.npz")]
    assert len(kept) == 2
    assert all("6f1e" in text for text in kept)
