"""Bad hyperparameters are refused wherever they come from, and nothing has changed."""

import copy
import functools
import inspect
from typing import Any

import numpy as np
import pytest
from optimizers import OPTIMIZERS, matrix, snapshot, train

from minigrad import Tensor
from optim import SGD, Adam, ExponentialMovingAverage, Optimizer
from optim import hyperparameters as checks
from optim.schedules import Cosine, Scheduler

NUMBERS: list[Any] = [float("nan"), float("inf"), -1e-3, "0.1", None, True, 1j, [0.1]]
BAD: dict[Any, list[Any]] = {
    checks.check_nonnegative: NUMBERS,
    checks.check_positive: [*NUMBERS, 0.0],
    checks.check_fraction: [*NUMBERS, 1.0, 2],
    checks.check_flag: [1, 0, "yes", None],
    checks.check_betas: [
        0.9, (0.9,), (0.9, 0.99, 0.999), (1.0, 0.999), (0.9, 1.5), (0.9, -0.1), (0.9, float("nan")),
        ("a", "b"), {0.9, 0.99}, None,
    ],
}  # fmt: skip
BAD_OF: dict[str, list[Any]] = {
    "ns_coefficients": [
        1.0, (1.0, 2.0), (1.0, 2.0, 3.0, 4.0), (1.0, 2.0, float("nan")), (1.0, 2.0, float("inf")),
        ("a", "b", "c"), {1.0, 2.0, 3.0}, None,
    ],
    "ns_steps": [-1, 100, 10**30, 5.0, "5", True, None, float("nan")],
    "adjust_lr_fn": ["Original", "", 0, False],
}  # fmt: skip
"""Bad values of hyperparameters whose check stands for them alone."""

CASES = [
    pytest.param(c, name, value, id=f"{c.__name__}-{name}-{value}")
    for c in OPTIMIZERS
    for name, check in c.hyperparameters.items()
    for value in BAD.get(check, BAD_OF.get(name, []))
]


def two_groups(optimizer_class: Any, **options: Any) -> tuple[Optimizer, list[Tensor]]:
    parameters = [matrix(), matrix()]
    optimizer = optimizer_class([{"params": [p]} for p in parameters], **options)
    train(optimizer, parameters, 2)
    return optimizer, parameters


def test_every_kind_of_check_has_bad_values() -> None:
    """A check that is new to this table would leave its hyperparameters untested."""
    used = {item for c in OPTIMIZERS for item in c.hyperparameters.items()}
    untested = {check for name, check in used if name not in BAD_OF and check not in BAD}
    assert all(check.__module__ != checks.__name__ for check in untested)
    assert all(not isinstance(check, functools.partial) for check in untested)


@pytest.mark.parametrize(("optimizer_class", "name", "value"), CASES)
def test_error_bad_value_at_the_start_in_a_group_between_steps_and_on_loading(
    optimizer_class: Any, name: str, value: Any
) -> None:
    if name == "amsgrad" and "amsgrad" not in inspect.signature(optimizer_class).parameters:
        return  # AMSGrad has it, and it is always True
    with pytest.raises((TypeError, ValueError), match=name):
        optimizer_class([matrix()], **{name: value})
    with pytest.raises((TypeError, ValueError), match=f"parameter group 1: {name}"):
        optimizer_class([{"params": [matrix()]}, {"params": [matrix()], name: value}])

    optimizer, parameters = two_groups(optimizer_class)
    before = snapshot(optimizer, parameters)
    with pytest.raises((TypeError, ValueError), match=name):
        setattr(optimizer, name, value)
    with pytest.raises((TypeError, ValueError), match=name):
        setattr(optimizer.param_groups[1], name, value)
    with pytest.raises((TypeError, ValueError), match=name):
        optimizer.param_groups[1][name] = value
    with pytest.raises((TypeError, ValueError), match=f"parameter group 2: {name}"):
        optimizer.add_param_group({"params": [matrix()], name: value})
    saved = copy.deepcopy(optimizer.state_dict())
    saved["param_groups"][1][name] = value
    with pytest.raises((TypeError, ValueError), match=f"parameter group 1: {name}"):
        optimizer.load_state_dict(saved)
    assert snapshot(optimizer, parameters) == before


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("learning_rate", "'lr'"), ("Lr", "'lr'"), ("wieght_decay", "'weight_decay'")],
)
def test_error_misspelt_hyperparameter_suggests_the_right_one(
    optimizer_class: Any, name: str, suggestion: str
) -> None:
    match = f"no hyperparameter '{name}'; did you mean {suggestion}"
    with pytest.raises(TypeError, match=match):
        optimizer_class([matrix()], **{name: 0.1})
    with pytest.raises(TypeError, match=f"parameter group 0 has a key '{name}'.*{suggestion}"):
        optimizer_class([{"params": [matrix()], name: 0.1}])
    optimizer, parameters = two_groups(optimizer_class)
    before = snapshot(optimizer, parameters)
    with pytest.raises(AttributeError, match=suggestion):
        setattr(optimizer, name, 0.1)
    with pytest.raises(AttributeError, match=suggestion):
        setattr(optimizer.param_groups[0], name, 0.1)
    with pytest.raises(KeyError, match=suggestion):
        optimizer.param_groups[0][name] = 0.1
    with pytest.raises(AttributeError, match=name):
        getattr(optimizer.param_groups[0], name)
    with pytest.raises(TypeError, match=f"'{name}'.*{suggestion}"):
        optimizer.add_param_group({"params": [matrix()], name: 0.1})
    assert snapshot(optimizer, parameters) == before


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("epsilon", "eps"), ("beta1", "betas"), ("beta_2", "betas"), ("decay", "weight_decay")],
)
def test_names_of_other_libraries_are_known(name: str, suggestion: str) -> None:
    with pytest.raises(TypeError, match=f"did you mean '{suggestion}'"):
        Adam([matrix()], **{name: 0.1})  # type: ignore[arg-type]


