"""Kill -9 at any moment, also in the middle of a write: the run ends as if nothing had happened.

A process trains and writes a checkpoint after every step; SIGKILL comes in a step that is drawn,
after a fraction of the step's time that is drawn.  Then the file is restored and the run goes on
to its end.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from nested_states import same
from training_to_kill import STEPS, Run, train_until_killed

CONTEXT = multiprocessing.get_context("forkserver")
SEARCH_PATH = os.pathsep.join(sys.path)
SCRIPT = Path(__file__).with_name("training_to_kill.py")


class Uninterrupted(NamedTuple):
    state: dict[str, Any]
    content: bytes  # of the checkpoint at the end


class Kill(NamedTuple):
    """What there was after a kill, and after the run was resumed."""

    during: int  # the step in which it came
    step: int  # in the checkpoint
    in_a_write: bool  # a temporary file was left
    damaged: bool  # restore refused the file
    resumed_exactly: bool


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    folder = tmp_path_factory.mktemp("uninterrupted")
    run = Run(folder / "run.npz")
    run.train()
    return Uninterrupted(run.state(), (folder / "run.npz").read_bytes())


@pytest.fixture(scope="module", autouse=True)
def _server() -> Iterator[None]:
    """Start the process from which all others are forked, when it has imported what they need."""
    CONTEXT.set_forkserver_preload(["training_made_ready"])
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", SEARCH_PATH)
        forkserver.ensure_running()
        yield


def kill(path: Path, mistake: str, step: int, fraction: float) -> None:
    """Start a run and kill it in a step, at a fraction of the time that its steps take."""
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=train_until_killed, args=(path, mistake, theirs), daemon=True)
    process.start()
    theirs.close()
    times = []
    while ours.recv() < step:
        times.append(time.perf_counter())
        ours.send("go on")
    times.append(time.perf_counter())
    ours.send("go on")
    time.sleep(fraction * (np.median(np.diff(times)) if len(times) > 1 else 0.005))
    process.kill()
    process.join()
    ours.close()
    assert process.exitcode == -signal.SIGKILL


def kills(
    count: int, folder: Path, uninterrupted: Uninterrupted, mistake: str = "", seed: int = 0
) -> Iterator[Kill]:
    """Kill as many runs, and resume each."""
    rng = np.random.default_rng(seed)
    # A step in each of `count` equal parts of the training, which spreads them over all of it.
    steps = ((np.arange(count) + rng.random(count)) / count * STEPS).astype(int)
    fractions = rng.random(count)
    for i in range(count):
        path = folder / str(i) / "run.npz"
        path.parent.mkdir()
        during = int(steps[i])
        kill(path, mistake, during, float(fractions[i]))
        in_a_write = any(file != path for file in path.parent.iterdir())
        run = Run(path, mistake)
        try:
            step = run.checkpoint.restore()
        except ValueError:
            yield Kill(during, -1, in_a_write, damaged=True, resumed_exactly=False)
            continue
        run.train()
        exact = same(run.state(), uninterrupted.state)
        yield Kill(during, step, in_a_write, damaged=False, resumed_exactly=exact)


@pytest.mark.parametrize("count", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_a_run_killed_at_any_moment_ends_bit_identical(
    tmp_path: Path, uninterrupted: Uninterrupted, count: int
) -> None:
    found = list(kills(count, tmp_path, uninterrupted))
    assert not any(kill.damaged for kill in found)
    assert all(kill.resumed_exactly for kill in found)
    for i in range(count):
        assert (tmp_path / str(i) / "run.npz").read_bytes() == uninterrupted.content
    # They came all over the training, between its beginning and its end,
    assert all(kill.step - kill.during in (0, 1) for kill in found)
    assert len({kill.during for kill in found}) >= count / 2
    if count == 50:
        assert any(kill.in_a_write for kill in found)  # and in the middle of writes.


def test_a_run_killed_again_and_again_and_resumed_in_a_fresh_interpreter_ends_bit_identical(
    tmp_path: Path, uninterrupted: Uninterrupted
) -> None:
    path = tmp_path / "run.npz"
    for step in (9, 17, 31):
        kill(path, "", step, 0.5)
    subprocess.run([sys.executable, SCRIPT, path], check=True, timeout=120)
    assert path.read_bytes() == uninterrupted.content
    assert list(tmp_path.iterdir()) == [path]


# The same check notices mistakes


@pytest.mark.parametrize(
    "mistake",
    ["forget model", "forget optimizer", "forget schedule", "forget ema", "forget rng",
     "forget batches", "Adam's t"],
)  # fmt: skip
def test_what_a_checkpoint_forgets_is_noticed_after_one_kill(
    tmp_path: Path, uninterrupted: Uninterrupted, mistake: str
) -> None:
    (found,) = kills(1, tmp_path, uninterrupted, mistake)
    assert 0 < found.step < STEPS
    assert not found.damaged
    assert not found.resumed_exactly


def test_a_checkpoint_that_is_written_in_place_is_soon_found_damaged(
    tmp_path: Path, uninterrupted: Uninterrupted
) -> None:
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        found = kills(2, folder, uninterrupted, "write in place", seed=attempt)
        if any(kill.damaged for kill in found):
            return
    pytest.fail("no kill fell into a write")
