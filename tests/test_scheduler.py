"""The scheduler: what it sets when, what it refuses, and that it resumes."""

import json
from typing import Any

import numpy as np
import pytest

import optim
from minigrad import Tensor
from optim.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    Function,
    LinearWarmup,
    OneCycle,
    Schedule,
    Scheduler,
    Step,
)


class Group:
    """A parameter group with hyperparameters that are checked when they are set."""

    def __init__(self, **hyperparameters: float) -> None:
        self.held = dict(hyperparameters)
        self.log: list[float] = []

    def __getitem__(self, name: str) -> float:
        return self.held[name]

    def __setitem__(self, name: str, value: float) -> None:
        if value > 10:
            raise ValueError(f"{name}={value}: accepted is 10 or less")
        self.held[name] = value
        self.log.append(value)


class Groups:
    """What a scheduler knows of an optimizer."""

    def __init__(self, n: int = 1) -> None:
        self.param_groups = [Group(lr=7.0 + i, momentum=0.5) for i in range(n)]

    def __getattr__(self, name: str) -> list[float]:
        return [group[name] for group in self.param_groups]


def test_the_first_value_is_set_at_once_and_the_next_by_each_step() -> None:
    optimizer, schedule = Groups(), Exponential(0.8, 0.5)
    scheduler = Scheduler(optimizer, schedule)
    assert (scheduler.t, scheduler.last, optimizer.lr) == (0, [0.8], [0.8])
    for t in (1, 2, 3):
        scheduler.step()
        assert (scheduler.t, scheduler.last, optimizer.lr) == (t, [schedule(t)], [schedule(t)])
    assert optimizer.param_groups[0].log == [0.8, 0.4, 0.2, 0.1]


def test_one_schedule_serves_all_groups_also_those_added_later() -> None:
    optimizer = Groups(3)
    scheduler = Scheduler(optimizer, Exponential(0.8, 0.5))
    assert optimizer.lr == scheduler.last == [0.8] * 3
    optimizer.param_groups.append(Group(lr=3.0))
    scheduler.step()
    assert optimizer.lr == scheduler.last == [0.4] * 4


def test_a_list_has_one_schedule_for_each_group() -> None:
    optimizer = Groups(2)
    scheduler = Scheduler(optimizer, [Constant(0.5), Exponential(0.8, 0.5)])
    scheduler.step()
    assert optimizer.lr == scheduler.last == [0.5, 0.4]


def test_any_hyperparameter_and_only_that_is_set() -> None:
    optimizer = Groups(2)
    rate = Scheduler(optimizer, Constant(0.1))
    momentum = Scheduler(optimizer, LinearWarmup(0.9, 4), "momentum")
    for scheduler in (rate, momentum, momentum):
        scheduler.step()
    assert (optimizer.lr, optimizer.momentum) == ([0.1] * 2, [0.45] * 2)


def test_a_value_set_by_hand_lasts_until_the_next_step() -> None:
    optimizer = Groups()
    scheduler = Scheduler(optimizer, Exponential(0.8, 0.5))
    optimizer.param_groups[0]["lr"] = 5.0
    scheduler.step()
    assert optimizer.lr == [0.4]


def test_plain_dictionaries_are_groups() -> None:
    class Optimizer:
        param_groups = [{"lr": 1.0}]

    Scheduler(Optimizer(), Constant(0.1))
    assert Optimizer.param_groups == [{"lr": 0.1}]


# With the optimizers themselves


def trained(optimizer_class: Any, schedule: Any, steps: int) -> tuple[Any, Any, Any]:
    w = Tensor([1.0, -2.0, 3.0], requires_grad=True)
    b = Tensor([0.5], requires_grad=True)
    optimizer = optimizer_class([{"params": [w]}, {"params": [b]}], lr=1.0)
    scheduler = Scheduler(optimizer, schedule)
    for _ in range(steps):
        train_once(optimizer, scheduler)
    return optimizer, scheduler, (w, b)


def train_once(optimizer: Any, scheduler: Scheduler) -> None:
    w, b = (group.params[0] for group in optimizer.param_groups)
    optimizer.zero_grad()
    ((w * w).sum() + (b * b * b).sum()).backward()
    optimizer.step()
    scheduler.step()


def test_sgd_steps_by_the_rates_of_its_schedule() -> None:
    schedules = [LinearWarmup(0.1, 4), Exponential(0.2, 0.5)]
    _, _, (w, b) = trained(optim.SGD, schedules, 10)
    x, y = np.array([1.0, -2.0, 3.0]), np.array([0.5])
    for t in range(10):
        x = x - schedules[0](t) * 2 * x
        y = y - schedules[1](t) * 3 * y**2
    np.testing.assert_allclose(w.data, x, rtol=1e-15)
    np.testing.assert_allclose(b.data, y, rtol=1e-15)


