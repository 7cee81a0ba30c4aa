"""Temporary files: those of killed processes are removed, those of living ones are not."""

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from checkpoint_parts import Part, net
from nested_states import same

from minigrad import Checkpoint, archive, load, save


def leave_a_temporary(path: Path) -> Path:
    """Kill a process that has written all and renamed nothing; return what it leaves."""
    code = (
        "import os, signal, sys, numpy, minigrad\n"
        "os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)\n"
        "minigrad.Checkpoint(sys.argv[1], rng=numpy.random.default_rng(0)).save(1)"
    )
    before = set(path.parent.iterdir())
    killed = subprocess.run([sys.executable, "-c", code, path], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = set(path.parent.iterdir()) - before
    return left


@pytest.mark.parametrize("again", [
    lambda path: Checkpoint(path, part=Part({})).save(2), lambda path: save(path, net()),
])  # fmt: skip
def test_the_next_writer_removes_what_a_killed_one_left_and_nothing_else(
    tmp_path: Path, again: Callable[[Path], None]
) -> None:
    path = tmp_path / "run.npz"
    left, of_another = leave_a_temporary(path), leave_a_temporary(tmp_path / "run.npz.old")
    others = [tmp_path / ".run.npz", tmp_path / ".run.npz.tmp", tmp_path / "run.npz.old.npz"]
    for other in others:
        other.touch()
    assert Checkpoint(path, part=Part({})).restore() == 0
    assert left.exists()  # reading changes nothing in the folder
    again(path)
    assert set(tmp_path.iterdir()) == {path, of_another, *others}


def test_the_temporary_file_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    code = (
        "import os, sys, numpy, minigrad\n"
        "def wait(file):\n"
        "    print('written', flush=True)\n"
        "    sys.stdin.read()\n"
        "os.fsync = wait\n"
        "minigrad.Checkpoint(sys.argv[1], rng=numpy.random.default_rng(5)).save(5)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as slow:
        assert slow.stdout is not None
        assert slow.stdout.readline() == b"written\n"
        Checkpoint(path, rng=np.random.default_rng(2)).save(2)
        assert len(list(tmp_path.iterdir())) == 2
        slow.communicate(timeout=60)
    assert slow.returncode == 0
    rng = np.random.default_rng(0)
    assert Checkpoint(path, rng=rng).restore() == 5
    assert same(rng.bit_generator.state, np.random.default_rng(5).bit_generator.state)
    assert list(tmp_path.iterdir()) == [path]


def test_writers_of_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    def write(writer: int) -> None:
        for _ in range(15):
            save(tmp_path / "w.npz", {"w": np.full(1000, writer)})
            assert len(np.unique(load(tmp_path / "w.npz")["w"])) == 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert list(tmp_path.iterdir()) == [tmp_path / "w.npz"]


def test_a_temporary_file_that_is_removed_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = archive._lock
    removed: list[Path] = []

    def lock_too_late(file: IO[bytes], *, wait: bool) -> bool:
        if not removed:
            removed.append(Path(file.name))
            removed[0].unlink()
        return lock(file, wait=wait)

    monkeypatch.setattr(archive, "_lock", lock_too_late)
    save(tmp_path / "w.npz", {"w": np.ones(2)})
    assert removed
    np.testing.assert_array_equal(load(tmp_path / "w.npz")["w"], [1.0, 1.0])
    assert list(tmp_path.iterdir()) == [tmp_path / "w.npz"]


def test_where_nothing_can_be_locked_files_are_written_and_none_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.npz"
    left = leave_a_temporary(path)
    monkeypatch.setattr(archive, "fcntl", None)
    save(path, {"w": np.ones(2)})
    np.testing.assert_array_equal(load(path)["w"], [1.0, 1.0])
    assert set(tmp_path.iterdir()) == {path, left}
