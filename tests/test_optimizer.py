"""What all optimizers share: bad input, atomic steps, what a user sees."""

import importlib
import pkgutil
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import optimizers
import pytest
from optimizers import parameter

import optim
from minigrad import Tensor, nn
from optim import SGD, Adam, Muon, Optimizer, Yogi
from optim.loop import all_finite, coordinatewise

OPTIMIZERS = [c for c in optimizers.OPTIMIZERS if c is not Muon]  # whose parameters are matrices


BAD_VALUES: list[tuple[Any, dict[str, Any], str]] = [
    (c, {"lr": lr}, "lr=.*0 or above")
    for c in OPTIMIZERS
    for lr in (-1e-3, float("nan"), float("inf"))
] + [
    (c, options, match)
    for c in (Adam, Yogi)
    for options, match in (
        ({"betas": (1.0, 0.999)}, "β1"),
        ({"betas": (0.9, 1.5)}, "β2"),
        ({"betas": (0.9, -0.1)}, "β2"),
        ({"betas": (0.9, float("nan"))}, "β2"),
        ({"betas": (0.9,)}, "two numbers"),
        ({"betas": (0.9, 0.99, 0.999)}, "two numbers"),
        ({"eps": -1e-8}, "eps=.*0 or above"),
        ({"eps": float("inf")}, "eps=.*finite"),
    )
] + [
    (Yogi, {"initial_accumulator": -1.0}, "initial_accumulator"),
    (Adam, {"nonfinite": "warn"}, "'raise', 'skip', 'ignore'"),
]  # fmt: skip


BAD_TYPES: list[tuple[dict[str, Any], str]] = [
    ({"lr": "0.1"}, "lr='0.1' is of type str: accepted is a finite number, 0 or above"),
    ({"lr": None}, "lr=None is of type NoneType"),
    ({"lr": True}, "lr=True is of type bool"),
    ({"betas": 0.9}, "betas=0.9: accepted are two numbers"),
    ({"betas": {0.9, 0.99}}, "betas=.*accepted are two numbers"),
    ({"betas": ("a", "b")}, "is of type str"),
    ({"eps": "a"}, "eps='a' is of type str"),
]


@pytest.mark.parametrize(("options", "match"), BAD_TYPES)
def test_error_hyperparameter_that_is_no_number(options: dict[str, Any], match: str) -> None:
    with pytest.raises(TypeError, match=match):
        Adam([parameter()], **options)


