"""The drawing of a graph: the right graph, the right numbers, and a picture that can be read."""

import gc
import html
import itertools
import re
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, PathPatch

from minigrad import Tensor, backpropagate, draw_graph, mse_loss, nn
from minigrad.drawing import GraphDrawing
from minigrad.layered_layout import layered_layout
from minigrad.tape import Entry, in_words, shown_name


def parameter(values: Any) -> Tensor:
    return Tensor(values, requires_grad=True)


def linear_regression() -> tuple[Tensor, dict[str, Any]]:
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.9, 5.1, 7.2, 8.8])
    w, b = parameter(1.5), parameter(0.5)
    loss = ((x * w + b - y) ** 2).mean()
    return loss, {"x": x, "y": y, "w": w, "b": b, "loss": loss}


def network() -> tuple[Tensor, dict[str, Any]]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3))
    net = nn.Sequential(nn.Linear(3, 8, rng=rng), nn.Tanh(), nn.Linear(8, 1, rng=rng))
    return mse_loss(net(x), x[:, :1]), dict(net.named_parameters(), x=x)


def diamond() -> tuple[Tensor, dict[str, Any]]:
    a = parameter(2.0)
    h = a * 3
    return (h + 1) * h + np.exp(-h) + h + h, {"a": a}


def second_order() -> tuple[Tensor, dict[str, Any]]:
    x = parameter(0.7)
    (x * np.tanh(x)).backward(create_graph=True)
    gradient, x.grad = x.grad, None
    return gradient, {"x": x}


def matrices() -> tuple[Tensor, dict[str, Any]]:
    """Two layers of plain operations, and back: the graph of a gradient, on small matrices."""
    rng = np.random.default_rng(1)
    V, b, W = (parameter(rng.normal(size=shape)) for shape in [(2, 3), (3,), (3, 1)])
    x, y = rng.normal(size=(2, 2)), np.array([[1.0], [-1.0]])
    ((np.tanh(x @ V + b) @ W - y) ** 2).mean().backward(create_graph=True)
    gradient, V.grad, b.grad, W.grad = V.grad, None, None, None
    return gradient, {"V": V, "b": b, "W": W, "x": x, "y": y}


def tangle() -> tuple[Tensor, dict[str, Any]]:
    """Long edges, many inputs, long names, and no order that is free of crossings."""
    rng = np.random.default_rng(2)
    nodes = [parameter(rng.normal(size=3)) for _ in range(5)]
    names = {f"encoder.blocks.{i}.attention.weight": node for i, node in enumerate(nodes)}
    for _ in range(15):
        i, j = rng.integers(len(nodes), size=2)
        nodes.append(nodes[i] * nodes[j] if i != j else np.tanh(nodes[i]))
    return np.concatenate(nodes[-6:]).astype(np.float32).sum(), names


def uneven() -> tuple[Tensor, dict[str, Any]]:
    """Flat cards beside high ones, under which their arrows have to go."""
    flat = [parameter(np.ones((1, 2))) for _ in range(2)]
    high = [parameter(np.full((3, 2), 0.123456 + i)) for i in range(6)]
    weights = np.linspace(-1, 1, 40).reshape(20, 2)
    return (np.concatenate([flat[0], *high, flat[1]]) * weights).sum(), {}


EXAMPLES = [linear_regression, network, diamond, second_order, matrices, uneven, tangle]
examples = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.__name__)


def by_name(drawing: GraphDrawing) -> dict[str, Entry]:
    return {entry.name: entry for entry in drawing.tape}


def parse(dot: str) -> tuple[dict[str, dict[str, str]], list[tuple[str, str]]]:
    """Nodes with their attributes, and edges; fails on anything that is no DOT statement."""
    quoted = r'"(?:[^"\\\n]|\\.)*"'
    attribute = rf"(\w+)=({quoted}|\w+)"
    nodes: dict[str, dict[str, str]] = {}
    edges = []
    first, *statements, last, end = dot.split("\n")
    assert (first, last, end) == ("digraph {", "}", "")
    for line in statements:
        attributes = rf"\[{attribute}(?:, {attribute})*\]"
        if re.fullmatch(rf"  label={quoted}|  node {attributes}", line):
            continue
        if edge := re.fullmatch(rf"  (n\d+) -> (n\d+)(?: {attributes})?", line):
            edges.append((edge[1], edge[2]))
            continue
        node = re.fullmatch(rf"  (n\d+) ({attributes})", line)
        assert node, line
        assert node[1] not in nodes
        nodes[node[1]] = dict(re.findall(attribute, node[2]))
    assert {end for edge in edges for end in edge} <= nodes.keys()
    return nodes, edges