@pytest.mark.parametrize("name", ["SGD", "Adam", "Yogi"])
def test_optimizer_and_scheduler_resume_bit_for_bit(name: str) -> None:
    rule, schedule = getattr(optim, name), LinearWarmup(0.1, 5).then(Cosine(0.1, 20), at=5)
    _, _, whole = trained(rule, schedule, 30)
    before, scheduler, half = trained(rule, schedule, 12)
    after, resumed, rest = trained(rule, schedule, 0)
    for x, y in zip(rest, half, strict=True):
        x.data[...] = y.data
    after.load_state_dict(before.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    for _ in range(18):
        train_once(after, resumed)
    for x, y in zip(rest, whole, strict=True):
        np.testing.assert_array_equal(x.data, y.data)


def test_error_an_optimizers_unknown_hyperparameter_suggests_the_right_one() -> None:
    optimizer, _, _ = trained(optim.SGD, Constant(0.1), 0)
    with pytest.raises(KeyError, match="no hyperparameter 'momentun'; did you mean 'momentum'"):
        Scheduler(optimizer, Constant(0.1), "momentun")


def test_error_a_value_that_one_groups_dtype_cannot_hold_is_set_in_none() -> None:
    w = Tensor(np.ones(2), requires_grad=True)
    b = Tensor(np.ones(2, np.float32), requires_grad=True)
    optimizer = optim.SGD([{"params": [w]}, {"params": [b]}], lr=1.0)
    scheduler = Scheduler(optimizer, Step(1e38, 1, gamma=100.0))
    with pytest.raises(ValueError, match="is inf in float32"):
        scheduler.step()
    assert (scheduler.t, [group["lr"] for group in optimizer.param_groups]) == (0, [1e38] * 2)


# Resuming

SCHEDULES: list[Schedule | list[Schedule]] = [
    Cosine(0.1, 40),
    CosineRestarts(0.3, 7, 2, end=0.01),
    OneCycle(0.1, 50),
    LinearWarmup(0.1, 10).then(Step(0.1, 9), at=10),
    [Cosine(0.1, 40), Exponential(0.3, 0.97)],
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("killed_at", [0, 1, 9, 10, 11, 39, 60])
def test_a_resumed_run_has_the_rates_of_one_that_ran_through(schedule: Any, killed_at: int) -> None:
    through, first, second = Groups(2), Groups(2), Groups(2)
    scheduler = Scheduler(through, schedule)
    for _ in range(80):
        scheduler.step()
    before = Scheduler(first, schedule)
    for _ in range(killed_at):
        before.step()
    state = json.loads(json.dumps(before.state_dict()))
    after = Scheduler(second, schedule)
    for group in second.param_groups:
        group.log.clear()
    after.load_state_dict(state)
    assert (after.t, after.last, second.lr) == (before.t, before.last, first.lr)
    for _ in range(80 - killed_at):
        after.step()
    for whole, part in zip(through.param_groups, second.param_groups, strict=True):
        assert whole.log[killed_at:] == part.log


def test_the_state_is_plain_and_says_what_it_belongs_to() -> None:
    scheduler = Scheduler(Groups(2), [Constant(0.1), Cosine(0.2, 9)], hyperparameter="momentum")
    scheduler.step()
    assert scheduler.state_dict() == {
        "t": 1,
        "schedule": ["Constant(lr=0.1)", "Cosine(lr=0.2, steps=9, end=0.0)"],
        "hyperparameter": "momentum",
    }
    assert repr(scheduler) == (
        "Scheduler(['Constant(lr=0.1)', 'Cosine(lr=0.2, steps=9, end=0.0)'], "
        "hyperparameter='momentum', t=1)"
    )
    assert repr(Scheduler(Groups(), Constant(0.1))) == (
        "Scheduler(Constant(lr=0.1), hyperparameter='lr', t=0)"
    )


def test_the_state_is_a_copy() -> None:
    scheduler = Scheduler(Groups(), Constant(0.1))
    state = scheduler.state_dict()
    state["schedule"].append("more")
    scheduler.step()
    assert state["t"] == 0
    assert scheduler.state_dict()["schedule"] == ["Constant(lr=0.1)"]


def test_last_is_not_shared_with_what_was_returned_before() -> None:
    scheduler = Scheduler(Groups(), Exponential(0.8, 0.5))
    last = scheduler.last
    scheduler.step()
    assert last == [0.8]


def test_a_state_with_numpy_numbers_and_tuples_is_the_same() -> None:
    scheduler = Scheduler(Groups(), Exponential(0.8, 0.5))
    state = scheduler.state_dict()
    scheduler.load_state_dict({**state, "t": np.int64(2), "schedule": tuple(state["schedule"])})
    assert scheduler.last == [0.2]
    assert type(scheduler.t) is int


def test_functions_are_compared_by_name_alone() -> None:
    def rate(t: int) -> float:
        return 0.1

    state = Scheduler(Groups(), Function(rate)).state_dict()

    def another(t: int) -> float:
        return 0.3

    another.__qualname__ = rate.__qualname__
    optimizer = Groups()
    Scheduler(optimizer, Function(another)).load_state_dict(state)
    assert optimizer.lr == [0.3]
    with pytest.raises(ValueError, match=r"<lambda>"):
        Scheduler(Groups(), Function(lambda t: 0.1)).load_state_dict(state)


# Bad input: nothing has changed when the error is raised


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"t": -1}, ValueError, r"state\['t'\]=-1: accepted is a whole number"),
        ({"t": 2.0}, TypeError, r"state\['t'\]=2.0 is of type float"),
        ({"t": True}, TypeError, r"state\['t'\]=True is of type bool"),
        (
            {"schedule": ["Cosine(lr=0.2, steps=9, end=0.0)"]},
            ValueError,
            r"schedule Cosine\(lr=0.2, .*this one has Exponential\(lr=0.8, gamma=0.5\)",
        ),
        ({"schedule": ["Exponential(lr=0.8, gamma=0.5)"] * 2}, ValueError, "this one has"),
        ({"schedule": None}, ValueError, "a scheduler with schedule None, and this one has"),
        ({"hyperparameter": "momentum"}, ValueError, "hyperparameter momentum, .* has lr"),
        ({"more": 1}, ValueError, "keys 't', 'schedule', 'hyperparameter', 'more': accepted are"),
    ],
)
def test_error_loading_changes_nothing(change: Any, error: Any, message: str) -> None:
    optimizer = Groups()
    scheduler = Scheduler(optimizer, Exponential(0.8, 0.5))
    scheduler.step()
    state = Scheduler(Groups(), Exponential(0.8, 0.5)).state_dict() | change
    with pytest.raises(error, match=message):
        scheduler.load_state_dict(state)
    assert (scheduler.t, scheduler.last, optimizer.lr) == (1, [0.4], [0.4])


