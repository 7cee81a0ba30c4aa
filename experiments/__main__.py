"""``python -m experiments``: run the section, or any experiment by name."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from datasets import DataError, airfoil
from experiments import QUESTIONS, RESULTS
from experiments.terminal import accept_any_encoding

SECTION = ("adam", "yogi")
OF_EVERY_OPTIMIZER = ("learning_rate_sensitivity", "paths", "claims")
WITH_FIGURE = (*SECTION, *QUESTIONS, "claims", "schedules")
EXPERIMENTS = {
    "adam": "the section's Adam, from scratch and concise, on the airfoil data",
    "yogi": "the section's Yogi on the same batches",
    "claims": "all questions below at a reduced size: claim, number and verdict",
    **QUESTIONS,
    "schedules": "every learning rate schedule, as a table and a picture; no training",
    "speed": "how fast: an epoch, models and optimizer steps, against other libraries",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    accept_any_encoding()
    arguments = _parser().parse_args(argv)
    if arguments.list:
        for name, summary in EXPERIMENTS.items():
            print(f"{name:27}{summary}")
        return 0
    names = list(dict.fromkeys(arguments.names or SECTION))
    if complaint := _complaint(names, arguments):
        print(f"error: {complaint}", file=sys.stderr)
        return 2
    try:
        return _run(names, arguments)
    except BrokenPipeError:  # what reads our output has enough, as head has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (OSError, DataError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interruption:
        kept = "; finished runs are kept, and the same command goes on from them"
        asked = any(name in QUESTIONS or name == "claims" for name in names)
        print(str(interruption) or f"interrupted{kept if asked else ''}", file=sys.stderr)
        return 130


def _complaint(names: list[str], arguments: argparse.Namespace) -> str:
    """Return what is wrong with the arguments taken together, or nothing."""
    for name in names:
        if name not in EXPERIMENTS:
            near = difflib.get_close_matches(name, EXPERIMENTS, n=1)
            return (
                f"unknown experiment {name!r}{f', did you mean {near[0]!r}?' if near else ';'} "
                f"known are {', '.join(EXPERIMENTS)} (--list says what they are)"
            )
    for option in ("full", "report"):
        if getattr(arguments, option) and "claims" not in names:
            return f"--{option} belongs to claims; run python -m experiments claims --{option}"
    if not any(name in QUESTIONS or name == "claims" for name in names):
        for option in ("workers", "cluster", "fresh"):
            if getattr(arguments, option):
                return f"--{option} belongs to claims and to questions: {', '.join(QUESTIONS)}"
    if arguments.optimizers is not None:
        if not any(name in OF_EVERY_OPTIMIZER for name in names):
            return f"--optimizers belongs to {', '.join(OF_EVERY_OPTIMIZER)}"
        from experiments.lineup import chosen

        try:
            arguments.optimizers = chosen(arguments.optimizers.split(","))
        except ValueError as error:
            return str(error)
    return ""


def _run(names: list[str], arguments: argparse.Namespace) -> int:
    if not arguments.show and any(name in WITH_FIGURE for name in names):
        os.environ["MPLBACKEND"] = "agg"  # no window, whatever the user's own choice is
        import matplotlib as mpl

        mpl.use("agg")
    section = [name for name in names if name in SECTION]
    if section:
        from experiments.report import report

        found = {name: importlib.import_module(f"experiments.{name}") for name in section}
        report(
            {name: module.EXPERIMENT for name, module in found.items()},
            airfoil(arguments.data), arguments.seed, arguments.out, show=arguments.show,
        )  # fmt: skip
    if "speed" in names:
        from experiments.speed.table import speed_table

        speed_table(airfoil(arguments.data), arguments.seed)
    if "schedules" in names:
        from experiments.schedules import picture

        picture(arguments.out, show=arguments.show)
    questions = [name for name in names if name in QUESTIONS]
    return _ask(questions, "claims" in names, arguments) if questions or "claims" in names else 0


def _ask(questions: list[str], claims: bool, arguments: argparse.Namespace) -> int:
    from experiments.claims import ask_all, question
    from experiments.question import Setting, ask
    from experiments.sweep import SweepError
    from experiments.sweep.executors import executor_for

    failed = 0
    with executor_for(arguments.workers, arguments.cluster) as (executor, workers):
        setting = Setting(
            airfoil(arguments.data), arguments.seed, reduced=False,
            optimizers=arguments.optimizers or (), folder=arguments.out,
            workers=workers, executor=executor, fresh=arguments.fresh,
        )  # fmt: skip
        for name in questions:
            try:
                ask(name, question(name), setting, show=arguments.show)
            except SweepError as failure:
                print(f"error: {name}: {failure}", file=sys.stderr)
                failed += 1
        if claims:
            failed += ask_all(replace(setting, reduced=not arguments.full), arguments.report)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments",
        description="Run the textbook's section on Adam and Yogi: print each method's loss and\n"
        "time beside the textbook's, and save one figure of the loss curves.  Or ask a\n"
        "question about one of its claims, or all of them with 'claims'.",
        epilog="experiments:\n" + "\n".join(f"  {k:27}{v}" for k, v in EXPERIMENTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="name", help="experiments; adam yogi if none")
    parser.add_argument("--list", action="store_true", help="list the experiments and stop")
    parser.add_argument(
        "--seed", type=_whole, default=1, metavar="N",
        help="of the initial weights and the batches, 0 or above (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="the airfoil file or its folder, or 'stand-in'; by default $MINIGRAD_DATA and the "
        "user's cache are searched, and the stand-in serves where there is no file",
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="DIR",
        help=f"folder for figures and for the runs of sweeps (default: {RESULTS})",
    )  # fmt: skip
    parser.add_argument("--show", action="store_true", help="also open the figure in a window")

    questions = parser.add_argument_group("questions", "Ctrl-C keeps what is done; the same "
                                          "command continues.")  # fmt: skip
    where = questions.add_mutually_exclusive_group()
    where.add_argument(
        "--workers", type=_workers, metavar="N",
        help="processes that train at the same time (default: one for each core)",
    )  # fmt: skip
    where.add_argument(
        "--cluster", metavar="ADDRESS",
        help="of a Dask scheduler, whose workers train instead; needs minigrad[cluster]",
    )  # fmt: skip
    questions.add_argument(
        "--fresh", action="store_true", help="run again what earlier commands have kept"
    )
    questions.add_argument(
        "--optimizers", metavar="A,B",
        help="only these, and those that a verdict needs, where a question is about every "
        "optimizer: adam,yogi,sgd",
    )  # fmt: skip
    claims = parser.add_argument_group("claims")
    claims.add_argument("--full", action="store_true", help="at full size, not the reduced one")
    claims.add_argument(
        "--report", type=Path, metavar="DIR",
        help="also write everything to one page, DIR/claims.html",
    )  # fmt: skip
    return parser


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or above")
    return int(text)


def _workers(text: str) -> int:
    most = 4 * (os.cpu_count() or 1)
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number from 1 to {most}, four for each core"
        )
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