def lines_of(label: str) -> list[str]:
    """What Graphviz shows for a label."""
    lines = re.findall(r'((?:[^\\"]|\\\\|\\")*)\\l', label[1:-1])
    return [html.unescape(re.sub(r"\\(.)", r"\1", line)) for line in lines]


# The graph


@examples
def test_dot_has_a_node_for_every_tensor_and_an_edge_for_every_use(
    example: Callable[[], Any],
) -> None:
    output, names = example()
    drawing = draw_graph(output, names=names)
    nodes, edges = parse(drawing.dot)
    tensors = {output}
    uses = 0
    arrays = set()
    waiting = [output]
    while waiting:
        for x in waiting.pop().parents:
            constant = not (isinstance(x, Tensor) and x.requires_grad)
            if constant and np.ndim(getattr(x, "data", x)) == 0:
                continue
            uses += 1
            if not isinstance(x, Tensor):
                arrays.add(id(x))
            elif x not in tensors:
                tensors.add(x)
                waiting.append(x)
    assert len(nodes) == len(drawing.tape) == len(tensors) + len(arrays)
    assert len(edges) == uses
    for i, entry in enumerate(drawing.tape):
        assert [f"n{j}" for j in entry.inputs] == [a for a, b in edges if b == f"n{i}"]
        assert lines_of(nodes[f"n{i}"]["label"])[0].startswith(entry.title)


def test_what_an_operation_was_called_with_is_its_title() -> None:
    x = parameter(np.arange(12.0).reshape(3, 4))
    mask = np.array([True, False])
    z = np.concatenate([x[1:, ::2], x[[0, 2]][..., :2]]).sum(axis=0, keepdims=True)
    z = np.where(mask, z.reshape(2), 2.5) - 1 / z
    titles = [entry.title for entry in draw_graph(z, names={"x": x}).tape]
    assert titles == [
        "x",
        "v1 = getitem(x, index=[1:, ::2])",
        "v2 = getitem(x, index=[[0, 2]])",
        "v3 = getitem(v2, index=[..., :2])",
        "v4 = concatenate(v1, v3, axis=0)",
        "v5 = sum(v4, axis=0, keepdims=True)",
        "v6 = reshape(v5, shape=2)",
        "v7 = where(v6, 2.5, condition=[True, False])",
        "v8 = divide(1, v5)",
        "output = subtract(v7, v8)",
    ]


def test_an_input_that_is_used_twice_is_one_node_with_two_arrows() -> None:
    x, c = parameter([1.0, 2.0]), np.array([3.0, 4.0])
    drawing = draw_graph((x * x * c + c).sum(), names={"x": x})
    nodes, edges = parse(drawing.dot)
    assert [entry.title for entry in drawing.tape] == [
        "x", "v1 = multiply(x, x)", "c1", "v2 = multiply(v1, c1)", "v3 = add(v2, c1)",
        "output = sum(v3)",
    ]  # fmt: skip
    assert edges.count(("n0", "n1")) == 2
    assert [b for a, b in edges if a == "n2"] == ["n3", "n4"]
    assert len(nodes) == 6
    arrows = [p for p in drawing.figure().axes[0].patches if isinstance(p, FancyArrowPatch)]
    assert len(arrows) == len(edges)


def test_a_number_stands_in_the_operation_unless_it_has_a_name() -> None:
    x, two = parameter(3.0), Tensor(2.0)
    assert [entry.title for entry in draw_graph(x * two).tape] == ["p1", "output = multiply(p1, 2)"]
    named = draw_graph(x * two, names={"two": two}).tape
    assert [entry.title for entry in named] == ["p1", "two", "output = multiply(p1, two)"]
    assert [entry.kind for entry in named] == ["parameter", "constant", "operation"]
    assert draw_graph(x * Tensor(True)).tape[-1].title == "output = multiply(p1, True)"


def test_many_arguments_are_left_out_of_the_title_but_not_of_the_graph() -> None:
    xs = [parameter([float(i)]) for i in range(50)]
    joined: Any = np.concatenate(xs)
    last = draw_graph(joined, gradient=np.ones(50)).tape[-1]
    assert last.title == "output = concatenate(p1, p2, …, p50, axis=0)"
    assert len(last.inputs) == 50


