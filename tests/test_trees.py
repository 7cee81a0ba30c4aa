"""Nested structures: leaves out and in again, and the transforms over them."""

from collections import OrderedDict, defaultdict
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad import Tensor, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from minigrad.trees import leaves, paired_leaves, with_leaves


class Affine(NamedTuple):
    weight: Any
    bias: Any


def trees(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaf | st.none(),
        lambda entry: (
            st.lists(entry, max_size=3)
            | st.lists(entry, max_size=3).map(tuple)
            | st.dictionaries(st.text(max_size=2) | st.integers(), entry, max_size=3)
            | st.builds(Affine, entry, entry)
        ),
        max_leaves=6,
    )


ARRAYS = hnp.arrays(float, hnp.array_shapes(min_dims=0, max_dims=2, max_side=3, min_side=0),
                    elements=st.floats(-2, 2, width=16))  # fmt: skip
NESTED = {
    "first": Affine(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, -0.5])),
    "rest": [(np.array(2.0), None), {}, 0.25],
}
NESTED_PATHS = ["['first'].weight", "['first'].bias", "['rest'][0][0]", "['rest'][2]"]


def assert_trees_equal(actual: Any, expected: Any, rtol: float = 0.0) -> None:
    for path, x, _, y in paired_leaves(actual, expected, "actual", "expected"):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=0.0, err_msg=path)


def loss(tree: Any) -> Any:
    """A number that depends on every leaf, on each in another way, and couples them."""
    s: Any = 0.0
    for i, (_, x) in enumerate(leaves(tree)):
        s = s + (np.tanh(x) * x * (i + 1.0)).sum() + (x * 0.1 * i).sum()
    return np.tanh(s / 10.0) + s * s


# The structures themselves


@given(trees(st.integers()))
def test_taking_out_the_leaves_and_putting_them_back_changes_nothing(tree: Any) -> None:
    rebuilt = with_leaves(tree, [x for _, x in leaves(tree)])
    assert rebuilt == tree
    assert type(rebuilt) is type(tree)


@given(trees(st.integers()))
def test_new_leaves_stand_where_their_paths_say(tree: Any) -> None:
    paths = [path for path, _ in leaves(tree, "tree")]
    assert len(set(paths)) == len(paths)
    numbered = with_leaves(tree, range(len(paths)))
    for i, path in enumerate(paths):
        assert eval(path, {"tree": numbered}) == i


@given(trees(st.integers()))
def test_the_original_is_not_touched(tree: Any) -> None:
    before = repr(tree)
    with_leaves(tree, ["new"] * len(list(leaves(tree))))
    assert repr(tree) == before


def test_leaves_are_named_as_in_python() -> None:
    assert [path for path, _ in leaves(NESTED)] == NESTED_PATHS


def test_subclasses_of_dict_stay_what_they_are() -> None:
    ordered = with_leaves(OrderedDict(b=1, a=2), [10, 20])
    assert type(ordered) is OrderedDict
    assert list(ordered.items()) == [("b", 10), ("a", 20)]
    assert with_leaves(defaultdict(list, a=1), [10])["new"] == []


def test_dicts_are_paired_by_key() -> None:
    pairs = list(paired_leaves({"a": 1, "b": 2}, {"b": 20, "a": 10}, "x", "y"))
    assert pairs == [("x['a']", 1, "y['a']", 10), ("x['b']", 2, "y['b']", 20)]


