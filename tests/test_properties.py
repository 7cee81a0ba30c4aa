"""Properties that hold for any input, searched by Hypothesis."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad import Tensor
from minigrad.primitive import unbroadcast
from optim import Adam, Yogi
from optim.loop import all_finite

NUMBERS = st.floats(-100, 100, width=32)


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3), st.data())
def test_unbroadcast_is_the_transpose_of_broadcasting(shapes: Any, data: st.DataObject) -> None:
    """⟨broadcast(x), g⟩ = ⟨x, unbroadcast(g)⟩, exactly: small integers have no rounding."""
    small, large = shapes.input_shapes[0], shapes.result_shape
    whole = st.integers(-8, 8).map(float)
    x = data.draw(hnp.arrays(float, small, elements=whole))
    g = data.draw(hnp.arrays(float, large, elements=whole))
    back = unbroadcast(g, small)
    assert back.shape == small
    assert np.sum(np.broadcast_to(x, large) * g) == np.sum(x * back)


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), st.data())
def test_the_gradient_of_a_sum_is_the_sum_of_the_gradients(
    shapes: Any, data: st.DataObject
) -> None:
    values = [data.draw(hnp.arrays(float, s, elements=NUMBERS)) for s in shapes.input_shapes]

    def gradients(*terms: Any) -> list[Any]:
        leaves = [Tensor(value, requires_grad=True) for value in values]
        for term in terms:
            term(*leaves).sum().backward()
        return [leaf.grad for leaf in leaves]

    separate = gradients(lambda x, y: x * y, lambda x, y: np.tanh(x + y))
    together = gradients(lambda x, y: x * y + np.tanh(x + y))
    for a, b in zip(separate, together, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@given(hnp.arrays(float, hnp.array_shapes(max_dims=3, max_side=4), elements=NUMBERS), st.data())
def test_indexing_and_its_gradient_agree_with_numpy(x: Any, data: st.DataObject) -> None:
    index: Any = data.draw(hnp.basic_indices(x.shape) | hnp.integer_array_indices(x.shape))
    t = Tensor(x, requires_grad=True)
    part = t[index]
    np.testing.assert_array_equal(part.data, x[index])
    part.sum().backward()
    times = np.zeros_like(x)
    np.add.at(times, index, 1.0)
    np.testing.assert_array_equal(t.grad, times)


@given(hnp.arrays(st.sampled_from([np.float32, np.float64]), st.integers(0, 40)))
def test_all_finite_is_numpys_isfinite(x: Any) -> None:
    assert all_finite(x) == bool(np.isfinite(x).all())


@given(
    st.sampled_from([Adam, Yogi]),
    hnp.arrays(float, (5, 3), elements=NUMBERS),
    st.integers(-10, 10),
)
def test_adaptive_steps_do_not_depend_on_the_gradients_scale(
    optimizer_class: Any, g: Any, exponent: int
) -> None:
    """With ε = 0, a power of two changes no bit, as long as nothing under- or overflows."""
    g = np.where(np.abs(g) < 1e-3, 1.0, g)

    def run(gradients: Any) -> Any:
        x = Tensor(np.zeros(3), requires_grad=True)
        optimizer = optimizer_class([x], lr=0.1, eps=0.0)
        for row in gradients:
            x.grad = row.copy()
            optimizer.step()
        return x.data

    np.testing.assert_array_equal(run(g), run(g * 2.0**exponent))
