# %% [markdown]
"""The section's claims, each with an experiment, a number and a verdict.

This script asks every question of this folder at a reduced size, which takes a few minutes, and
prints one table.  ``python -m experiments claims`` runs it; ``--full`` asks at full size, and
``--report DIR`` also writes everything to one HTML page.
"""

# %% What is used
from __future__ import annotations

import importlib
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt

from experiments import QUESTIONS
from experiments.page import write_page
from experiments.question import Answer, Question, Setting, Verdict, answer
from experiments.report import in_notebook, prepare_folder
from experiments.sweep import SweepError
from experiments.sweep.executors import executor_for
from experiments.terminal import accept_any_encoding

# %% [markdown]
# ## What the section says
#
# "Adam reaches a useful loss with little learning-rate tuning", "Defaults rarely need tuning", and
# the means "are initialized at zero, so they're biased toward zero early on".  Yogi is "more stable
# for sparse / heavy-tailed gradient distributions".  Adam's failure modes: "instability with
# rare-but-large gradients", and a "generalization gap vs. SGD on certain vision tasks", which
# "motivated AdamW + decoupled weight decay".
#
# A sentence of a textbook is short.  An experiment has to choose: which data, which learning rate
# for which optimizer, what counts as useful.  The verdicts are of three kinds: a claim *holds*, it
# holds *in part*, which the remark explains, or it *fails*.  Beside the section's own sentences
# stand some from papers, and some that a reader may conclude; the table says which.

# %% A question, by the name of its script
def question(name: str) -> Question[object]:
    """Return what the script of this name asks; `QUESTIONS` has the names."""
    found: Question[object] = importlib.import_module(f"experiments.{name}").QUESTION
    return found


# %% [markdown]
# ## The table


# %% A verdict a row
SOURCES = {
    "section": "the section's claims",
    "paper": "the papers' claims",
    "reader": "what a reader may conclude",
}


def table(answers: Sequence[Answer]) -> str:
    """Return all verdicts as text of 100 columns: by experiment, the claim and the number.

    Examples
    --------
    >>> verdicts = [Verdict("Steps have length η.", "1.000 η", "holds")]
    >>> print(table([Answer("steps", "How long?", (), "", verdicts, Path("a.png"), None, 1.0)]))
    steps: How long?
      holds    section  Steps have length η.                    1.000 η
    <BLANKLINE>
    Of the section's claims 1 holds, 0 hold in part, 0 fail.
    """
    lines = []
    for answered in answers:
        lines.append(f"{answered.name}: {answered.asks}")
        for verdict in answered.verdicts:
            lines += _row(verdict)
        lines.append("")
    lines += _counts([verdict for answered in answers for verdict in answered.verdicts])
    return "\n".join(lines)


def _counts(verdicts: Sequence[Verdict]) -> list[str]:
    lines = []
    for source, of in SOURCES.items():
        kinds = [verdict.verdict for verdict in verdicts if verdict.source == source]
        counts = [kinds.count(kind) for kind in ("holds", "in part", "fails")]
        holds, partly, fails = (
            f"{n} {verb}s" if n == 1 else f"{n} {verb}"
            for n, verb in zip(counts, ("hold", "hold", "fail"), strict=True)
        )
        if kinds:
            lines.append(f"Of {of} {holds}, {partly} in part, {fails}.")
    return lines


def _row(verdict: Verdict) -> list[str]:
    claim = textwrap.wrap(verdict.claim, 39)
    number = textwrap.wrap(verdict.number, 40)
    height = max(len(claim), len(number))
    claim += [""] * (height - len(claim))
    number += [""] * (height - len(number))
    labels = [f"{verdict.verdict:9}{verdict.source:9}"] + [" " * 18] * (height - 1)
    rows = zip(labels, claim, number, strict=True)
    return [f"  {label}{left:40}{right}".rstrip() for label, left, right in rows]


# %% Asking all of them
def ask_all(setting: Setting, report: Path | None = None) -> int:
    """Ask every question, print the table of verdicts, and write the page if asked to.

    A question that fails is named, and the others go on.

    Parameters
    ----------
    setting : Setting
        As for one question.
    report : Path, optional
        A folder for ``claims.html``.

    Returns
    -------
    int
        How many questions failed.

    Raises
    ------
    OSError
        If a folder cannot be written to; before anything is measured.
    Interrupted
        After Ctrl-C in a sweep; what was done is kept and not done again.
    """
    accept_any_encoding()
    prepare_folder(setting.folder)
    if report is not None:
        prepare_folder(report, "--report")
    answers, failures = [], []
    try:
        for name in QUESTIONS:
            try:
                answers.append(answer(name, question(name), setting))
            except SweepError as failure:
                failures.append(f"{name} failed: {failure}")
                print(failures[-1])
            plt.close("all")
    finally:  # also after Ctrl-C, with what there is
        if answers:
            print("\n" + table(answers))
            if report is not None:
                print(f"page {write_page(report, answers, setting)}")
    print(f"{setting.data.source}; seed {setting.seed}; {sum(a.seconds for a in answers):.0f} s.")
    print("What speaks against a claim: python -m experiments NAME, or claims --report DIR.")
    print(*failures, sep="\n", end="\n" if failures else "")
    return len(failures)


# %% All of them, at the reduced size
if __name__ == "__main__":
    with executor_for(workers=1 if in_notebook() else None) as (executor, workers):
        ask_all(Setting(reduced=True, executor=executor, workers=workers))