@pytest.mark.parametrize(
    ("tree", "other", "message"),
    [
        ([1, [2]], [1, 2], r"y\[1\] is a leaf \(int\), but x\[1\] is a list of length 1"),
        ([1, 2], [1], r"y is a list of length 1, but x is a list of length 2"),
        ([1, 2], (1, 2), r"y is a tuple of length 2, but x is a list of length 2"),
        (Affine(1, 2), (1, 2), r"y is a tuple .*, but x is a Affine of length 2"),
        ({"a": {"b": 1}}, {"a": {"c": 1}}, r"y\['a'\] is a dict with keys \['c'\], but x\['a'\]"),
        ({"a": 1}, {"a": None}, r"y\['a'\] is None, but x\['a'\] is a leaf"),
        ([None], [[]], r"y\[0\] is a list of length 0, but x\[0\] is None"),
        ({}, [], r"y is a list of length 0, but x is a dict with keys \[\]"),
    ],
)
def test_error_structures_that_differ(tree: Any, other: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(paired_leaves(tree, other, "x", "y"))


# The transforms over them


@given(trees(ARRAYS))
def test_the_gradient_over_a_structure_is_that_of_its_leaves_one_by_one(tree: Any) -> None:
    gradient = grad(loss)(tree)
    values = [x for _, x in leaves(tree)]
    for i, (_, x, _, g) in enumerate(paired_leaves(tree, gradient, "tree", "gradient")):

        def of_leaf(new: Any, i: int = i) -> Any:
            return loss(with_leaves(tree, [*values[:i], new, *values[i + 1 :]]))

        assert type(g) is np.ndarray
        np.testing.assert_allclose(g, grad(of_leaf)(x), rtol=1e-13, atol=1e-14)


@given(trees(ARRAYS))
def test_forward_and_reverse_agree_over_any_structure(tree: Any) -> None:
    """⟨∇f, v⟩ = J v, and ⟨v, H v⟩ the same from hvp and from the derivative of J v."""
    values = [x for _, x in leaves(tree)]
    tangents = with_leaves(tree, [np.cos(x + 1.0) for x in values])

    def dot(a: Any, b: Any) -> float:
        return float(sum(np.vdot(x, y) for _, x, _, y in paired_leaves(a, b, "a", "b")))

    value, slope = jvp(loss, (tree,), (tangents,))
    np.testing.assert_array_equal(value, value_and_grad(loss)(tree)[0])
    np.testing.assert_allclose(slope, dot(grad(loss)(tree), tangents), rtol=1e-11, atol=1e-12)
    (product,) = hvp(loss, (tree,), (tangents,))
    twice = jvp(lambda x: jvp(loss, (x,), (tangents,))[1], (tree,), (tangents,))[1]
    np.testing.assert_allclose(dot(product, tangents), twice, rtol=1e-11, atol=1e-11)


def test_a_gradient_has_the_structure_and_dtypes_of_its_argument() -> None:
    tree = {"b": Affine([np.ones(2, np.float32)], Tensor(2.0)), "a": (0.5, None, np.float64(1))}
    gradient = grad(loss)(tree)
    assert list(gradient) == ["b", "a"]
    assert type(gradient["b"]) is Affine
    assert gradient["b"].weight[0].dtype == np.float32
    assert gradient["a"][1] is None
    for _, x, _, g in paired_leaves(tree, gradient, "tree", "gradient"):
        assert type(g) is np.ndarray
        assert g.shape == np.shape(x)


def test_one_array_in_two_places_is_two_variables() -> None:
    x = np.array(3.0)
    gradient = grad(lambda p: p["a"] * p["b"] ** 2)({"a": x, "b": x})
    assert (gradient["a"], gradient["b"]) == (9.0, 18.0)


def test_argnums_of_nested_arguments() -> None:
    def f(p: Any, x: Any, q: Any) -> Any:
        return (p["w"] * x).sum() * q[0]

    p, x, q = {"w": np.array([1.0, 2.0])}, np.array([3.0, 4.0]), [2.0]
    by_q, by_p = grad(f, argnums=(-1, 0))(p, x, q)
    assert_trees_equal(by_q, [11.0])
    assert_trees_equal(by_p, {"w": np.array([6.0, 8.0])})
    (only,) = grad(f, argnums=[2])(p, x, q)
    assert_trees_equal(only, [11.0])


def test_what_is_not_differentiated_is_handed_over_as_it_is() -> None:
    options = {"power": 3, "name": "cube"}

    def f(x: Any, given: Any) -> Any:
        assert given is options
        return x ** given["power"]

    assert float(grad(f)(2.0, options)) == 12.0


def test_a_function_may_take_its_structure_apart() -> None:
    parameters: dict[str, Any] = {"w": 2.0, "layers": [3.0]}

    def f(p: Any) -> Any:
        layer = p["layers"].pop()
        return p.pop("w") * layer

    _, pullback = vjp(f, parameters)
    parameters["layers"].append(1.0)
    assert_trees_equal(pullback(1.0)[0], {"w": 3.0, "layers": [2.0]})
    parameters["layers"].pop()
    assert_trees_equal(grad(f)(parameters), {"w": 3.0, "layers": [2.0]})
    assert parameters == {"w": 2.0, "layers": [3.0]}


def test_jacobian_has_the_results_structure_of_the_arguments_structure() -> None:
    def f(p: Any) -> Any:
        return {"y": p["w"] * p["b"], "z": [p["b"] ** 2, None]}

    w = np.array([1.0, 2.0])
    expected = {
        "y": {"w": 3 * np.eye(2), "b": w},
        "z": [{"w": np.zeros(2), "b": np.array(6.0)}, None],
    }
    assert_trees_equal(jacobian(f)({"w": w, "b": 3.0}), expected)
    by_p, by_x = jacobian(lambda p, x: [p["w"] * x], argnums=(0, 1))({"w": w}, 3.0)[0]
    assert_trees_equal(by_p, {"w": 3 * np.eye(2)})
    np.testing.assert_array_equal(by_x, w)


def test_hessian_over_a_structure_has_a_block_for_every_pair_of_leaves() -> None:
    w = np.array([1.0, 2.0])
    blocks = hessian(lambda p: (p["w"] ** 2).sum() * p["b"])({"w": w, "b": 3.0})
    expected = {
        "w": {"w": 6 * np.eye(2), "b": 2 * w},
        "b": {"w": 2 * w, "b": np.array(0.0)},
    }
    assert_trees_equal(blocks, expected)


def test_hvp_over_a_structure() -> None:
    p: dict[str, Any] = {"w": np.array([1.0, 2.0]), "b": 3.0}
    v: dict[str, Any] = {"b": 1.0, "w": np.array([1.0, -1.0])}  # another order of keys
    product = hvp(lambda p: (p["w"] ** 2).sum() * p["b"], p, v)
    assert list(product) == ["w", "b"]
    assert_trees_equal(product, {"w": 6 * v["w"] + 2 * p["w"], "b": -2.0})


def test_a_namedtuple_is_one_argument_and_not_several() -> None:
    x, v = Affine(2.0, 3.0), Affine(1.0, 10.0)
    value, tangent = jvp(lambda p: p.weight * p.bias, x, v)
    assert (value, tangent) == (6.0, 23.0)
    product = hvp(lambda p: p.weight * p.bias, x, v)
    assert product == Affine(10.0, 1.0)


def test_transforms_over_structures_nest() -> None:
    def inner(p: Any) -> Any:
        slopes = grad(lambda q: q["a"] ** 2 * q["b"][0])(p)
        return slopes["a"] * slopes["b"][0]  # 2ab · a²

    gradient = grad(inner)({"a": 2.0, "b": [3.0]})
    assert_trees_equal(gradient, {"a": 6 * 4.0 * 3.0, "b": [2 * 8.0]})


def test_leaves_that_are_tensors_in_a_graph_keep_the_results_in_it() -> None:
    w = Tensor(2.0, requires_grad=True)
    gradient = grad(lambda p: p["w"] ** 3 * p["c"])({"w": w, "c": 5.0})
    assert isinstance(gradient["c"], Tensor)
    gradient["w"].backward()
    assert w.grad == 60.0


def test_an_empty_structure_has_an_empty_gradient() -> None:
    structures: list[Any] = [None, {}, [], ((), {"a": None})]
    for empty in structures:
        value, gradient = value_and_grad(lambda p: 3.0)(empty)
        assert (value, gradient) == (3.0, empty)
        assert vjp(lambda p: Tensor(3.0), empty)[1](1.0) == (empty,)
    value, pullback = vjp(lambda x: {}, 2.0)
    assert value == {}
    assert pullback({})[0] == 0.0
    assert jvp(lambda x: [None], 2.0, 1.0) == ([None], [None])
    assert jacobian(lambda x: {})(2.0) == {}


# Errors


@pytest.mark.parametrize("transform", [grad, jacobian, hessian])
def test_error_names_the_path_of_a_leaf_without_a_derivative(transform: Any) -> None:
    parameters = {"layers": [{"b": 1.0}, {"b": np.arange(3)}]}
    with pytest.raises(TypeError, match=r"argument 1\['layers'\]\[1\]\['b'\] is an integer array"):
        transform(lambda x, p: x, argnums=(0, 1))(1.0, parameters)
    with pytest.raises(TypeError, match=r"argument 0\.weight is a str"):
        transform(lambda p: p.bias)(Affine("w", 1.0))


def test_error_tangents_and_cotangents_name_path_shapes_and_dtypes() -> None:
    p = {"w": np.ones(2), "b": [1.0]}
    with pytest.raises(
        ValueError,
        match=r"tangents\['w'\] has shape \(3,\) and dtype float64, but primals\['w'\] has shape "
        r"\(2,\) and dtype float64",
    ):
        jvp(loss, p, {"w": np.ones(3), "b": [1.0]})
    with pytest.raises(TypeError, match=r"tangents\[0\]\['b'\]\[0\] is an integer number"):
        hvp(loss, (p,), ({"w": np.ones(2), "b": [np.int64(1)]},))
    with pytest.raises(ValueError, match=r"tangents\['b'\] is a leaf .*primals\['b'\] is a list"):
        jvp(loss, p, {"w": np.ones(2), "b": 1.0})
    with pytest.raises(TypeError, match=r"primals\['n'\] is an integer number"):
        jvp(loss, {"n": 1}, {"n": 1.0})
    _, pullback = vjp(lambda p: {"y": [p["w"]]}, p)
    with pytest.raises(
        TypeError,
        match=r"the cotangent\['y'\]\[0\] has shape \(2,\) and dtype float32, but the result of "
        r"<lambda>\['y'\]\[0\] has shape \(2,\) and dtype float64",
    ):
        pullback({"y": [np.ones(2, np.float32)]})


def test_python_numbers_take_the_dtype_of_their_place() -> None:
    x = np.array(2.0, np.float32)
    _, tangent = jvp(lambda x: x * x, x, 1)
    assert (tangent, tangent.dtype) == (4.0, np.float32)
    assert vjp(lambda x: x * x, x)[1](1.0)[0].dtype == np.float32
    with pytest.raises(TypeError, match=r"float64, but primals .* float32"):  # NumPy's have one
        jvp(lambda x: x * x, x, np.float64(1.0))
