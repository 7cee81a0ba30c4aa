"""Shared fixtures."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from datasets import airfoil_stand_in
from datasets.airfoil import AIRFOIL
from datasets.time_machine import TIME_MACHINE
from experiments.question import Setting
from experiments.sweep.executors import executor_for

os.environ.setdefault("MPLBACKEND", "agg")

# Recording needs PyTorch; the tests do not.
collect_ignore_glob = ["reference/*.py"]

# A first call may compile, so no example has a time limit.  CI tries the same examples every time.
settings.register_profile("minigrad", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("minigrad")


@pytest.fixture
def parallel_from_1000(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the optimizers' loops run on all cores from 1,000 coordinates, not a million."""
    monkeypatch.setattr("optim.loop.PARALLEL_FROM", 1000)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of the test's own, and no $MINIGRAD_DATA."""
    monkeypatch.delenv("MINIGRAD_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "minigrad"


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled epochs are kept: it outlives the run, so that the next compiles nothing."""
    cache = getattr(request.config, "cache", None)  # without pytest's plugin there is none
    return Path(cache.mkdir("steps")) if cache else tmp_path_factory.getbasetemp() / "steps"


@pytest.fixture(scope="session")
def real_airfoil() -> Path:
    """The real airfoil file, where $MINIGRAD_DATA or the user's cache has it."""
    place = AIRFOIL.find()
    if place is None:
        pytest.skip("the real airfoil file is not here (python -m datasets fetch airfoil)")
    return place


@pytest.fixture(scope="session")
def real_time_machine() -> Path:
    """The real text, where $MINIGRAD_DATA or the user's cache has it."""
    place = TIME_MACHINE.find()
    if place is None:
        pytest.skip("the real text is not here (python -m datasets fetch time_machine)")
    return place


@pytest.fixture(scope="session")
def reduced_setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    """How a question is asked in a test: at its reduced size, on all cores, on the stand-in."""
    with executor_for() as (executor, workers):
        folder = tmp_path_factory.mktemp("results")
        yield Setting(
            airfoil_stand_in(), reduced=True, folder=folder, executor=executor, workers=workers
        )