def test_names_come_from_a_module_or_a_dict_and_made_up_ones_avoid_them() -> None:
    rng = np.random.default_rng(0)
    layer = nn.Linear(2, 1, rng=rng)
    x = np.ones((3, 2))
    h = layer(x)
    assert by_name(draw_graph(h.sum(), names=layer)).keys() == {
        "weight", "bias", "c1", "v1", "output",
    }  # fmt: skip
    names = {"x": x, "v1": layer.weight, "h": h, "not here": parameter(1.0)}
    titles = [entry.title for entry in draw_graph((h + h).sum(), names=names).tape]
    assert titles == [
        "x",
        "v1",
        "p1",
        "h = affine(x, v1, p1)",
        "v2 = add(h, h)",
        "output = sum(v2)",
    ]


# The numbers


def test_values_and_gradients_of_a_linear_regression_are_the_closed_form() -> None:
    loss, names = linear_regression()
    x, y = names["x"], names["y"]
    entries = by_name(draw_graph(loss, names=names))
    error = 1.5 * x + 0.5 - y
    expected = {
        "w": (np.array(1.5), (2 * error * x).mean()),
        "b": (np.array(0.5), (2 * error).mean()),
        "v1": (1.5 * x, error / 2),
        "v2": (1.5 * x + 0.5, error / 2),
        "v3": (error, error / 2),
        "v4": (error**2, np.full(4, 0.25)),
        "loss": ((error**2).mean(), np.array(1.0)),
    }
    assert entries.keys() == expected.keys() | {"x", "y"}
    for name, (value, gradient) in expected.items():
        assert entries[name].value == in_words(np.asarray(value))
        assert entries[name].gradient == in_words(np.asarray(gradient))
    assert entries["x"].value == ("[1, 2, 3, 4]",)
    assert entries["x"].gradient == ()
    assert entries["w"].gradient == ("-9.95",)


@examples
def test_backpropagate_keeps_the_gradient_that_each_node_would_have_as_a_target(
    example: Callable[[], Any],
) -> None:
    output, _ = example()
    start = np.ones(output.shape)
    inner: dict[Tensor, Any] = {}
    leaves = backpropagate(output, start, keep=inner)
    assert inner[output] == pytest.approx(start)
    assert all(z.op is not None for z in inner)
    assert all(x.op is None for x in leaves)
    for z, g in inner.items():
        # Where another inner node was made from z, the walk stops at z, with all it receives.
        assert np.array_equal(g, backpropagate(output, start, targets=[z])[z])


def test_gradients_of_a_graph_of_gradients_are_second_derivatives() -> None:
    gradient, names = second_order()
    t = np.tanh(0.7)
    entries = by_name(draw_graph(gradient, names=names))
    assert entries["output"].value == in_words(np.array(t + 0.7 * (1 - t * t)))
    second = 2 * (1 - t * t) - 2 * 0.7 * t * (1 - t * t)
    assert entries["x"].gradient == in_words(np.array(second))


def test_drawing_changes_no_gradient_and_is_the_same_after_backward() -> None:
    loss, names = linear_regression()
    before = str(draw_graph(loss, names=names))
    assert names["w"].grad is None
    loss.backward()
    loss.backward()
    kept = names["w"].grad
    assert str(draw_graph(loss, names=names)) == before
    assert names["w"].grad is kept
    assert kept == pytest.approx(2 * -9.95, rel=1e-14)
    assert names["loss"].grad is None


def test_a_tensor_with_axes_has_gradients_when_it_is_given_one() -> None:
    x = parameter([1.0, 2.0])
    without = draw_graph(x * x)
    assert not any(entry.gradient for entry in without.tape)
    assert "no gradients: the output has shape (2,)" in str(without)
    assert "no gradients" in without.dot
    given = draw_graph(x * x, gradient=[1.0, 10.0])
    assert given.tape[0].gradient == ("[2, 40]",)
    assert given.note == ""


def test_nan_and_infinity_are_counted_and_seen() -> None:
    x = parameter([0.0, 1.0])
    entries = draw_graph((np.sqrt(x) * 0).sum(), names={"x": x}).tape
    assert entries[0].gradient == ("[nan, 0]",)
    values = np.array([np.nan, np.inf, -np.inf, 1.0, 1.0, 1.0, 1.0])
    assert in_words(values) == ("else 1", "1 NaN, 2 infinite")
    assert in_words(np.full(9, np.nan)) == ("9 NaN",)