@pytest.mark.parametrize(
    ("optimizer_class", "options", "match"),
    [
        (Adam, {"eps": 1e-46}, "1e-46, which is 0.0 in float32"),
        (Adam, {"lr": 1e39}, r"1e\+39, which is inf in float32"),
        (Yogi, {"initial_accumulator": 1e300}, "which is inf in float32"),
        (Adam, {"lr": 10**400}, "finite number, 0 or above"),
    ],
)
def test_error_hyperparameter_that_the_parameters_dtype_cannot_hold(
    optimizer_class: Any, options: dict[str, Any], match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        optimizer_class([parameter(np.ones(2, np.float32))], **options)


@pytest.mark.parametrize(("optimizer_class", "options", "match"), BAD_VALUES)
def test_error_hyperparameter_out_of_range(
    optimizer_class: Any, options: dict[str, Any], match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        optimizer_class([parameter()], **options)


@pytest.mark.parametrize(
    ("name", "value"),
    [("lr", -1), ("lr", 1e39), ("betas", (0.9, 1.0)), ("eps", -1), ("nonfinite", "Ignore")],
)
def test_error_hyperparameter_set_out_of_range_later_keeps_the_old_one(
    name: str, value: Any
) -> None:
    optimizer = Adam([parameter(np.ones(2, np.float32))], lr=0.1)
    before = getattr(optimizer, name)
    with pytest.raises(ValueError, match=name):
        setattr(optimizer, name, value)
    assert getattr(optimizer, name) == before


def test_a_learning_rate_can_be_set_between_steps() -> None:
    x = parameter(gradient=[1.0, 1.0])
    optimizer = SGD([x], lr=1.0)
    optimizer.lr *= 0.5
    optimizer.step()
    assert x.data.tolist() == [0.5, 1.5]


BAD_PARAMETERS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: [], ValueError, "empty"),
    (lambda: iter(()), ValueError, "spent generator"),
    (lambda: parameter(), TypeError, r"\[w\]"),
    (lambda: np.ones(3), TypeError, r"\[w\]"),
    (lambda: [parameter(), np.ones(3)], TypeError, "parameter 1 is of type ndarray"),
    (lambda: nn.Linear(2, 1, rng=np.random.default_rng(0)).parameters, TypeError, "parentheses"),
    (lambda: [None], TypeError, "parameter 0 is of type NoneType"),
    (lambda: ["w"], TypeError, "parameter 0 is of type str"),
    (lambda: [Tensor(np.arange(3))], TypeError, "int64: accepted are float32 and float64"),
    (lambda: [Tensor(np.ones(2, np.float16), True)], TypeError, "float16: accepted"),
    (lambda: [Tensor([1.0])], ValueError, "requires_grad=False"),
    (lambda: [parameter() * 2.0], ValueError, "result of an operation"),
    (lambda: [parameter()] * 2, ValueError, "parameter 1 is parameter 0 again"),
]


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
@pytest.mark.parametrize(("make", "error", "match"), BAD_PARAMETERS)
def test_error_parameters(
    optimizer_class: Any, make: Callable[[], Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        optimizer_class(make())


def test_error_parameter_is_named_where_it_has_a_name() -> None:
    net = nn.Sequential(nn.Linear(2, 1, rng=np.random.default_rng(0)))
    optimizer = Adam(net.named_parameters())
    for p in net.parameters():
        p.grad = np.full(p.shape, np.nan)
    with pytest.raises(FloatingPointError, match=r"parameter 0 \('0\.weight'\)"):
        optimizer.step()


# Steps that cannot be made change nothing


def snapshot(optimizer: Any, parameters: list[Tensor]) -> list[Any]:
    slots = optimizer._slots
    return [p.data.tolist() for p in parameters] + [
        (slot.t, [array.tolist() for array in slot.arrays]) for slot in slots
    ]


BAD_GRADIENTS: list[tuple[Any, type[Exception], str]] = [
    (np.ones(3), ValueError, r"parameter 1 has shape \(3,\), the parameter \(2,\)"),
    (np.ones((2, 1)), ValueError, r"has shape \(2, 1\)"),
    (np.ones(1), ValueError, r"has shape \(1,\)"),
    (np.ones(2, np.float32), TypeError, "of type float32, the parameter of float64"),
    (np.ones(2, int), TypeError, "of type int64"),
    ([1.0, 1.0], TypeError, "of type list"),
    (np.array([1.0, np.nan]), FloatingPointError, r"parameter 1 .*holds nan at index \(1,\)"),
    (np.array([-np.inf, 1.0]), FloatingPointError, r"holds -inf at index \(0,\)"),
]


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
@pytest.mark.parametrize(("gradient", "error", "match"), BAD_GRADIENTS)
def test_error_gradient_and_nothing_has_changed(
    optimizer_class: Any, gradient: Any, error: type[Exception], match: str
) -> None:
    parameters = [parameter(gradient=[1.0, 1.0]), parameter(gradient=[1.0, 1.0])]
    optimizer = optimizer_class(parameters)
    optimizer.step()
    before = snapshot(optimizer, parameters)
    parameters[1].grad = gradient
    with pytest.raises(error, match=match):
        optimizer.step()
    assert snapshot(optimizer, parameters) == before


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_error_step_without_any_gradient(optimizer_class: Any) -> None:
    with pytest.raises(RuntimeError, match=r"no gradient in any of 2.*backward"):
        optimizer_class([parameter(), parameter()]).step()


def test_skip_leaves_the_whole_step_out_and_counts_it() -> None:
    parameters = [parameter(gradient=[1.0, 1.0]), parameter(gradient=[1.0, np.inf])]
    optimizer = Adam(parameters, nonfinite="skip")
    before = snapshot(optimizer, parameters)
    optimizer.step()
    assert snapshot(optimizer, parameters) == before
    assert optimizer.skipped == 1
    parameters[1].grad = np.ones(2)
    optimizer.step()
    assert snapshot(optimizer, parameters) != before
    assert optimizer.skipped == 1


def test_ignore_lets_nan_into_the_parameter() -> None:
    x = parameter(gradient=[1.0, np.nan])
    Adam([x], nonfinite="ignore").step()
    assert np.isnan(x.data).tolist() == [False, True]


@pytest.mark.usefixtures("parallel_from_1000")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 17, 33_003])
def test_one_bad_element_is_found_wherever_it_is(size: int, dtype: Any, bad: float) -> None:
    x = np.full(size, np.finfo(dtype).max, dtype)
    assert all_finite(x)
    for place in {0, *np.linspace(0, size - 1, 41, dtype=int).tolist()}:
        x[:] = 1
        x[place] = bad
        assert not all_finite(x)
    assert all_finite(x[:0])


