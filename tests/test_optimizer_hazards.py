"""What once went wrong or could: stale memory, copies, defaults, rules of one's own."""

import copy
from typing import Any

import numpy as np
import pytest
from optimizers import parameter

from optim import SGD, Adam, Muon, Optimizer, Yogi
from optim.hyperparameters import check_nonnegative
from optim.loop import coordinatewise


def test_error_bad_default_that_every_group_overrides() -> None:
    """It would lie dormant until a group is added."""
    with pytest.raises(ValueError, match="lr=-5"):
        Adam([{"params": [parameter()], "lr": 0.1}], lr=-5)
    with pytest.raises(TypeError, match="betas='foo'"):
        Adam([{"params": [parameter()], "betas": (0.9, 0.99)}], betas="foo")  # type: ignore[arg-type]


def test_an_array_freed_long_ago_is_nobodys() -> None:
    """Memory is used again: only what parameters hold now can be shared."""
    x = parameter(np.zeros(1000), np.zeros(1000))
    optimizer = SGD([x])
    for _ in range(50):
        x.data = x.data * 0.5
        optimizer.step()
        optimizer.add_param_group({"params": [parameter(np.zeros(1000))]})


def test_error_overlapping_values() -> None:
    values = np.zeros(6)
    x, y = parameter(), parameter()
    x.data, y.data = values[:4], values[2:]
    with pytest.raises(ValueError, match="shares its values with parameter 0"):
        SGD([x, y])


def test_a_deep_copy_knows_its_own_parameters() -> None:
    twin = copy.deepcopy(SGD([parameter()], lr=1.0))
    (x,) = twin.param_groups[0].params
    with pytest.raises(ValueError, match="parameter 1 is parameter 0 again"):
        twin.add_param_group({"params": [x]})
    for _ in range(5):
        twin.add_param_group({"params": [parameter()]})


def test_groups_are_added_by_add_param_group_alone() -> None:
    optimizer: Any = SGD([parameter()])
    with pytest.raises(AttributeError, match="append"):
        optimizer.param_groups.append({"params": [parameter()]})
    with pytest.raises(AttributeError, match="append"):
        optimizer.param_groups[0].params.append(parameter())
    with pytest.raises(AttributeError, match="add_param_group"):
        optimizer.param_groups = []
    assert "lr" in optimizer.param_groups[0]
    assert "momentum" not in Adam([parameter()]).param_groups[0]


def test_a_rate_below_float32s_range_counts_as_zero() -> None:
    """Schedules that decay for ever come there."""
    x = parameter(np.ones(2, np.float32), np.ones(2, np.float32))
    optimizer = Adam([x])
    optimizer.lr = 1e-60
    optimizer.step()
    assert x.data.tolist() == [1.0, 1.0]


def test_error_where_the_state_starts_is_set_after_it_has_started() -> None:
    optimizer = Yogi([parameter()])
    with pytest.raises(ValueError, match=r"initial_accumulator=5\.0: the state has started"):
        optimizer.initial_accumulator = 5.0
    twin = Yogi([parameter()], initial_accumulator=1.0)
    twin.load_state_dict(optimizer.state_dict())
    assert twin.initial_accumulator == 0.0


def test_error_the_base_has_no_rule() -> None:
    with pytest.raises(TypeError, match="Optimizer is the base"):
        Optimizer([parameter()], "raise")


def test_a_rule_of_ones_own_needs_only_its_parts() -> None:
    """With a loop in plain NumPy, and neither `maximize` nor compiled code."""

    class SignDescent(Optimizer):
        hyperparameters = {"lr": check_nonnegative}

        def __init__(self, params: Any, lr: float) -> None:
            super().__init__(params, "raise", lr=lr)

        @staticmethod
        def initial_state(**_: Any) -> dict[str, float]:
            return {}

        @staticmethod
        def loop_for(**_: Any) -> Any:
            return sign_descent

        @staticmethod
        def coefficients(t: int, *, lr: float) -> tuple[float, ...]:
            return (lr,)

    def sign_descent(x: Any, g: Any, sign: float, coefficients: tuple[float, ...]) -> None:
        x -= coefficients[0] * np.sign(sign * g)

    x = parameter(gradient=[3.0, -4.0])
    SignDescent([x], lr=0.5).step()
    assert x.data.tolist() == [0.5, 2.5]


def test_a_loop_made_inside_a_function_runs() -> None:
    two = 2

    def halve(x: Any) -> None:
        for i in range(x.size):
            x[i] = x[i] / two

    x = np.array([1.0, 4.0])
    coordinatewise(halve)(x)
    assert x.tolist() == [0.5, 2.0]


def test_muons_step_is_not_stopped_half_way_by_numpys_error_state() -> None:
    x, y = (parameter(np.ones((2, 2)), g) for g in (np.ones((2, 2)), np.zeros((2, 2))))
    optimizer = Muon([x, y], eps=0.0)
    with np.errstate(all="raise"):
        optimizer.step()
    assert [state["steps"] for state in optimizer.state_dict()["state"]] == [1, 1]
