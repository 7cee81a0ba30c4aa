"""The drawing of a graph: the right graph, the right numbers, whole files."""

import gc
import html
import re
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_graphs import examples, linear_regression, parameter, second_order, tangle
from matplotlib.patches import FancyArrowPatch

from minigrad import Tensor, backpropagate, detect_anomaly, draw_graph, nn
from minigrad.drawing import GraphDrawing
from minigrad.drawing.tape import Entry, in_words, shown_name
from minigrad.recording import watchers


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


def test_a_nan_gradient_is_drawn_while_anomalies_are_looked_for() -> None:
    x = parameter([0.0, 1.0])
    with detect_anomaly(), np.errstate(all="ignore"):
        before = watchers.copy()
        loss = (np.sqrt(x) * 0).sum()
        assert draw_graph(loss, names={"x": x}).tape[0].gradient == ("[nan, 0]",)
        with pytest.raises(ValueError, match="gradient of shape"):
            draw_graph(loss, gradient=np.ones(3))
        assert watchers == before
        with pytest.raises(FloatingPointError, match="the gradient of sqrt"):
            loss.backward()


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
    texts = drawing.figure().axes[0].texts
    assert texts[0].get_text() == shown_name(name).rstrip()
    assert not texts[0].get_parse_math()


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
