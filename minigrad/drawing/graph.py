"""Seeing the graph: `draw_graph` shows what was recorded, as a figure, as DOT text, as a list.

The figure has the inputs at the top and the output at the bottom.  Every node is a card with its
value, which was computed on the way down, and its gradient ∂output/∂node, which is computed on
the way back up.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.drawing.tape import Entry, gradients_of, read_tape
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["GraphDrawing", "draw_graph"]

MAX_NODES = 300
ENDINGS = (".png", ".svg", ".pdf", ".dot")


def draw_graph(output: Tensor, *, names: Any = None, gradient: Any = None) -> GraphDrawing:
    """Draw the graph that leads to a tensor: operations, values, shapes and gradients.

    It works before `backward` and after it, and changes nothing: the gradients shown are
    computed for the drawing, and no tensor's `grad` is read or written (after several calls of
    `backward` it holds their sum).

    Parameters
    ----------
    output : Tensor
        The result of an operation, such as a loss; or a gradient that was computed with
        ``create_graph=True``.
    names : Module or mapping of str to Tensor or ndarray, optional
        What to call some of the nodes.  A module gives the names of its parameters.
    gradient : array_like, optional
        ∂loss/∂output, where the chain rule starts.  A scalar output starts with 1; for any other
        no gradients are shown without it.

    Returns
    -------
    GraphDrawing
        Shown by a notebook as it is; else see its `save`, `figure` and `dot`, or print it.

    Raises
    ------
    TypeError
        If `output` is not a Tensor, or `names` not names of Tensors and arrays.
    RuntimeError
        If no recorded operation leads to `output`, or if an array that its gradients need was
        changed since, by an optimizer's step for example.
    ValueError
        If `gradient` is not of the output's shape.

    Examples
    --------
    >>> x, y = np.array([1.0, 2.0]), np.array([2.0, 3.0])
    >>> w = Tensor(3.0, requires_grad=True)
    >>> loss = ((w * x - y) ** 2).mean()
    >>> drawing = draw_graph(loss, names={"x": x, "y": y, "w": w, "loss": loss})
    >>> print(drawing)
    w                     scalar float64  value 3       grad 7
    x                     (2,) float64    value [1, 2]
    v1 = multiply(w, x)   (2,) float64    value [3, 6]  grad [1, 3]
    y                     (2,) float64    value [2, 3]
    v2 = subtract(v1, y)  (2,) float64    value [1, 3]  grad [1, 3]
    v3 = power(v2, 2)     (2,) float64    value [1, 9]  grad [0.5, 0.5]
    loss = mean(v3)       scalar float64  value 5       grad 1
    """
    if not isinstance(output, Tensor):
        raise TypeError(
            f"draw_graph() was given a {type(output).__name__}; it draws a Tensor's graph"
        )
    if output.op is None:
        raise RuntimeError(
            "nothing to draw: no recorded operation leads to this tensor; it is a leaf, or it was "
            "computed under no_grad() or from values without requires_grad=True"
        )
    named = _checked(names)
    if gradient is None and output.size != 1:
        return GraphDrawing(
            read_tape(output, named),
            f"no gradients: the output has shape {output.shape}, give draw_graph() gradient=...",
        )
    return GraphDrawing(read_tape(output, named, gradients_of(output, gradient)))


def _checked(names: Any) -> Mapping[str, Any]:
    if names is None:
        return {}
    if hasattr(names, "named_parameters"):
        return dict(names.named_parameters())
    if not isinstance(names, Mapping):
        raise TypeError(
            f"names={names!r}: accepted is a Module, or a dict from name to Tensor or array, e.g. "
            "dict(net.named_parameters(), x=x)"
        )
    for name, node in names.items():
        if not isinstance(name, str):
            raise TypeError(f"names: {name!r} is not a string; the keys are the names")
        if not isinstance(node, Tensor | np.ndarray):
            raise TypeError(
                f"names: {name!r} is a {type(node).__name__}, and not a Tensor or ndarray; an "
                "array is found in the graph if it is the very object that an operation was given"
            )
    return names


class GraphDrawing:
    """A graph, ready to be shown; made by `draw_graph`.

    It holds text only and does not keep the graph alive.

    Attributes
    ----------
    tape : list of Entry
        What is shown of every node; inputs come before results.
    note : str
        A remark under the drawing, such as why there are no gradients.

    Examples
    --------
    >>> x = Tensor(3.0, requires_grad=True)
    >>> drawing = draw_graph(x * x, names={"x": x})
    >>> drawing
    <GraphDrawing of 1 operation, 1 parameter, 0 constants; see .save("graph.png"), .figure(), .dot>
    >>> print(drawing)
    x                        scalar float64  value 3  grad 6
    output = multiply(x, x)  scalar float64  value 9  grad 1
    """

    def __init__(self, tape: Sequence[Entry], note: str = "") -> None:
        self.tape = tape
        self.note = note

    def __repr__(self) -> str:
        kinds = [entry.kind for entry in self.tape]
        counts = ", ".join(
            f"{kinds.count(kind)} {kind}{'' if kinds.count(kind) == 1 else 's'}"
            for kind in ("operation", "parameter", "constant")
        )
        return f'<GraphDrawing of {counts}; see .save("graph.png"), .figure(), .dot>'

    def __str__(self) -> str:
        rows = [
            (
                entry.title,
                f"{entry.shape} {entry.dtype}",
                "value " + " ".join(map(str.strip, entry.value)),
                ("grad " if entry.gradient else "") + " ".join(map(str.strip, entry.gradient)),
            )
            for entry in self.tape
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, self.note] if self.note else lines)

    @property
    def dot(self) -> str:
        r"""The graph in Graphviz's DOT language, for ``dot -Tsvg`` and for other programs.

        Nodes of any number; the labels have the same lines as the cards of the figure.

        Examples
        --------
        >>> x = Tensor(3.0, requires_grad=True)
        >>> print(draw_graph(x * 2, names={"x": x}).dot)
        digraph {
          ...
          n0 [label="x  scalar float64\lvalue 3\lgrad  2\l", fillcolor="#ffe2ad", penwidth=2]
          n1 [label="output = multiply(x, 2)  scalar float64\lvalue 6\lgrad  1\l", ...]
          n0 -> n1
        }
        <BLANKLINE>
        """
        lines = [
            "digraph {",
            '  node [fontname="monospace", fontsize=10, shape=box, style=filled]',
        ]
        if self.note:
            lines.append(f'  label="{_escaped(self.note)}"')
        styles = {
            "parameter": 'fillcolor="#ffe2ad", penwidth=2',
            "constant": 'style="filled,dashed", fillcolor="#f5f5f5"',
            "operation": 'style="filled,rounded", fillcolor="#e3eef9"',
            "output": 'style="filled,rounded", fillcolor="#cfe3f5", peripheries=2',
        }
        for i, entry in enumerate(self.tape):
            label = "".join(
                _escaped(line) + r"\l"
                for line in (
                    f"{entry.title}  {entry.shape} {entry.dtype}",
                    *_labelled("value ", entry.value),
                    *_labelled("grad  ", entry.gradient),
                )
            )
            style = styles["output" if i == len(self.tape) - 1 else entry.kind]
            lines.append(f'  n{i} [label="{label}", {style}]')
        for i, entry in enumerate(self.tape):
            for j in entry.inputs:
                dashed = " [style=dashed]" if self.tape[j].kind == "constant" else ""
                lines.append(f"  n{j} -> n{i}{dashed}")
        return "\n".join([*lines, "}", ""])

    def figure(self, *, max_nodes: int = MAX_NODES) -> Figure:
        """Draw a matplotlib figure, as large as the graph needs; Graphviz is not involved.

        Parameters
        ----------
        max_nodes : int
            Refuse a graph of more nodes, which would be a picture that nobody can read.

        Raises
        ------
        ValueError
            If there are more than `max_nodes` nodes.

        Examples
        --------
        >>> x = Tensor(3.0, requires_grad=True)
        >>> figure = draw_graph(x * x, names={"x": x}).figure()
        >>> [text.get_text() for text in figure.axes[0].texts][:4]
        ['x', '↓', '3', '↑']
        """
        if len(self.tape) > max_nodes:
            raise ValueError(
                f"the graph has {len(self.tape)} nodes, which is more than max_nodes={max_nodes}; "
                "draw a smaller one (fewer layers or steps), raise max_nodes, or give .dot, which "
                "has no limit, to Graphviz"
            )
        from minigrad.drawing.figure import graph_figure

        return graph_figure(self.tape, self.note)

    def save(self, path: str | os.PathLike[str], *, max_nodes: int = MAX_NODES) -> None:
        """Write the drawing to a file, under a temporary name first, so that it is never half one.

        Parameters
        ----------
        path : path-like
            Ends in .png, .svg, .pdf or .dot, which says what to write.
        max_nodes : int
            As for `figure`; .dot has no limit.

        Raises
        ------
        ValueError
            If `path` has another ending, the graph more than `max_nodes` nodes, or a .png more
            pixels than can be written.
        FileNotFoundError
            If there is no such folder.
        """
        target = Path(path)
        ending = target.suffix.lower()
        if ending not in ENDINGS:
            raise ValueError(
                f"save({str(path)!r}): the ending says what to write, and must be one of "
                f"{', '.join(ENDINGS)}"
            )
        if not target.parent.is_dir():
            raise FileNotFoundError(
                f"save({str(path)!r}): there is no folder {target.parent}; make it first"
            )
        if ending == ".dot":
            content = self.dot.encode()
        else:
            content = _rendered(self.figure(max_nodes=max_nodes), ending[1:])
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def _repr_svg_(self) -> str | None:
        """Show the figure in a notebook; a graph too large for it is shown by its `repr`."""
        if len(self.tape) > MAX_NODES:
            return None
        return _rendered(self.figure(), "svg").decode()


def _labelled(label: str, lines: Sequence[str]) -> list[str]:
    return [(label if i == 0 else " " * len(label)) + line for i, line in enumerate(lines)]


def _escaped(text: str) -> str:
    """Text as it stands inside a DOT label: there, backslashes and &entities; have a meaning."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("&", "&amp;")


def _rendered(figure: Figure, format: str) -> bytes:
    """The same bytes for the same graph: no date, and ids in an SVG that are not random."""
    import matplotlib as mpl

    width, height = figure.get_size_inches()
    dpi = 150.0
    if format == "png":
        # Agg draws at most 2¹⁶ pixels a side, and below 72 an inch nobody can read the letters.
        dpi = min(dpi, 60_000 / max(width, height))
        if dpi < 72:
            raise ValueError(
                f"a .png of this graph would be {width:.0f} by {height:.0f} inches, too many "
                "pixels; save it as .svg, .pdf or .dot"
            )
    date = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    content = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "minigrad", "savefig.bbox": None}):
        figure.savefig(content, format=format, dpi=dpi, metadata=date.get(format))
    return content.getvalue()
