"""An animation of several optimizers at once, on several functions: a GIF file."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.animation import PillowWriter

from experiments.lineup import line
from experiments.trainings.landscapes import STEPS, Descent, Landscape, contours

__all__ = ["Panel", "race"]

SIZE, DPI = (8.0, 6.4), 80
FRAMES_PER_SECOND = 12
# Early steps one by one, later ones in leaps; then a second of rest.
FRAMES = [*(round(STEPS * (k / 50) ** 2) for k in range(51)), *[STEPS] * FRAMES_PER_SECOND]


@dataclass(frozen=True)
class Panel:
    """A function, and the descents on it by optimizer."""

    title: str
    landscape: Landscape
    descents: Mapping[str, Descent]


def race(panels: Sequence[Panel], path: Path) -> None:
    """Write four panels as a GIF, under a temporary name first: `path` is never half of one.

    Every panel has the same optimizers.
    """
    names = list(panels[0].descents)
    still, axes = plt.subplots(2, 2, figsize=SIZE, layout="constrained")
    for ax, panel in zip(axes.flat, panels, strict=True):
        contours(ax, panel.landscape)
        ax.set_title(panel.title, loc="left", size="medium")
        ax.set_xlabel(panel.landscape.coordinates[0])
        ax.set_ylabel(panel.landscape.coordinates[1])
    handles = [ax.plot([], [], **line(name, marker=True))[0] for name in names]
    still.legend(handles=handles, loc="outside lower center", ncols=len(names), frameon=False)
    still.suptitle(" \n")  # the place of the step's number
    background = io.BytesIO()
    still.savefig(background, dpi=DPI)
    background.seek(0)

    # What stands still is drawn once, above; each frame lays the paths over that picture.
    figure = plt.figure(figsize=SIZE, dpi=DPI)
    figure.figimage(plt.imread(background), zorder=-1)
    title = figure.text(0.5, 0.97, "", ha="center", va="center", size="large")
    moving = []
    for ax, panel in zip(axes.flat, panels, strict=True):
        over = figure.add_axes(ax.get_position(), xlim=ax.get_xlim(), ylim=ax.get_ylim())
        over.set_axis_off()
        for name, descent in panel.descents.items():
            (trail,) = over.plot([], [], **line(name), linewidth=1.5)
            (head,) = over.plot([], [], **line(name, marker=True), markersize=7)
            moving.append((trail, head, descent.points))
    temporary = path.with_name(f".{path.name}")
    writer = PillowWriter(fps=FRAMES_PER_SECOND)
    try:
        with writer.saving(figure, temporary, DPI):
            for t in FRAMES:
                title.set_text(f"step {t}, each at the rate tuned for it (turned copy: for f)")
                for trail, head, points in moving:
                    trail.set_data(*points[: t + 1].T)
                    head.set_data(*points[t : t + 1].T)
                writer.grab_frame()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        plt.close(still)
        plt.close(figure)