def test_arrays_in_words() -> None:
    assert in_words(np.zeros((0, 3))) == ("no elements",)
    assert in_words(np.array([[1.0], [2.0]])) == ("[[1], [2]]",)
    assert in_words(np.arange(7) > 2) == ("4 of 7 are True",)
    assert in_words(np.array([3 + 4j])) == ("[3+4j]",)
    assert in_words(np.full(7, 3 + 4j)) == ("|z|: all 5",)
    assert in_words(np.full((5, 5), 2.0)) == ("all 2",)
    # The sum of these passes the largest float16.
    assert in_words(np.array([[60000, 59968]] * 100, np.float16)) == (
        "mean 6e+04, from 6e+04 to 6e+04",
    )


# The picture


def drawn(figure: Figure, dpi: float) -> tuple[list[Any], list[Any]]:
    figure.set_dpi(dpi)
    renderer: Any = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    axes = figure.axes[0]
    texts = [text.get_window_extent(renderer) for text in axes.texts]
    boxes = [
        patch.get_window_extent(renderer)
        for patch in axes.patches
        if isinstance(patch, FancyBboxPatch) and patch.get_zorder() == 3
    ]
    return texts, boxes


@examples
def test_nothing_in_the_figure_overlaps(example: Callable[[], Any]) -> None:
    output, names = example()
    figure = draw_graph(output, names=names).figure()
    for dpi in (figure.dpi, 100):
        texts, boxes = drawn(figure, dpi)
        for a, b in itertools.combinations(boxes, 2):
            assert not a.overlaps(b)
        for a, b in itertools.combinations(texts, 2):
            assert not a.padded(-1).overlaps(b.padded(-1))
        width, height = figure.get_size_inches() * dpi
        for text in texts:
            assert 0 < text.x0 < text.x1 < width
            assert 0 < text.y0 < text.y1 < height
            touched = [box for box in boxes if box.overlaps(text)]
            assert len(touched) <= 1
            for box in touched:
                assert box.x0 < text.x0 < text.x1 < box.x1
                assert box.y0 < text.y0 < text.y1 < box.y1


@examples
def test_no_arrow_passes_behind_a_card(example: Callable[[], Any]) -> None:
    output, names = example()
    figure = draw_graph(output, names=names).figure()
    _, boxes = drawn(figure, 100)
    lines = [p for p in figure.axes[0].patches if isinstance(p, PathPatch)]
    assert lines
    for line in lines:
        path = line.get_transform().transform_path(line.get_path())
        points: Any = path.interpolated(1).to_polygons(closed_only=False)[0]
        steps = np.linspace(0, 1, 20)[:, None]
        at = np.concatenate([a + steps * (b - a) for a, b in itertools.pairwise(points)])
        for box in boxes:
            inside = (at > (box.x0 + 2, box.y0 + 2)) & (at < (box.x1 - 2, box.y1 - 2))
            assert not inside.all(axis=1).any()


def crossings(inputs: list[list[int]]) -> int:
    layout = layered_layout(inputs, [1.0] * len(inputs))
    pairs = {edge for node in layout.path for slots in node for edge in itertools.pairwise(slots)}
    return sum(
        layout.layer[a] == layout.layer[c]
        and (layout.x[a] - layout.x[c]) * (layout.x[b] - layout.x[d]) < 0
        for (a, b), (c, d) in itertools.combinations(pairs, 2)
    )


@pytest.mark.parametrize("example", EXAMPLES[:-1], ids=lambda example: example.__name__)
def test_no_arrows_cross_where_they_need_not(example: Callable[[], Any]) -> None:
    output, names = example()
    assert crossings([list(entry.inputs) for entry in draw_graph(output, names=names).tape]) == 0


def test_arrows_cross_once_where_they_must() -> None:
    # K(3,3), drawn in two layers: 9 crossings; and a merge, so that there is one output.
    assert crossings([[], [], [], [0, 1, 2], [0, 1, 2], [0, 1, 2], [3, 4, 5]]) == 9


