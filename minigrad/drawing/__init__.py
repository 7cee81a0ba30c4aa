"""The graph, to look at: `graph` is what you call; `tape`, `layout` and `figure` are its parts."""

from minigrad.drawing.graph import GraphDrawing, draw_graph

__all__ = ["GraphDrawing", "draw_graph"]
