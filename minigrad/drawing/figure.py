"""The figure of a graph: cards in layers, arrows between them, and a legend, in matplotlib."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from minigrad.drawing.layout import Layout, layered_layout
from minigrad.drawing.tape import Entry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path

__all__ = ["graph_figure"]

# All lengths are in inches; the axes' unit is an inch.  With letters of one width, the size of a
# text is known without drawing it.  They are 0.602 points wide for each point of size, but a
# screen rounds that to whole pixels: at this resolution and these sizes to 0.611 at the most.
FONT = "DejaVu Sans Mono"  # comes with matplotlib
DPI = 150
TITLE, BODY, SMALL = 9.6, 8.64, 7.2  # points: 20, 18 and 15 pixels
LETTER = 0.611 / 72
LINE = 1.45 / 72  # distance of lines of one point
PADDING = 0.11
GAP = 0.3  # between cards side by side
MARGIN = 0.25
HEAD = 0.12  # of an arrow
DOUBLE = 0.045  # from one border of the output to the other
TITLE_WIDTH = 40  # in letters; longer ones are broken

VALUE, GRADIENT, FAINT = "#1c3d5a", "#a8321a", "#6b6b6b"
# Told apart by border and corners too, for those who see or print no colours.
STYLES: dict[str, dict[str, Any]] = {
    "parameter": {"facecolor": "#ffe2ad", "edgecolor": "#8a5a00", "linewidth": 2.2},
    "constant": {
        "facecolor": "#f5f5f5",
        "edgecolor": "#7a7a7a",
        "linewidth": 1.0,
        "linestyle": "--",
    },
    "operation": {"facecolor": "#e3eef9", "edgecolor": "#4a7ba6", "linewidth": 1.0},
    "output": {"facecolor": "#cfe3f5", "edgecolor": "#1c3d5a", "linewidth": 1.2},
}
ROUNDED = {"operation", "output"}


@dataclass(frozen=True)
class _Text:
    """A piece of text in a card: x from the left, y of its middle from the top."""

    text: str
    x: float
    y: float
    size: float
    color: str
    bold: bool = False
    align: str = "left"


@dataclass(frozen=True)
class _Card:
    kind: str
    texts: list[_Text]
    width: float
    height: float


def graph_figure(tape: Sequence[Entry], note: str = "") -> Figure:
    """Draw the graph that `tape` describes; `note` is a remark for the legend."""
    from matplotlib.figure import Figure

    output = tape[-1]
    dtype = _most_common_dtype(tape)
    cards = []
    for entry in tape:
        # The type that nearly all share need not stand on their cards.
        shape = entry.shape if entry.dtype == dtype else f"{entry.shape} {entry.dtype}"
        cards.append(_card(entry, shape, is_output=entry is output))
    layout = layered_layout([entry.inputs for entry in tape], [card.width for card in cards], GAP)
    legend = _legend(tape, {card.kind for card in cards}, note)

    heights = [
        max((cards[slot].height for slot in slots if slot < len(cards)), default=0.0)
        for slots in layout.order
    ]
    gaps = _gaps(layout)
    drawn = max(
        layout.x[i] + (cards[i].width / 2 if i < len(cards) else 0.0) for i in range(len(layout.x))
    )
    widest_piece = max(width for _, _, width in legend)
    width = max(drawn, widest_piece, 3.2)
    rows_of_legend = _wrapped(legend, width)
    legend_height = 0.26 * len(rows_of_legend)
    height = sum(heights) + sum(gaps[:-1]) + 0.3 + legend_height

    figure = Figure(figsize=(width + 2 * MARGIN, height + 2 * MARGIN), dpi=DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-MARGIN, width + MARGIN), ylim=(-MARGIN, height + MARGIN))
    axes.axis("off")

    shift = (width - drawn) / 2
    x = [at + shift for at in layout.x]
    top = height
    tops = []
    for row, gap in zip(heights, gaps, strict=True):
        tops.append(top)
        top -= row + gap
    _draw_edges(axes, tape, cards, layout, x, tops, heights)
    for i, card in enumerate(cards):
        k = layout.layer[i]
        _draw_card(axes, card, x[i], tops[k] - (heights[k] - card.height) / 2)
    _draw_legend(axes, rows_of_legend, legend_height)
    return figure


def _most_common_dtype(tape: Sequence[Entry]) -> str:
    return Counter(entry.dtype for entry in tape).most_common(1)[0][0]


# Cards


def _card(entry: Entry, shape: str, *, is_output: bool) -> _Card:
    texts = []
    widest = 0.0
    y = PADDING
    title = _broken(entry.title)
    for line in title:
        y += TITLE * LINE / 2
        texts.append(_Text(line, PADDING, y, TITLE, "black", bold=True))
        widest = max(widest, _length(line, TITLE))
        y += TITLE * LINE / 2
    rows = [
        *_rows("↓", entry.value, VALUE),
        *_rows("↑", entry.gradient, GRADIENT),
    ]
    for arrow, line, color in rows:
        y += BODY * LINE / 2
        if arrow:
            texts.append(_Text(arrow, PADDING, y, BODY, color, bold=True))
        indent = 2 * BODY * LETTER
        texts.append(_Text(line, PADDING + indent, y, BODY, color))
        widest = max(widest, indent + _length(line, BODY))
        y += BODY * LINE / 2
    # The shape stands at the right end of the last line of the title.
    beside = _length(title[-1], TITLE) + 3 * SMALL * LETTER + _length(shape, SMALL)
    width = max(widest, beside) + 2 * PADDING
    texts.append(
        _Text(
            shape,
            width - PADDING,
            PADDING + TITLE * LINE * (len(title) - 0.5),
            SMALL,
            FAINT,
            align="right",
        )
    )
    return _Card("output" if is_output else entry.kind, texts, width, y + PADDING)


def _broken(title: str) -> list[str]:
    """Break a long title between arguments.

    Examples
    --------
    >>> _broken("v1 = affine(x, encoder.layers.0.weight, encoder.layers.0.bias)")
    ['v1 = affine(x, encoder.layers.0.weight,', '    encoder.layers.0.bias)']
    """
    lines: list[str] = []
    for piece in re.split(r"(?<=, |.\()(?! )", title) if len(title) > TITLE_WIDTH else [title]:
        if lines and len(lines[-1]) + len(piece.rstrip()) <= TITLE_WIDTH:
            lines[-1] += piece
        else:
            lines.append("    " + piece if lines else piece)
    return [line.rstrip() for line in lines]


def _rows(arrow: str, lines: Sequence[str], color: str) -> list[tuple[str, str, str]]:
    return [("" if i else arrow, line, color) for i, line in enumerate(lines)]


def _length(text: str, size: float) -> float:
    return len(text) * size * LETTER


def _draw_card(axes: Axes, card: _Card, middle: float, top: float) -> None:
    left = middle - card.width / 2
    _draw_box(axes, card.kind, left, top - card.height, card.width, card.height)
    for text in card.texts:
        _write(axes, text, left, top)


def _draw_box(
    axes: Axes, kind: str, left: float, bottom: float, width: float, height: float
) -> None:
    from matplotlib.patches import FancyBboxPatch

    corners = (
        f"round,pad=0,rounding_size={min(0.1, height / 2)}" if kind in ROUNDED else "square,pad=0"
    )
    axes.add_patch(FancyBboxPatch((left, bottom), width, height, corners, zorder=3, **STYLES[kind]))
    if kind == "output":
        d = DOUBLE
        corners = f"round,pad=0,rounding_size={min(0.1 + d, height / 2)}"
        style = {**STYLES[kind], "facecolor": "white"}
        axes.add_patch(
            FancyBboxPatch(
                (left - d, bottom - d), width + 2 * d, height + 2 * d, corners, zorder=2.9, **style
            )
        )


def _write(axes: Axes, text: _Text, left: float, top: float) -> None:
    axes.text(
        left + text.x, top - text.y, text.text, color=text.color, fontsize=text.size,
        fontfamily=FONT, fontweight="bold" if text.bold else "normal", ha=text.align,
        va="center_baseline", parse_math=False, usetex=False, zorder=4,
    )  # fmt: skip


# Arrows


def _gaps(layout: Layout) -> list[float]:
    """The height below each layer: more where an arrow goes far to the side."""
    far = [0.0] * len(layout.order)
    for a, b in {edge for of_node in layout.path for slots in of_node for edge in pairwise(slots)}:
        k = layout.layer[a]
        far[k] = max(far[k], abs(layout.x[a] - layout.x[b]))
    return [min(0.42 + 0.06 * distance, 1.0) for distance in far]


def _draw_edges(
    axes: Axes,
    tape: Sequence[Entry],
    cards: Sequence[_Card],
    layout: Layout,
    x: Sequence[float],
    tops: Sequence[float],
    heights: Sequence[float],
) -> None:
    """Between two layers an arrow bends; beside the cards of a layer it goes straight down.

    What arrows from one source share is drawn once.
    """
    from matplotlib.patches import FancyArrowPatch, PathPatch
    from matplotlib.path import Path

    done = set()
    for i, of_node in enumerate(layout.path):
        for slots, port in zip(of_node, layout.port[i], strict=True):
            constant = tape[slots[0]].kind == "constant"
            style: dict[str, Any] = {
                "edgecolor": "#8c8c8c" if constant else "#333333",
                "linestyle": (0, (3, 2)) if constant else "-",
                "linewidth": 1.0 if constant else 1.2,
                "zorder": 2,
            }
            for a, b in pairwise(slots):
                if b != i and (a, b) in done:
                    continue
                done.add((a, b))
                k = layout.layer[a]
                bottom = start = tops[k] - heights[k]
                if a < len(cards):
                    start += (heights[k] - cards[a].height) / 2
                if b != i:
                    top, end = tops[k + 1], tops[k + 1] - heights[k + 1]
                    line = _line(x[a], start, bottom, x[b], top, end)
                    axes.add_patch(PathPatch(line, fill=False, **style))
                    continue
                to = port + x[i] - layout.x[i]
                end = tops[k + 1] - (heights[k + 1] - cards[i].height) / 2 + 0.01
                if i == len(cards) - 1:
                    end += DOUBLE
                top = max(tops[k + 1], end) + HEAD
                line = _line(x[a], start, bottom, to, top, end)
                axes.add_patch(PathPatch(line, fill=False, **style))
                style_of_head = {**style, "linestyle": "-", "facecolor": style["edgecolor"]}
                head = Path([(to, end + HEAD), (to, end)])
                axes.add_patch(
                    FancyArrowPatch(path=head, arrowstyle="-|>", mutation_scale=9, **style_of_head)
                )


def _line(x_from: float, start: float, bottom: float, x_to: float, top: float, end: float) -> Path:
    """Go straight down from `start` to `bottom`, bend over to `top`, and straight on to `end`."""
    from matplotlib.path import Path

    middle = (bottom + top) / 2
    bend = [(x_from, middle), (x_to, middle), (x_to, top)]
    return Path(
        [(x_from, start), (x_from, bottom), *bend, (x_to, end)],
        [Path.MOVETO, Path.LINETO, *[Path.CURVE4] * 3, Path.LINETO],
    )


# Legend: pieces side by side, as many as fit


def _legend(tape: Sequence[Entry], kinds: set[str], note: str) -> list[tuple[str, str, float]]:
    output = tape[-1].name
    dtype = _most_common_dtype(tape)
    one_dtype = all(entry.dtype == dtype for entry in tape)
    pieces = [(kind, kind) for kind in STYLES if kind in kinds]
    pieces.append(("↓", "value, computed on the way down"))
    if any(entry.gradient for entry in tape):
        pieces.append(("↑", f"gradient ∂{output}/∂node, computed on the way back up"))
    pieces.append(("", f"all {dtype}" if one_dtype else f"{dtype} where no card says otherwise"))
    if note:
        pieces.append(("", note))
    return [
        (kind, text, (0.42 if kind in STYLES else 0.16 if kind else 0) + _length(text, SMALL))
        for kind, text in pieces
    ]


def _wrapped(
    pieces: Sequence[tuple[str, str, float]], width: float
) -> list[list[tuple[str, str, float]]]:
    rows: list[list[tuple[str, str, float]]] = [[]]
    used = 0.0
    for piece in pieces:
        if rows[-1] and used + piece[2] > width:
            rows.append([])
            used = 0.0
        rows[-1].append(piece)
        used += piece[2] + GAP
    return rows


def _draw_legend(
    axes: Axes, rows: Sequence[Sequence[tuple[str, str, float]]], height: float
) -> None:
    y = height - 0.2
    for row in rows:
        x = 0.0
        for kind, text, width in row:
            start = x + width - _length(text, SMALL)
            if kind in STYLES:
                _draw_box(axes, kind, x, y - 0.075, 0.3, 0.15)
            elif kind:
                color = VALUE if kind == "↓" else GRADIENT
                _write(axes, _Text(kind, 0, 0, BODY, color, bold=True), x, y)
            _write(axes, _Text(text, 0, 0, SMALL, "black"), start, y)
            x += width + GAP
        y -= 0.26
