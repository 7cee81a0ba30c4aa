"""`walk`: the path of ``optimizer.step()``, to the bit, and much faster."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from experiments.lineup import OPTIMIZERS, build
from experiments.trainings.walk import SETTLED, walk
from minigrad import Tensor


def waves(t: int, x: Any, g: Any, problem: Any) -> None:
    for i in range(x.size):
        g[i] = np.sin(problem[i] * t) + 0.1 * x[i]


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"muon"}))
def test_a_walk_is_the_path_of_step_to_the_bit(name: str) -> None:
    # With β₂ = 0.9 bias corrections are over after some 350 steps, so both halves are run.
    has_betas = "betas" in OPTIMIZERS[name].hyperparameters
    betas: dict[str, Any] = {"betas": (0.5, 0.9)} if has_betas else {}
    path = walk(name, waves, 600, start=[1.0, -2.0], problem=[1.0, 0.3], **betas)
    x = Tensor([1.0, -2.0], requires_grad=True)
    optimizer = build(name, [x], **betas)
    for t in range(1, 601):
        x.grad = np.empty(2)
        waves(t, x.data, x.grad, np.array([1.0, 0.3]))
        optimizer.step()
        assert path.t[t - 1] == t
        np.testing.assert_array_equal(path.x[t - 1], x.data)
    (state,) = optimizer.state_dict()["state"]
    for key, values in path.state.items():
        np.testing.assert_array_equal(values[-1], state[key])


def test_every_keeps_the_ends_of_whole_stretches() -> None:
    whole = walk("yogi", waves, 100, problem=[1.0])
    some = walk("yogi", waves, 100, problem=[1.0], every=30)
    assert some.t.tolist() == [30, 60, 90]
    np.testing.assert_array_equal(some.x, whole.x[29:90:30])
    np.testing.assert_array_equal(some.state["s"], whole.state["s"][29:90:30])


def test_without_correction_the_first_step_is_that_of_the_bare_moments() -> None:
    bare = walk("adam", waves, 1, problem=[1.0], lr=1.0, eps=0.0, corrected=False)
    assert bare.x[0, 0] == pytest.approx(-0.1 / np.sqrt(0.001), rel=1e-14)
    usual = walk("adam", waves, 1, problem=[1.0], lr=1.0, eps=0.0)
    assert usual.x[0, 0] == pytest.approx(-1.0, rel=1e-14)


@pytest.mark.parametrize("name", ["adam", "amsgrad", "yogi"])
def test_bias_corrections_are_one_where_the_walk_says_settled(name: str) -> None:
    (group,) = build(name, [Tensor(0.0, requires_grad=True)], betas=(0.9, 0.9999)).param_groups
    assert group.coefficients(SETTLED).count(1.0) == 2


def test_the_start_is_left_as_it_was() -> None:
    start = np.zeros(2)
    walk("adam", waves, 10, start=start, problem=[1.0, 2.0])
    assert start.tolist() == [0.0, 0.0]


def test_error_unknown_optimizer_or_hyperparameter_as_everywhere() -> None:
    with pytest.raises(ValueError, match=re.escape("there is no optimizer 'adm'")):
        walk("adm", waves, 1, problem=[1.0])
    with pytest.raises(ValueError, match="the rule of muon is not coordinatewise"):
        walk("muon", waves, 1, start=np.eye(2), problem=[1.0])
    with pytest.raises(ValueError, match="lr"):
        walk("adam", waves, 1, problem=[1.0], lr=-1.0)