@pytest.mark.parametrize("state", [None, [], "t", 3])
def test_error_loading_what_is_no_state(state: Any) -> None:
    with pytest.raises(TypeError, match=r"accepted is a state_dict\(\)"):
        Scheduler(Groups(), Constant(0.1)).load_state_dict(state)


def test_error_loading_with_keys_missing() -> None:
    with pytest.raises(ValueError, match="state has the keys none: accepted are 't', 'schedule'"):
        Scheduler(Groups(), Constant(0.1)).load_state_dict({})


@pytest.mark.parametrize("schedule", [0.1, None, Cosine, lambda t: 0.1, [Constant(0.1), 0.1]])
def test_error_what_is_no_schedule(schedule: Any) -> None:
    optimizer = Groups(2)
    with pytest.raises(TypeError, match="accepted is a schedule, or a list"):
        Scheduler(optimizer, schedule)
    assert optimizer.lr == [7.0, 8.0]


@pytest.mark.parametrize("n", [0, 1, 3])
def test_error_not_one_schedule_per_group(n: int) -> None:
    optimizer = Groups(2)
    with pytest.raises(ValueError, match=rf"there are {n} schedules for 2 parameter group"):
        Scheduler(optimizer, [Constant(0.1)] * n)
    assert optimizer.lr == [7.0, 8.0]


def test_error_a_group_added_without_its_schedule() -> None:
    optimizer = Groups(2)
    scheduler = Scheduler(optimizer, [Constant(0.1), Constant(0.2)])
    optimizer.param_groups.append(Group(lr=3.0))
    with pytest.raises(ValueError, match="2 schedules for 3 parameter group"):
        scheduler.step()
    assert (scheduler.t, optimizer.lr) == (0, [0.1, 0.2, 3.0])


def test_error_a_hyperparameter_that_a_group_has_not() -> None:
    optimizer = Groups(2)
    del optimizer.param_groups[1].held["momentum"]
    with pytest.raises(KeyError, match="momentum"):
        Scheduler(optimizer, Constant(0.1), "momentum")
    assert optimizer.param_groups[0]["momentum"] == 0.5


@pytest.mark.parametrize("name", [3, None, ["lr"]])
def test_error_a_hyperparameter_that_is_no_name(name: Any) -> None:
    with pytest.raises(TypeError, match=r"hyperparameter=.*accepted is a name, such as 'lr'"):
        Scheduler(Groups(), Constant(0.1), name)


def test_error_a_value_refused_by_one_group_is_set_in_none() -> None:
    def grows(t: int) -> float:
        return 0.1 if t == 0 else 11.0

    optimizer = Groups(3)
    scheduler = Scheduler(optimizer, [Exponential(0.8, 0.5), Function(grows), Constant(0.3)])
    with pytest.raises(ValueError, match="accepted is 10 or less"):
        scheduler.step()
    assert (scheduler.t, scheduler.last, optimizer.lr) == (0, [0.8, 0.1, 0.3], [0.8, 0.1, 0.3])


def test_error_a_schedule_that_fails_sets_nothing() -> None:
    optimizer = Groups(2)
    scheduler = Scheduler(optimizer, [Exponential(0.8, 0.5), Function(lambda t: 1 / (1 - t))])
    with pytest.raises(ZeroDivisionError):
        scheduler.step()
    assert (scheduler.t, optimizer.lr) == (0, [0.8, 1.0])


def test_error_what_is_no_optimizer() -> None:
    with pytest.raises(TypeError, match="type list, which has no param_groups"):
        Scheduler([], Constant(0.1))  # type: ignore[arg-type]
