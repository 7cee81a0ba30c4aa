"""What a pullback keeps, shares and frees."""

import gc
import weakref
from typing import Any

import numpy as np

from minigrad import hvp, jacobian, jvp, vjp
from minigrad.primitive import Primitive

X = np.array([0.3, -1.2, 0.8])
V = np.array([1.0, 0.25, -2.0])


def test_a_pullback_may_be_called_again_and_is_linear() -> None:
    value, pullback = vjp(lambda x, y: (x * y, y[0]), X, V)
    first = pullback((V, 2.0))
    again = pullback((V, 2.0))
    twice = pullback((2 * V, 4.0))
    for a, b, c in zip(first, again, twice, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(2 * a, c)
    np.testing.assert_array_equal(value[0], X * V)
    np.testing.assert_array_equal(first[0], V * V)
    np.testing.assert_array_equal(first[1], X * V + [2.0, 0.0, 0.0])


def test_changing_what_went_in_or_came_out_leaves_the_pullback_right() -> None:
    x = X.copy()
    value, pullback = vjp(np.exp, x)
    expected = value * V
    value[:] = 0.0
    x[:] = 0.0
    (first,) = pullback(V)
    np.testing.assert_array_equal(first, expected)
    first[:] = 0.0
    np.testing.assert_array_equal(pullback(V)[0], expected)


def test_the_gradient_of_an_identity_is_no_alias_of_the_cotangent() -> None:
    u = V.copy()
    x_bar, y_bar = vjp(lambda x, y: x + y, X, X)[1](u)
    x_bar[:] = 0.0
    np.testing.assert_array_equal(u, V)
    np.testing.assert_array_equal(y_bar, V)


def test_outputs_with_a_common_trunk_share_one_walk() -> None:
    visits = []

    def vjp_of_trunk(g: Any, z: Any, x: Any) -> Any:
        visits.append(g)
        return g * 1.0

    trunk = Primitive(lambda x: x * 1.0, vjp_of_trunk, name="trunk")

    def f(x: Any) -> Any:
        h = trunk(x)
        return [h, h * 2.0, h * 3.0]

    assert float(vjp(f, 1.0)[1]([1.0, 1.0, 1.0])[0]) == 6.0
    assert len(visits) == 1


def test_an_output_that_is_infinite_does_not_disturb_the_others() -> None:
    """Taken as the gradient of Σ ⟨u, f(x)⟩, a pullback would meet 0 · ∞ here."""
    _, pullback = vjp(lambda x: (x + np.inf, x * 3.0), 2.0)
    assert float(pullback((0.0, 1.0))[0]) == 3.0


def test_dropping_the_pullback_frees_the_graph_without_the_collector() -> None:
    seen = []

    def f(x: Any) -> Any:
        h = np.exp(x)
        seen.append(weakref.ref(h))
        return h * h

    gc.disable()
    try:
        _, pullback = vjp(f, X)
        assert seen[0]() is not None
        del pullback
        assert seen[0]() is None
        jvp(f, X, V)
        jacobian(f)(X)
        hvp(lambda x: f(x).sum(), X, V)
        assert [reference() for reference in seen] == [None] * 4
    finally:
        gc.enable()