def test_schedules_and_averages_suggest_the_right_name_too() -> None:
    wrong: list[Any] = [
        lambda: Cosine(0.1, total_steps=10),  # type: ignore[call-arg]
        lambda: Scheduler(SGD([matrix()]), Cosine(0.1, 10), hyperparam="lr"),  # type: ignore[call-arg]
        lambda: ExponentialMovingAverage([matrix()], deacy=0.9),  # type: ignore[call-arg]
    ]
    for make, name in zip(wrong, ("steps", "hyperparameter", "decay"), strict=True):
        with pytest.raises(TypeError, match=f"did you mean '{name}'"):
            make()


def test_a_name_like_no_other_gets_the_list() -> None:
    with pytest.raises(TypeError, match=r"'qqq'; accepted are lr, momentum, dampening"):
        SGD([matrix()], **{"qqq": 1})  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "dampening": 0.1}])
def test_error_nesterov_without_momentum_or_with_dampening(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"nesterov=True with momentum=.*above 0, e\.g\. 0\.9"):
        SGD([matrix()], nesterov=True, **options)
    optimizer, parameters = two_groups(SGD, momentum=0.9, nesterov=True)
    before = snapshot(optimizer, parameters)
    with pytest.raises(ValueError, match="nesterov=True"):
        optimizer.dampening = 0.5
    assert snapshot(optimizer, parameters) == before


@pytest.mark.parametrize(
    ("optimizer_class", "name", "value"), [(SGD, "momentum", 0.9), (Adam, "amsgrad", True)]
)
def test_error_switching_to_a_rule_that_remembers_more(
    optimizer_class: Any, name: str, value: Any
) -> None:
    optimizer, parameters = two_groups(optimizer_class)
    before = snapshot(optimizer, parameters)
    with pytest.raises(ValueError, match=f"{name}=.*Make a new optimizer"):
        setattr(optimizer, name, value)
    assert snapshot(optimizer, parameters) == before


def test_switching_between_rules_that_remember_the_same_takes_effect() -> None:
    x = matrix()
    optimizer = SGD([x], lr=1.0, momentum=0.5)
    x.grad = np.ones((2, 2))
    optimizer.step()
    start = x.data.copy()
    optimizer.nesterov = True
    optimizer.step()  # b = 1.5, and the step is g + b/2
    assert np.array_equal(start - x.data, np.full((2, 2), 1.75))


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_a_learning_rate_of_zero_is_accepted_and_moves_nothing(optimizer_class: Any) -> None:
    """Schedules begin and end there."""
    x = matrix()
    optimizer = optimizer_class([x], lr=0.0)
    train(optimizer, [x], 3)
    assert np.array_equal(x.data, matrix().data)


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_maximize_ascends_as_minimizing_the_negative_does(optimizer_class: Any) -> None:
    paths = []
    for sign, maximize in ((1.0, True), (-1.0, False)):
        x = matrix()
        optimizer = optimizer_class([x], maximize=maximize)
        rng = np.random.default_rng(1)
        for _ in range(20):
            x.grad = sign * rng.standard_normal((2, 2))
            optimizer.step()
        paths.append(x.data.copy())
    assert np.array_equal(*paths)
    assert not np.array_equal(paths[0], matrix().data)
