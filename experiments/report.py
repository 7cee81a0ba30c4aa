"""What an experiment prints and draws: the section's line, the textbook's beside it, the curves."""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from datasets import Regression
from experiments import RESULTS
from experiments.protocol import Curve, Experiment, least_squares_loss

__all__ = ["draw", "in_notebook", "prepare_folder", "report", "save", "show_figures"]


def report(
    experiments: Mapping[str, Experiment],
    data: Regression,
    seed: int,
    folder: Path = RESULTS,
    *,
    show: bool = False,
) -> list[Curve]:
    """Run experiments, print each method's line as it is done, and save one figure of them all.

    Ctrl-C ends the running method; what was finished is drawn and kept.

    Parameters
    ----------
    experiments : mapping
        Name to experiment; the figure is named after them.
    data : Regression
        What to train on.
    seed : int
        Of the initial weights and the batches.
    folder : Path
        Where the figure goes; checked before anything runs.
    show : bool
        Whether to open the figure in a window, or in the notebook.

    Returns
    -------
    list of Curve
        The finished ones.

    Raises
    ------
    OSError
        If `folder` cannot be written to.
    KeyboardInterrupt
        After an interruption, once the finished curves are kept.
    """
    prepare_folder(folder)
    floor = least_squares_loss(data)
    print(f"data   {data.source}")
    print(f"floor  {floor:.3f} (least squares: no linear model has a lower loss)")
    print(f"seed   {seed}\n")
    print(f"{'':30}{'here':32}textbook")
    curves: list[Curve] = []
    name = "-".join(experiments)
    try:
        for experiment in experiments.values():
            for curve in experiment.run(data, seed):
                curves.append(curve)
                ours = f"loss: {curve.losses[-1]:.3f}, {curve.seconds_per_epoch:.3f} sec/epoch"
                print(f"{curve.method:30}{ours:32}{curve.textbook}")
        print()
        for experiment in experiments.values():
            print(f"check  {experiment.check(data, seed)}")
        save(draw(curves, floor, data.source), folder / f"{name}.png")
    except KeyboardInterrupt:
        if curves:
            print("\ninterrupted: only finished methods are drawn")
            save(draw(curves, floor, data.source), folder / f"{name}-interrupted.png")
        raise
    if show:
        show_figures()
    plt.close("all")
    return curves


def in_notebook() -> bool:
    """Whether this runs in IPython or Jupyter, where a figure can be shown beside its cell."""
    return "IPython" in sys.modules


def show_figures() -> None:
    """Open all figures in windows, or in the notebook; say so where there is no display."""
    if plt.get_backend().lower() == "agg":
        print("there is no display to show it on; open the file")
    else:
        plt.show()


def draw(curves: Sequence[Curve], floor: float, source: str) -> Figure:
    """Draw the losses over epochs, and how far they are above the floor on a log scale."""
    figure, (whole, excess) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for curve, style in zip(curves, itertools.cycle(("-", "--", ":", "-.")), strict=False):
        label = f"{curve.method}: {curve.losses[-1]:.3f}"
        whole.plot(curve.epochs, curve.losses, style, label=label, linewidth=2)
        above = [loss - floor for loss in curve.losses]
        excess.semilogy(curve.epochs, above, style, label=label, linewidth=2)
    whole.axhline(floor, color="black", linewidth=1, label=f"least squares: {floor:.3f}")
    whole.set(xlabel="epoch", ylabel="loss  ½ mean (ŷ - y)²", title="Loss on all examples")
    whole.legend()
    excess.set(xlabel="epoch", ylabel="loss - least squares", title="Distance to the floor")
    excess.grid(alpha=0.3, which="both")
    figure.suptitle(source.split(",")[0], fontsize="small", color="gray")
    return figure


def prepare_folder(folder: Path, option: str = "--out") -> None:
    """Make `folder`, which `option` names, and see that a file can be written there.

    Raises
    ------
    OSError
        If not; the message names the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"cannot write to the output folder {folder} ({error.strerror or error}); choose "
            f"another with {option}"
        ) from error


def save(figure: Figure, path: Path) -> None:
    """Save under a temporary name and rename, so that `path` is never half a picture; say where."""
    temporary = path.with_name(f".{path.name}")
    try:
        figure.savefig(temporary, dpi=120, format="png")
        temporary.replace(path)
        print(f"figure {path}")
    finally:
        temporary.unlink(missing_ok=True)