@pytest.mark.usefixtures("parallel_from_1000")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_place_is_left_out_of_the_search(dtype: Any) -> None:
    x = np.ones(33_003, dtype)
    for place in range(x.size):
        x[place] = np.nan
        assert not all_finite(x), place
        x[place] = 1


def test_parameters_of_two_dtypes_each_get_coefficients_of_their_own() -> None:
    alone = [parameter(np.ones(3, dtype), np.full(3, 0.1, dtype)) for dtype in "fd"]
    together = [parameter(np.ones(3, dtype), np.full(3, 0.1, dtype)) for dtype in "fd"]
    optimizer = Adam(together, lr=0.1)
    optimizer.step()
    for a, b in zip(alone, together, strict=True):
        Adam([a], lr=0.1).step()
        assert a.data.dtype == b.data.dtype
        np.testing.assert_array_equal(a.data, b.data)


def test_without_eps_a_zero_gradient_gives_nan_and_no_exception_half_way() -> None:
    x = parameter(gradient=[1.0, 0.0])
    Adam([x], eps=0.0, lr=0.5).step()
    assert x.data[0] == pytest.approx(0.5)
    assert np.isnan(x.data[1])


def test_error_read_only_parameter() -> None:
    x = parameter()
    x.data.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        SGD([x])


# Arrays of every kind


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_parameters_of_any_rank_and_order_are_updated_like_flat_ones(optimizer_class: Any) -> None:
    rng = np.random.default_rng(0)
    values, gradient = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 3, 4))
    flat = parameter(values.ravel(), gradient.ravel())
    shaped = parameter(np.asfortranarray(values), np.asfortranarray(gradient))
    scalar, empty = parameter(1.0, 1.0), parameter(np.zeros((0, 3)), np.zeros((0, 3)))
    for p in (flat, shaped, scalar, empty):
        optimizer_class([p], lr=0.1).step()
    np.testing.assert_array_equal(shaped.data.ravel(), flat.data)
    assert scalar.item() != 1.0


def test_the_array_itself_is_updated_not_a_copy() -> None:
    x = parameter(gradient=[1.0, 1.0])
    array = x.data
    SGD([x], lr=1.0).step()
    assert array.tolist() == [0.0, 1.0]


def test_a_parameter_may_get_a_new_array_of_the_same_kind() -> None:
    x = parameter(gradient=[1.0, 1.0])
    optimizer = SGD([x], lr=1.0)
    x.data = np.array([5.0, 6.0])
    optimizer.step()
    assert x.data.tolist() == [4.0, 5.0]


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.ones(3), "make a new optimizer"),
        (np.ones(2, np.float32), "make a new optimizer"),
        (np.ones(4)[::2], r"p\.data\[\.\.\.\]"),
        (np.broadcast_to(1.0, 2), "read-only"),
    ],
)
def test_error_a_parameter_got_an_array_that_does_not_fit(array: Any, match: str) -> None:
    x = parameter(gradient=[1.0, 1.0])
    optimizer = SGD([x])
    x.data = array
    with pytest.raises(ValueError, match=match):
        optimizer.step()


