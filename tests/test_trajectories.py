"""Every optimizer against float64 trajectories recorded from PyTorch, Optax or the equations."""

from typing import Any

import numpy as np
import pytest
from trajectories import GRADIENTS, RECORD, TRAJECTORIES, Trajectory, trajectories

import optim
from minigrad import Tensor
from optim import Optimizer

EXPORTED = [
    name
    for name in optim.__all__
    if isinstance(getattr(optim, name), type)
    and issubclass(getattr(optim, name), Optimizer)
    and getattr(optim, name) is not Optimizer
]

TOLERANCE = 1e-13
"""In units of the largest |x| so far: what 200 steps round, in another order of operations."""


def follow(run: Trajectory) -> list[Any]:
    x = Tensor(run.start, requires_grad=True)
    optimizer = getattr(optim, run.optimizer)([x], **run.options)
    path = []
    for g in run.gradients:
        x.grad = g.copy()
        optimizer.step()
        path.append(x.data.copy())
    return path


@pytest.mark.parametrize("run", TRAJECTORIES, ids=str)
def test_optimizer_follows_its_recorded_trajectory(run: Trajectory) -> None:
    assert run.error(follow(run)) < TOLERANCE


@pytest.mark.parametrize("name", EXPORTED)
def test_every_optimizer_is_recorded_with_and_without_decay_and_maximizing(name: str) -> None:
    runs = trajectories(name)
    assert any("maximize" in run.options for run in runs)
    assert any(run.options.get("weight_decay", 0) > 0 for run in runs)
    assert any(not np.any(run.start) for run in runs)  # what does not decay starts at 0
    assert len({str(run.options) for run in runs}) >= 3


def test_recorded_gradients_hold_zeros_sign_changes_and_1e_12_to_1e12() -> None:
    g = GRADIENTS["vector"]
    assert RECORD["steps"][-1] == len(g) == 200
    sizes = np.abs(g)
    zeros = np.count_nonzero(g == 0, axis=0)
    assert 200 in zeros
    assert np.any((zeros > 0) & (zeros < 199))
    assert np.any(np.max(sizes, axis=0) < 1e-11)
    assert np.any(np.min(sizes, axis=0) > 1e9)
    assert np.any(np.sum(np.sign(g[1:]) != np.sign(g[:-1]), axis=0) == 199)
    starts = np.array([run.start for run in TRAJECTORIES if run.gradients is g])
    assert np.min(starts) < 0 < np.max(starts)


@pytest.mark.parametrize("factor", [1 + 1e-12, 1 - 1e-12], ids=["above", "below"])
def test_steps_that_are_off_by_1e_12_of_their_length_show_however_short(factor: float) -> None:
    run = trajectories("Adam")[0]
    path = np.array(follow(run))
    moved = np.abs(path[-1])
    shortest = np.argmin(np.where(moved == 0, np.inf, moved))
    assert moved[shortest] < 1e-3 * np.median(moved)
    path[:, shortest] *= factor
    assert run.error(path) > TOLERANCE
