"""The loops' own exp, log and tanh are NumPy's, to a few units in the last place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from minigrad.tracing.functions_of_numbers import OF_ANY_TYPE, SIZED, function_texts, sized_name

UNITS = {"exp": 1.5, "expm1": 2, "tanh": 3, "log": 1, "log1p": 2}
TYPES = [np.float64, np.float32]
SPECIAL = [0, 1, -1, -2, 0.5, 1000, -1000, np.inf, -np.inf, np.nan]


def functions(dtype: Any, njit: Any = None) -> dict[str, Any]:
    """Return the functions of a type by name: Python's, or compiled ones."""

    def as_it_stands(**_: Any) -> Callable[[Any], Any]:
        return lambda function: function

    space: dict[str, Any] = {"np": np, "njit": njit or as_it_stands}
    exec(function_texts((name, dtype) for name in (*SIZED, *OF_ANY_TYPE)), space)
    return {name: space[sized_name(name, dtype)] for name in (*SIZED, *OF_ANY_TYPE)}


def numbers(name: str, dtype: Any, count: int) -> npt.NDArray[Any]:
    """Numbers small, of all sizes and near 1, where the function is defined."""
    rng = np.random.default_rng(0)
    span = 700 if dtype == np.float64 else 87
    found = np.concatenate([
        rng.uniform(-span, span, count),
        rng.normal(size=count),
        rng.normal(size=count) * 10.0 ** rng.uniform(-20, 0, count),
        1 + rng.normal(size=count) * 10.0 ** rng.uniform(-8, 0, count),
        np.exp(rng.uniform(-span, span, count)) * (1 if name.startswith("log") else 1e-2),
    ]).astype(dtype)  # fmt: skip
    if name == "log":
        return np.abs(found)
    return found[found > -1] if name == "log1p" else found


def assert_near(name: str, found: Any, x: npt.NDArray[Any]) -> None:
    with np.errstate(all="ignore"):
        exact = getattr(np, name)(x.astype(np.longdouble))
        wanted = exact.astype(x.dtype)
        finite = np.isfinite(wanted)
        unit = np.spacing(np.abs(wanted[finite])).astype(np.longdouble)
        error = np.abs(found[finite].astype(np.longdouble) - exact[finite]) / unit
    assert error.max() < UNITS[name], x[finite][error.argmax()]
    np.testing.assert_array_equal(found[~finite], wanted[~finite])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", UNITS)
def test_errors_are_a_few_units_in_the_last_place(name: str, dtype: Any) -> None:
    function, x = functions(dtype)[name], numbers(name, dtype, 200)
    with np.errstate(all="ignore"):
        found = np.array([function(value) for value in x])
    assert found.dtype == dtype  # a float32 is not made a float64 on the way
    assert_near(name, found, x)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", UNITS)
def test_errors_are_as_small_where_many_numbers_are_computed_at_once(name: str, dtype: Any) -> None:
    from numba import njit

    function = functions(dtype, njit)[name]

    @njit(fastmath={"contract", "reassoc"}, error_model="numpy")  # type: ignore[untyped-decorator]
    def loop(x: Any, z: Any) -> None:
        for i in range(x.size):
            z[i] = function(x[i])

    x = numbers(name, dtype, 200_000)
    found = np.empty_like(x)
    loop(x, found)
    assert_near(name, found, x)
    special = np.array([*SPECIAL, np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal], dtype)
    found = np.empty_like(special)
    loop(special, found)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(found, getattr(np, name)(special), rtol=1e-6)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", [*UNITS, "sign", "square"])
def test_infinities_and_nan_and_overflow_are_as_numpys(name: str, dtype: Any) -> None:
    function, x = functions(dtype)[name], np.array(SPECIAL, dtype)
    with np.errstate(all="ignore"):
        found = np.array([function(value) for value in x])
        np.testing.assert_allclose(found, getattr(np, name)(x), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", TYPES)
def test_results_below_the_least_normal_number_are_not_lost(dtype: Any) -> None:
    exp, least = functions(dtype)["exp"], float(np.finfo(dtype).smallest_subnormal)
    for x in np.linspace(np.log(np.finfo(dtype).tiny), np.log(least), 20).astype(dtype):
        assert abs(float(exp(x)) - float(np.exp(np.longdouble(x)))) <= least


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ["maximum", "minimum", "logaddexp"])
def test_functions_of_two_numbers_are_as_numpys(name: str, dtype: Any) -> None:
    function = functions(dtype)[name]
    values = np.array([*SPECIAL, 1e-3, -30, 30], dtype)
    for x in values:
        for y in values:
            with np.errstate(all="ignore"):
                wanted, found = getattr(np, name)(x, y), function(x, y)
            np.testing.assert_allclose(found, wanted, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", TYPES)
def test_tanh_is_odd_and_never_above_one(dtype: Any) -> None:
    tanh = functions(dtype)["tanh"]
    for x in np.geomspace(1e-30, 1e4, 100).astype(dtype):
        assert tanh(-x) == -tanh(x)
        assert 0 < tanh(x) <= 1
