"""What a module is made of, and what its state does."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, mse_loss, nn, no_grad


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


class Model(nn.Module):
    """One of everything that can stand in an attribute, and no super().__init__()."""

    def __init__(self) -> None:
        self.scale = Tensor(1.0, requires_grad=True)
        self.offset = Tensor([1.0, 2.0])
        self.table = np.arange(4.0)
        self.blocks = [nn.Linear(2, 2, rng=rng()), {"inner": (nn.Linear(2, 1, rng=rng()),)}]
        self.again = self.scale

    def forward(self, x: Any) -> Any:
        return x


class Branch(nn.Module):
    """Other modules, and nothing else."""

    def __init__(self, **children: Any) -> None:
        for name, child in children.items():
            setattr(self, name, child)

    def forward(self, x: Any) -> Any:
        return x


PARAMETERS = [
    "scale", "blocks.0.weight", "blocks.0.bias", "blocks.1.inner.0.weight",
    "blocks.1.inner.0.bias",
]  # fmt: skip


def test_parameters_are_found_once_in_order_of_definition_wherever_they_are() -> None:
    model = Model()
    assert [name for name, _ in model.named_parameters()] == PARAMETERS
    assert model.parameters() == [parameter for _, parameter in model.named_parameters()]


def test_the_state_is_parameters_and_buffers_but_no_plain_array() -> None:
    state = Model().state_dict()
    assert list(state) == ["scale", "offset", *PARAMETERS[1:]]
    np.testing.assert_array_equal(state["offset"], [1.0, 2.0])


def test_a_frozen_parameter_stays_in_the_state() -> None:
    layer = nn.Linear(2, 1, rng=rng())
    layer.weight.requires_grad = False
    assert [name for name, _ in layer.named_parameters()] == ["bias"]
    assert list(layer.state_dict()) == ["weight", "bias"]


def test_an_activation_kept_as_attribute_is_no_state() -> None:
    layer = nn.Linear(2, 1, rng=rng())
    layer.last = layer(np.ones((1, 2)))  # type: ignore[attr-defined]
    with no_grad():
        layer.look = layer(np.ones((1, 2))).data  # type: ignore[attr-defined]
    assert len(layer.parameters()) == 2
    assert list(layer.state_dict()) == ["weight", "bias"]


def test_children_are_all_places_and_modules_each_module_once() -> None:
    relu = nn.ReLU()
    net = nn.Sequential(relu, nn.Sequential(relu), relu)
    assert [name for name, _ in net.named_children()] == ["0", "1", "2"]
    assert net.children() == [relu, net[1], relu]
    assert [name for name, _ in net.named_modules()] == ["", "0", "1"]


def test_a_module_that_knows_its_parent_ends_no_walk_in_a_circle() -> None:
    child: Any = Branch(layer=nn.Linear(2, 2, rng=rng()))
    parent = Branch(child=child)
    child.parent = parent
    assert [name for name, _ in parent.named_parameters()] == [
        "child.layer.weight", "child.layer.bias",
    ]  # fmt: skip
    assert [name for name, _ in parent.named_modules()] == ["", "child", "child.layer"]
    assert "parent: Branch" in repr(parent)
    assert not parent.eval().child.layer.training  # type: ignore[attr-defined]


def test_a_container_that_holds_itself_ends_no_walk_in_a_circle() -> None:
    layers: list[Any] = [nn.ReLU()]
    table: dict[str, Any] = {"layers": layers, "w": Tensor(1.0)}
    layers.append(table)
    model = Branch(layers=layers, table=table)
    assert list(model.state_dict()) == ["layers.1.w"]
    assert [name for name, _ in model.named_children()] == ["layers.0", "table.layers.0"]
    assert "layers.0: ReLU()" in repr(model)


def test_a_dataclass_may_be_a_module() -> None:
    @dataclass
    class Pair(nn.Module):
        left: Any
        right: Any

        def forward(self, x: Any) -> Any:
            return self.left(x) + self.right(x)

    pair = Pair(nn.Linear(2, 1, rng=rng()), nn.Linear(2, 1, rng=rng()))
    assert len(pair.eval().parameters()) == 4
    assert pair(np.ones((3, 2))).shape == (3, 1)


def test_train_and_eval_reach_every_module_and_return_the_module() -> None:
    net = Branch(blocks=[nn.Sequential(nn.ReLU()), {"a": nn.Tanh()}])
    assert all(module.training for _, module in net.named_modules())
    assert net.eval() is net
    assert not any(module.training for _, module in net.named_modules())
    assert net.train() is net
    assert all(module.training for _, module in net.named_modules())
    assert Branch().training  # the class itself is as it was


def test_zero_grad_forgets_every_gradient() -> None:
    net = nn.Sequential(nn.Linear(2, 1, rng=rng()))
    mse_loss(net(np.ones((3, 2))), np.zeros((3, 1))).backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    net.zero_grad()
    assert all(parameter.grad is None for parameter in net.parameters())


def test_forward_may_take_several_inputs_and_options() -> None:
    class Difference(nn.Module):
        def forward(self, x: Any, y: Any, *, negated: bool = False) -> Any:
            return y - x if negated else x - y

    assert Difference()(5.0, 3.0, negated=True) == -2.0


# State out, state in


def test_the_state_is_a_copy_in_both_directions() -> None:
    net, twin = nn.Linear(3, 2, rng=rng()), nn.Linear(3, 2, rng=np.random.default_rng(1))
    before = net.weight.data.copy()
    state = net.state_dict()
    state["weight"][...] = 7.0
    np.testing.assert_array_equal(net.weight.data, before)
    twin.load_state_dict(state)
    state["weight"][...] = 8.0
    np.testing.assert_array_equal(twin.weight.data, 7.0)


def test_loading_gives_each_parameter_a_new_c_ordered_array() -> None:
    net = nn.Linear(3, 2, rng=rng())
    tensor, array = net.weight, net.weight.data
    net.load_state_dict({"weight": np.ones((2, 3)).T, "bias": [1.0, 2.0]})
    assert net.weight is tensor
    assert net.weight.data is not array
    assert net.weight.data.flags.c_contiguous
    assert net.weight.data.flags.owndata


def test_a_state_may_hold_tensors() -> None:
    net, twin = nn.Linear(3, 2, rng=rng()), nn.Linear(3, 2, rng=np.random.default_rng(1))
    twin.load_state_dict(dict(net.named_parameters()))
    np.testing.assert_array_equal(net.weight.data, twin.weight.data)
    assert net.weight.data is not twin.weight.data


def test_a_state_may_have_its_bytes_in_another_order() -> None:
    layer = nn.Linear(2, 1, rng=rng())
    state = nn.Linear(2, 1, rng=np.random.default_rng(1)).state_dict()
    swapped = {name: x.astype(x.dtype.newbyteorder("S")) for name, x in state.items()}
    layer.load_state_dict(swapped)
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
        assert array.dtype.isnative


def test_a_round_trip_keeps_every_bit_of_parameters_and_buffers() -> None:
    model, other = Model(), Model()
    model.scale.data = np.array(np.nan)
    model.offset.data = np.array([-0.0, np.inf])
    other.load_state_dict(model.state_dict())
    for name, array in model.state_dict().items():
        assert other.state_dict()[name].tobytes() == array.tobytes(), name


def test_a_shared_parameter_is_in_the_state_once() -> None:
    layer = nn.Linear(2, 2, rng=rng())
    net = nn.Sequential(layer, nn.Tanh(), layer)
    assert list(net.state_dict()) == ["0.weight", "0.bias"]
    net.load_state_dict({"0.weight": np.eye(2), "0.bias": np.zeros(2)})
    assert net[2] is layer
    np.testing.assert_array_equal(layer.weight.data, np.eye(2))


def test_a_copied_model_has_a_state_of_its_own() -> None:
    net = nn.Sequential(nn.Linear(2, 1, rng=rng())).eval()
    twin = copy.deepcopy(net)
    twin.parameters()[0].data += 1.0
    assert not twin[0].training
    assert not np.any(net.state_dict()["0.weight"] == twin.state_dict()["0.weight"])


def test_error_a_state_that_does_not_fit_names_all_entries_and_changes_nothing() -> None:
    net = nn.Sequential(nn.Linear(3, 2, rng=rng()), nn.Linear(2, 1, rng=rng()))
    before = net.state_dict()
    state = {
        "0.weight": np.zeros((2, 3)),
        "0.bias": np.zeros(2, np.float32),
        "1.bias": np.zeros(1),
        "head": np.zeros((2, 2)),
    }
    with pytest.raises(ValueError, match="does not fit Sequential; nothing was changed") as error:
        net.load_state_dict(state)
    for part in (
        "missing: 1.weight, shape (2, 1), float64",
        "unknown: head, shape (2, 2), float64",
        "0.weight: shape (2, 3) where (3, 2) is needed",
        "0.bias: float32 where float64 is needed",
    ):
        assert part in str(error.value)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("value", ["text", None, {"a": 1}, np.ones(2, np.int64)])
def test_error_a_state_of_something_else(value: Any) -> None:
    with pytest.raises(ValueError, match="bias: "):
        nn.Linear(1, 2, rng=rng()).load_state_dict({"weight": np.zeros((1, 2)), "bias": value})


def test_error_a_state_that_is_no_dict() -> None:
    with pytest.raises(TypeError, match=r"a dict from name to array, .* got a list"):
        nn.Linear(1, 2, rng=rng()).load_state_dict([1])  # type: ignore[arg-type]


def test_error_two_tensors_of_one_name() -> None:
    model = Branch(table={1: Tensor(1.0), "1": Tensor(2.0)})
    with pytest.raises(ValueError, match=r"two tensors of Branch\(\) have the name 'table\.1'"):
        model.state_dict()


# The tree


def test_the_tree_of_a_single_layer_is_a_line() -> None:
    assert repr(nn.Linear(5, 32, rng=rng())) == "Linear(5, 32): 192 parameters"
    assert repr(nn.Linear(1, 1, bias=False, rng=rng())) == ("Linear(1, 1, bias=False): 1 parameter")
    assert repr(nn.Tanh()) == "Tanh()"


def test_the_tree_aligns_the_numbers_of_parameters() -> None:
    block = Branch(layers=[nn.Linear(100, 20, rng=rng()), nn.ReLU()], last=nn.Tanh())
    net = nn.Sequential(block, nn.Linear(20, 1, rng=rng()))
    assert repr(net).splitlines() == [
        "Sequential                        2,041 parameters",
        "├─ 0: Branch                      2,020",
        "│  ├─ layers.0: Linear(100, 20)   2,020",
        "│  ├─ layers.1: ReLU()",
        "│  └─ last: Tanh()",
        "└─ 1: Linear(20, 1)                  21",
    ]


def test_the_tree_counts_a_shared_parameter_once_in_the_total() -> None:
    layer = nn.Linear(2, 2, rng=rng())
    assert repr(nn.Sequential(layer, layer)).splitlines() == [
        "Sequential           6 parameters",
        "├─ 0: Linear(2, 2)   6",
        "└─ 1: Linear(2, 2)   6",
    ]


# Lists of modules


def test_sequential_indexes_counts_and_iterates() -> None:
    net = nn.Sequential(nn.Linear(2, 3, rng=rng()), nn.Sequential(nn.Tanh()))
    assert len(net) == 2
    assert isinstance(net[1], nn.Sequential)
    assert list(net) == [net[0], net[1]]


def test_a_sequential_with_parameters_of_its_own_has_both() -> None:
    class Scaled(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Linear(2, 1, rng=rng()))
            self.scale = Tensor(3.0, requires_grad=True)

        def forward(self, x: Any) -> Any:
            return super().forward(x) * self.scale

    assert [name for name, _ in Scaled().named_parameters()] == ["0.weight", "0.bias", "scale"]


def test_a_module_list_is_found_like_a_list() -> None:
    layers = [nn.Linear(2, 1, rng=rng()), nn.Linear(2, 1, rng=rng())]
    listed, plain = Branch(blocks=nn.ModuleList(layers)), Branch(blocks=layers)
    assert list(listed.state_dict()) == list(plain.state_dict())
    assert len(nn.ModuleList(layers).eval().parameters()) == 4
    assert not layers[0].training


def test_error_a_module_list_called() -> None:
    with pytest.raises(TypeError, match="ModuleList cannot be called"):
        nn.ModuleList()(1.0)


@pytest.mark.parametrize(
    ("given", "match"),
    [(nn.ReLU, "was given ReLU where"), (np.tanh, "given a ufunc"), ([nn.ReLU()], "given a list")],
)
def test_error_a_container_of_something_else(given: Any, match: str) -> None:
    with pytest.raises(TypeError, match=match):
        nn.Sequential(given)
