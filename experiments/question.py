"""What a question script offers: what it measures, what it draws, and what it concludes.

Each of the section's claims has a script, and each script ends with a `Question`.  ``python -m
experiments NAME`` asks it at its full size; ``python -m experiments claims`` asks all of them, at
a reduced size, and makes a table of their verdicts.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from matplotlib.figure import Figure

from datasets import Regression, airfoil
from experiments import RESULTS
from experiments.report import in_notebook, prepare_folder, save, show_figures
from experiments.sweep import Result, Run, sweep
from experiments.terminal import accept_any_encoding

__all__ = ["Answer", "Question", "Setting", "Verdict", "answer", "ask", "verdict_lines"]

M = TypeVar("M")


@dataclass(frozen=True)
class Setting:
    """Where, on what, and at which size a question is asked.

    Attributes
    ----------
    data : Regression
        The airfoil data, real or the stand-in.
    seed : int
        The first seed; a question that takes several seeds counts on from it.
    reduced : bool
        Whether a smaller version will do, as in ``claims``: fewer seeds, rates or steps.
    optimizers : tuple of str
        Names from `experiments.lineup`, for questions about every optimizer; empty: the question's
        own choice.
    folder : Path
        For figures; the runs of sweeps are kept in its subfolder ``runs``.
    workers : int or None
        How many processes train at the same time; None: one for each core.
    executor : Executor, optional
        What the runs are handed to instead of processes of our own.
    fresh : bool
        Whether to run again what earlier calls have kept.
    steps : int, optional
        Of each run, for the longer trainings; None: the question's own choice.
    path : str, optional
        Where a question that has other data than `data` looks them up; see its data set.
    """

    data: Regression = field(default_factory=airfoil)
    seed: int = 1
    reduced: bool = False
    optimizers: tuple[str, ...] = ()
    folder: Path = RESULTS
    workers: int | None = None
    executor: Executor | None = None
    fresh: bool = False
    steps: int | None = None
    path: str | None = None

    def sweep(
        self,
        name: str,
        train: Callable[..., Result],
        runs: Sequence[Run],
    ) -> list[dict[str, Any]]:
        """Run trainings side by side and return their results in the order of `runs`.

        As `experiments.sweep.sweep`, with this setting's workers; results are kept as
        ``runs/NAME.jsonl``.
        """
        return sweep(
            train,
            runs,
            results=self.folder / "runs" / f"{name}.jsonl",
            workers=self.workers,
            executor=self.executor,
            fresh=self.fresh,
            description=name,
        )


@dataclass(frozen=True)
class Verdict:
    """What a measurement says about one claim.

    Attributes
    ----------
    claim : str
        The claim, a sentence.
    number : str
        What was measured, with its unit and what it stands beside: "2.1 decades, SGD 1.2".
    verdict : {"holds", "in part", "fails"}
        Follows from the number by a rule that the script states.
    remark : str
        Where the claim is imprecise, or what goes against it.
    source : {"section", "paper", "reader"}
        Who claims it: the textbook's section, a paper, or a reader who concludes it from them.
    """

    claim: str
    number: str
    verdict: Literal["holds", "in part", "fails"]
    remark: str = ""
    source: Literal["section", "paper", "reader"] = "section"


@dataclass(frozen=True)
class Question(Generic[M]):
    """A question, and the four functions that answer it.

    Attributes
    ----------
    asks : str
        The question, one line that ends with a question mark.
    equations : tuple of str
        In TeX as matplotlib's mathtext takes it, without dollar signs; for the report.
    measure : callable
        ``measure(setting)`` returns the measurement, of a type of the script's own.
    table : callable
        ``table(measurement)`` returns it as text for a terminal, 100 columns at most.
    judge : callable
        ``judge(measurement)`` returns the verdicts.
    draw : callable
        ``draw(measurement)`` returns the figure.
    animate : callable, optional
        ``animate(measurement, path)`` writes an animation as a GIF file.
    """

    asks: str
    equations: tuple[str, ...]
    measure: Callable[[Setting], M]
    table: Callable[[M], str]
    judge: Callable[[M], list[Verdict]]
    draw: Callable[[M], Figure]
    animate: Callable[[M, Path], None] | None = None


@dataclass(frozen=True)
class Answer:
    """A question that has been asked.

    Attributes
    ----------
    name, asks : str
        The script's name, and its question.
    equations : tuple of str
        The question's.
    table : str
        The measurement, as text.
    verdicts : list of Verdict
        What follows.
    figure, animation : Path
        Where the pictures are; `animation` is None if there is none.
    seconds : float
        How long it took.
    """

    name: str
    asks: str
    equations: tuple[str, ...]
    table: str
    verdicts: list[Verdict]
    figure: Path
    animation: Path | None
    seconds: float


def answer(name: str, question: Question[M], setting: Setting) -> Answer:
    """Measure, judge, and save the figure as ``NAME.png`` in the setting's folder, which exists.

    Raises
    ------
    RunsFailed, Interrupted
        From a sweep.
    """
    started = time.perf_counter()
    measurement = question.measure(setting)
    table, verdicts = question.table(measurement), question.judge(measurement)
    figure, animation = setting.folder / f"{name}.png", None
    save(question.draw(measurement), figure)
    if question.animate is not None:
        animation = setting.folder / f"{name}.gif"
        question.animate(measurement, animation)
        print(f"animation {animation}")
    seconds = time.perf_counter() - started
    return Answer(
        name, question.asks, question.equations, table, verdicts, figure, animation, seconds
    )


def ask(
    name: str,
    question: Question[Any],
    setting: Setting | None = None,
    *,
    show: bool | None = None,
) -> Answer:
    """Answer a question, and print its table and its verdicts.

    Parameters
    ----------
    name : str
        The script's name.
    question : Question
        What the script offers.
    setting : Setting, optional
        By default the full size, on the data that are here.
    show : bool, optional
        Whether to open the figure in a window; by default only in a notebook.

    Raises
    ------
    OSError
        If the setting's folder cannot be written to; before anything is measured.
    RunsFailed, Interrupted
        From a sweep.
    """
    import matplotlib.pyplot as plt

    accept_any_encoding()
    setting = Setting() if setting is None else setting
    prepare_folder(setting.folder)
    print(f"{name}: {question.asks}\n")
    answered = answer(name, question, setting)
    print(f"\n{answered.table}\n")
    print("\n".join(verdict_lines(answered.verdicts)))
    if in_notebook() if show is None else show:
        show_figures()
    plt.close("all")
    return answered


def verdict_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """Return verdicts as lines of a terminal: the claim, what was measured, what follows.

    Examples
    --------
    >>> for line in verdict_lines([Verdict("Steps have length η.", "1.000 η", "holds")]):
    ...     print(line)
    claim    Steps have length η.  (section)
    number   1.000 η
    verdict  holds
    <BLANKLINE>
    """
    lines = []
    for verdict in verdicts:
        claim = f"{verdict.claim}  ({verdict.source})"
        rows = {"claim": claim, "number": verdict.number, "verdict": verdict.verdict}
        for label, text in (rows | ({"remark": verdict.remark} if verdict.remark else {})).items():
            lines += textwrap.wrap(
                text, 99, initial_indent=f"{label:9}", subsequent_indent=" " * 9
            )
        lines.append("")
    return lines