def test_error_another_kind_of_parameter_holds_no_array() -> None:
    x = SimpleNamespace(data=np.ones(2), grad=np.ones(2))
    optimizer = SGD([x])
    x.data = [1.0, 2.0]
    with pytest.raises(ValueError, match="a list instead of a NumPy array"):
        optimizer.step()


def test_a_scalar_parameter_accumulates_and_takes_numpy_scalars() -> None:
    x = parameter(3.0)
    (x * x).backward()
    (x * x).backward()
    assert type(x.grad) is np.ndarray
    optimizer = SGD([x], lr=0.25)
    optimizer.step()
    assert x.item() == 0.0
    x.grad = np.float64(4.0)
    optimizer.step()
    assert x.item() == -1.0


def test_a_gradient_that_is_a_tensor_is_used_by_value() -> None:
    x = parameter([1.0, 2.0])
    (x * x).sum().backward(create_graph=True)
    SGD([x], lr=0.5).step()
    assert x.data.tolist() == [0.0, 0.0]


# What a user sees


def test_zero_grad_forgets_all_gradients() -> None:
    parameters = [parameter(gradient=[1.0, 1.0]), parameter()]
    Adam(parameters).zero_grad()
    assert [p.grad for p in parameters] == [None, None]


def test_repr_shows_hyperparameters_and_parameters() -> None:
    x = parameter(gradient=[1.0, 1.0])
    optimizer = Yogi([x], lr=0.1)
    optimizer.step()
    assert repr(optimizer) == (
        "Yogi(lr=0.1, betas=(0.9, 0.999), eps=0.001, initial_accumulator=0.0, weight_decay=0.0, "
        "maximize=False, nonfinite='raise')\n"
        "  parameter 0: shape (2,), float64, 1 step"
    )


def test_defaults_are_the_ecosystems() -> None:
    adam, yogi, sgd = Adam([parameter()]), Yogi([parameter()]), SGD([parameter()])
    assert (adam.lr, adam.betas, adam.eps) == (1e-3, (0.9, 0.999), 1e-8)
    assert (yogi.lr, yogi.betas, yogi.eps) == (0.01, (0.9, 0.999), 1e-3)
    assert yogi.initial_accumulator == 0.0
    assert sgd.lr == 1e-3


def test_numpy_and_integer_learning_rates_count_as_the_number_they_are() -> None:
    for lr in (1, np.float64(1.0), np.float32(1.0)):
        x = parameter(gradient=[1.0, 1.0])
        SGD([x], lr=lr).step()
        assert x.data.tolist() == [0.0, 1.0]


def test_a_loop_whose_machine_code_cannot_be_kept_runs_all_the_same() -> None:
    """A loop typed at a prompt has no file, and so no place in Numba's cache."""
    namespace: dict[str, Any] = {}
    exec("def halve(x):\n    for i in range(x.size):\n        x[i] = x[i] / 2", namespace)
    x = np.array([1.0, 4.0])
    coordinatewise(namespace["halve"])(x)
    assert x.tolist() == [0.5, 2.0]


def test_a_parameter_that_got_no_gradient_keeps_its_own_step_count() -> None:
    """Skipped steps must not count: bias correction would be off."""
    x, y = Tensor(0.0, requires_grad=True), Tensor(0.0, requires_grad=True)
    optimizer = Adam([x, y], lr=1.0, eps=0.0)
    for _ in range(3):
        x.grad = np.array(1.0)
        optimizer.step()
        optimizer.zero_grad()
    y.grad = np.array(1.0)
    optimizer.step()
    assert x.item() == pytest.approx(-3.0, rel=1e-12)
    assert y.item() == pytest.approx(-1.0, rel=1e-12)


def test_every_optimizer_is_exported() -> None:
    for found in pkgutil.iter_modules(optim.__path__):
        module = importlib.import_module(f"optim.{found.name}")
        for name, member in vars(module).items():
            if isinstance(member, type) and issubclass(member, Optimizer):
                assert getattr(optim, name) is member
                assert name in optim.__all__