@settings(max_examples=40)
@given(st.data())
def test_any_graph_is_laid_out_in_layers_without_overlap(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 25))
    inputs: list[list[int]] = [[]]
    unused = {0}
    for i in range(1, count):
        few = st.lists(st.integers(0, i - 1), max_size=3)
        inputs.append(sorted(unused) if i == count - 1 else data.draw(few))
        unused = (unused - set(inputs[-1])) | {i}
    widths = data.draw(st.lists(st.floats(0.5, 4.0), min_size=count, max_size=count))
    layout = layered_layout(inputs, widths, gap=0.25)
    for i, of_node in enumerate(inputs):
        for j, slots in zip(of_node, layout.path[i], strict=True):
            assert slots[0] == j
            assert slots[-1] == i
            assert [layout.layer[s] for s in slots] == list(
                range(layout.layer[j], layout.layer[i] + 1)
            )
        ports = sorted(layout.port[i])
        assert all(b - a > 0.1 for a, b in itertools.pairwise(ports)) or len(ports) > 3
        assert all(abs(port - layout.x[i]) < widths[i] / 2 for port in ports)
    for k, slots in enumerate(layout.order):
        assert all(layout.layer[slot] == k for slot in slots)
        for a, b in itertools.pairwise([slot for slot in slots if slot < count]):
            distance = layout.x[b] - layout.x[a]
            assert distance >= (widths[a] + widths[b]) / 2 + 0.25 - 1e-9
    assert sorted(slot for slots in layout.order for slot in slots) == list(range(len(layout.x)))
    assert min(x - w / 2 for x, w in zip(layout.x, widths, strict=False)) >= -1e-9


def test_parameters_constants_and_operations_differ_without_colour() -> None:
    loss, names = linear_regression()
    patches = draw_graph(loss, names=names).figure().axes[0].patches
    boxes = [p for p in patches if isinstance(p, FancyBboxPatch) and p.get_zorder() == 3]
    looks = {(type(p.get_boxstyle()).__name__, p.get_linestyle(), p.get_linewidth()) for p in boxes}
    assert len(looks) == 4  # the output too


# Size


def test_a_chain_of_10_000_operations_has_dot_text_and_a_figure_says_what_to_do() -> None:
    x = parameter(1.0)
    z = x
    for _ in range(10_000):
        z = z + 1.0
    drawing = draw_graph(z)
    nodes, edges = parse(drawing.dot)
    assert (len(nodes), len(edges)) == (10_001, 10_000)
    assert by_name(drawing)["p1"].gradient == ("1",)
    with pytest.raises(ValueError, match=r"10001 nodes, .* max_nodes=300; .*\.dot"):
        drawing.figure()
    assert drawing._repr_svg_() is None


def test_a_graph_of_300_nodes_with_long_edges_is_drawn() -> None:
    x = parameter(0.99)
    z = x
    for _ in range(299):
        z = z * x
    drawing = draw_graph(z)
    assert len(drawing.tape) == 300
    width, height = drawing.figure().get_size_inches()
    assert width < 9
    assert 200 < height < 400
    with pytest.raises(ValueError, match="max_nodes=299"):
        drawing.figure(max_nodes=299)


def test_a_png_of_too_many_pixels_is_refused_before_a_file_is_written(tmp_path: Path) -> None:
    many = [parameter(np.arange(1, 7) / -700000) for _ in range(200)]
    drawing = draw_graph(np.concatenate(many).sum())
    with pytest.raises(ValueError, match=r"too many pixels; save it as \.svg"):
        drawing.save(tmp_path / "wide.png")
    assert not list(tmp_path.iterdir())


# Names from anywhere


@pytest.mark.parametrize(
    "name",
    [
        'say "hi"', "back\\slash\\", "\\", '\\"', "two\nlines\r\t", "n0 -> n1; } digraph {",
        "&quot;&lt;", "<b>bold</b>", r"$\frac{$", "$x_1^2$", "[label=x]", "\\N\\G\\l", "", " ",
        "%s {0}", "\ud800", "\x00", "a" * 500, "naïve θ",
    ],
)  # fmt: skip
def test_any_name_is_shown_as_it_is_in_dot_text_and_figure(name: str, tmp_path: Path) -> None:
    x = parameter([1.0, 2.0])
    drawing = draw_graph((x * x).sum(), names={name: x})
    nodes, edges = parse(drawing.dot)
    assert len(nodes) == 3
    assert len(edges) == 3
    assert lines_of(nodes["n0"]["label"])[0] == f"{shown_name(name)}  (2,) float64"
    drawing.save(tmp_path / "x.dot")
    drawing.save(tmp_path / "x.svg")
    texts, _ = drawn(drawing.figure(), 150)
    assert not any(a.padded(-1).overlaps(b.padded(-1)) for a, b in itertools.combinations(texts, 2))


