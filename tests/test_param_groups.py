"""Parameter groups: hyperparameters of their own, and what may not be grouped."""

from typing import Any

import numpy as np
import pytest
from optimizers import OPTIMIZERS, matrix, snapshot, train

from minigrad import Tensor
from optim import SGD, Adam


def gradients(*parameters: Tensor) -> None:
    for p in parameters:
        p.grad = np.ones(p.shape)


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_each_group_moves_as_an_optimizer_of_its_own_would(optimizer_class: Any) -> None:
    groups: list[dict[str, Any]] = [
        {"lr": 0.5}, {"weight_decay": 0.25}, {"maximize": True}, {},
    ]  # fmt: skip
    together = [matrix() for _ in groups]
    optimizer = optimizer_class(
        [{"params": [p], **g} for p, g in zip(together, groups, strict=True)], lr=0.125
    )
    apart = [matrix() for _ in groups]
    single = [
        optimizer_class([p], **{"lr": 0.125, **g}) for p, g in zip(apart, groups, strict=True)
    ]
    rng = np.random.default_rng(0)
    for _ in range(5):
        g = rng.standard_normal((2, 2))
        for p in (*together, *apart):
            p.grad = g.copy()
        optimizer.step()
        for one in single:
            one.step()
    for p, q in zip(together, apart, strict=True):
        assert np.array_equal(p.data, q.data)
    assert len({p.data.tobytes() for p in together}) == len(groups)


def test_a_group_takes_what_it_does_not_give_from_the_optimizer() -> None:
    optimizer = Adam([{"params": [matrix()], "lr": 1}, {"params": [matrix()]}], lr=2, eps=0.5)
    assert [group.lr for group in optimizer.param_groups] == [1.0, 2.0]
    assert [group["eps"] for group in optimizer.param_groups] == [0.5, 0.5]
    assert dict(optimizer.param_groups[0])["betas"] == (0.9, 0.999)


def test_setting_on_the_optimizer_sets_every_group_and_those_to_come() -> None:
    optimizer = Adam([{"params": [matrix()], "lr": 1.0}, {"params": [matrix()]}])
    optimizer.lr = 0.5
    optimizer.add_param_group({"params": [matrix()]})
    assert [group.lr for group in optimizer.param_groups] == [0.5, 0.5, 0.5]
    assert optimizer.lr == 0.5


def test_error_reading_from_the_optimizer_what_its_groups_do_not_agree_on() -> None:
    optimizer = Adam([{"params": [matrix()], "lr": 1.0}, {"params": [matrix()]}])
    with pytest.raises(AttributeError, match=r"differ in lr: \[1\.0, 0\.001\].*param_groups\[i\]"):
        _ = optimizer.lr


def test_a_group_added_later_starts_at_step_one() -> None:
    """Its bias correction has to be its own."""
    x, y = matrix(), matrix()
    optimizer = Adam([x], lr=1.0, eps=0.0)
    train(optimizer, [x], 10)
    optimizer.add_param_group({"params": [("late", y)], "lr": 0.5})
    before = y.data.copy()
    gradients(x, y)
    optimizer.step()
    np.testing.assert_allclose(before - y.data, 0.5, rtol=1e-12)
    assert "parameter 1 ('late'): shape (2, 2), float64, 1 step" in repr(optimizer)
    assert "2 parameter groups" in repr(optimizer)


def test_a_parameter_without_gradient_stays_in_every_group() -> None:
    x, y = matrix(), matrix()
    optimizer = SGD([{"params": [x]}, {"params": [y]}], lr=1.0, weight_decay=0.5)
    gradients(x)
    optimizer.step()
    assert np.array_equal(y.data, matrix().data)
    assert not np.array_equal(x.data, matrix().data)


X = matrix()
BAD_GROUPS: list[tuple[Any, type[Exception], str]] = [
    ({"params": []}, ValueError, "parameter group 1: params is empty"),
    ({"lr": 0.1}, ValueError, r"parameter group 1 has no 'params'; its keys are 'lr'"),
    ({"params": matrix()}, TypeError, r"parameter group 1: params is one tensor.*\[w\]"),
    ({"params": "w"}, TypeError, "parameter group 1: params is of type str"),
    ({"params": [X]}, ValueError, "parameter group 1: parameter 1 is parameter 0 again.*one group"),
    ({"params": [Tensor(np.arange(3))]}, TypeError, "parameter group 1: parameter 1 .*int64"),
    ({"params": [matrix()], "lr ": 1}, TypeError, "key 'lr '.*did you mean 'lr'"),
    ({"params": [matrix()], 3: 1}, TypeError, "key 3"),
    ({"parms": [matrix()]}, ValueError, "no 'params'; its keys are 'parms'"),
    ([X], TypeError, "a parameter group is a dict like"),
    (matrix(), TypeError, "a parameter group is a dict like .* got a Tensor"),
]


@pytest.mark.parametrize(("group", "error", "match"), BAD_GROUPS)
def test_error_bad_group_and_nothing_has_changed(
    group: Any, error: type[Exception], match: str
) -> None:
    optimizer = Adam([X])
    before = snapshot(optimizer, [X])
    with pytest.raises(error, match=match):
        optimizer.add_param_group(group)
    assert snapshot(optimizer, [X]) == before
    with pytest.raises(error, match=match):
        Adam([{"params": [X]}, group])
    y = matrix()
    optimizer.add_param_group({"params": [y]})  # what was refused has left no trace
    assert len(optimizer.param_groups) == 2


def test_error_parameters_and_groups_mixed() -> None:
    with pytest.raises(TypeError, match="where one entry of params is a dict, all have to be"):
        Adam([{"params": [matrix()]}, matrix()])


def test_error_one_group_without_a_list() -> None:
    with pytest.raises(TypeError, match=r"params is a dict: give a list.*\[\{'params'"):
        Adam({"params": [matrix()]})


def test_error_two_parameters_share_their_values() -> None:
    """Tied weights are one tensor, not two over one array: each would update it."""
    x, y = matrix(), matrix()
    y.data = x.data
    with pytest.raises(ValueError, match="parameter 1 shares its values with parameter 0"):
        SGD([x, y])
