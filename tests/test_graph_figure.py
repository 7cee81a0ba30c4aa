"""The picture of a graph: nothing overlaps, few arrows cross, its size fits."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_graphs import EXAMPLES, examples, linear_regression, parameter
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch

from minigrad import draw_graph
from minigrad.drawing.layout import layered_layout


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