# Files


def test_files_are_what_their_ending_says(tmp_path: Path) -> None:
    loss, names = linear_regression()
    drawing = draw_graph(loss, names=names)
    starts = {
        ".png": b"\x89PNG",
        ".svg": b"<?xml",
        ".pdf": b"%PDF",
        ".dot": b"digraph {",
        ".SVG": b"<?xml",
    }
    for ending, start in starts.items():
        path = tmp_path / f"graph{ending}"
        drawing.save(str(path) if ending == ".png" else path)
        assert path.read_bytes().startswith(start)
    assert len(list(tmp_path.iterdir())) == len(starts)
    assert (tmp_path / "graph.dot").read_text(encoding="utf-8") == drawing.dot
    assert drawing._repr_svg_() == (tmp_path / "graph.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("ending", [".svg", ".pdf", ".png", ".dot"])
def test_the_same_graph_built_twice_gives_the_same_file(ending: str, tmp_path: Path) -> None:
    contents = []
    for _ in range(2):
        output, names = tangle()
        draw_graph(output, names=names).save(tmp_path / f"graph{ending}")
        contents.append((tmp_path / f"graph{ending}").read_bytes())
    assert contents[0] == contents[1]


def test_a_drawing_that_fails_to_save_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss, _ = linear_regression()
    path = tmp_path / "graph.dot"
    path.write_bytes(b"old")
    write = Path.write_bytes

    def half(temporary: Path, content: bytes) -> None:
        write(temporary, content[: len(content) // 2])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="disk full"):
        draw_graph(loss).save(path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["graph.dot"]


def test_another_ending_or_a_missing_folder_is_named(tmp_path: Path) -> None:
    loss, _ = linear_regression()
    drawing = draw_graph(loss)
    for name in ["graph.jpg", "graph", "graph.png.bak"]:
        with pytest.raises(ValueError, match=r"one of \.png, \.svg, \.pdf, \.dot"):
            drawing.save(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        drawing.save(tmp_path / "nowhere" / "graph.png")
    assert not list(tmp_path.iterdir())


# Use


def test_nothing_to_draw() -> None:
    with pytest.raises(RuntimeError, match="nothing to draw: no recorded operation"):
        draw_graph(parameter(1.0))
    with pytest.raises(RuntimeError, match="nothing to draw"):
        draw_graph(Tensor([1.0]) * 2)
    with pytest.raises(TypeError, match=r"given a ndarray; it draws a Tensor's graph"):
        draw_graph(np.ones(3))  # type: ignore[arg-type]


def test_gradients_that_a_step_has_made_impossible_are_refused() -> None:
    w = parameter([1.0, 2.0])
    loss = (w * w).sum()
    w.data -= 0.5
    with pytest.raises(RuntimeError, match="changed in place after the forward pass"):
        draw_graph(loss)
    assert w.grad is None


def test_bad_names_and_gradients_are_refused() -> None:
    x = parameter([1.0, 2.0])
    with pytest.raises(TypeError, match="accepted is a Module, or a dict"):
        draw_graph(x * x, names=[x])
    with pytest.raises(TypeError, match="3 is not a string"):
        draw_graph(x * x, names={3: x})
    with pytest.raises(TypeError, match="'x' is a list, and not a Tensor or ndarray"):
        draw_graph(x * x, names={"x": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"gradient of shape \(3,\)"):
        draw_graph(x * x, gradient=np.ones(3))


def test_a_drawing_does_not_keep_the_graph_alive() -> None:
    loss, names = linear_regression()
    drawing = draw_graph(loss, names=names)
    alive = weakref.ref(loss)
    gc.disable()
    try:
        del loss, names
        assert alive() is None
    finally:
        gc.enable()
    assert "loss = mean(v4)" in str(drawing)


def test_dot_text_needs_no_matplotlib_and_a_figure_no_pyplot() -> None:
    code = """if True:
        import sys
        from minigrad import Tensor, draw_graph
        drawing = draw_graph(Tensor(1.0, requires_grad=True) * 2)
        str(drawing), repr(drawing), drawing.dot
        assert "matplotlib" not in sys.modules
        drawing._repr_svg_()
        assert "matplotlib.pyplot" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
