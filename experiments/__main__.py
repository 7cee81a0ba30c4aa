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

from datasets import STAND_IN, DataError, airfoil
from experiments import QUESTIONS, RESULTS, TRAININGS
from experiments.terminal import accept_any_encoding

SECTION = ("adam", "yogi")
OF_EVERY_OPTIMIZER = ("learning_rate_sensitivity", "paths", "claims")
CHOOSING_OPTIMIZERS = (*OF_EVERY_OPTIMIZER, "language_model", "cnn")
WITH_FIGURE = (*SECTION, *QUESTIONS, *TRAININGS, "claims", "schedules", "compiled_step")
EXPERIMENTS = {
    "adam": "the section's Adam, from scratch and concise, on the airfoil data",
    "yogi": "the section's Yogi on the same batches",
    "claims": "all questions below at a reduced size: claim, number and verdict",
    **QUESTIONS,
    **TRAININGS,
    "schedules": "every learning rate schedule, as a table and a picture; no training",
    "compiled_step": "what backward does, as lines of NumPy; compiled, and how fast that is",
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
        asked = any(name in (*QUESTIONS, *TRAININGS, "claims") for name in names)
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
    asked = any(name in QUESTIONS or name == "claims" for name in names)
    trained = [name for name in names if name in TRAININGS]
    for option in ("workers", "cluster", "fresh"):
        if getattr(arguments, option) and not asked and not (option == "fresh" and trained):
            also = f"; {trained[0]} runs its trainings one after the other" if trained else ""
            return f"--{option} belongs to claims and to questions: {', '.join(QUESTIONS)}{also}"
    for option in ("steps", "quick"):
        if getattr(arguments, option) and not trained:
            return f"--{option} belongs to {', '.join(TRAININGS)}"
    if trained and len(names) > 1 and arguments.data not in (None, STAND_IN):
        return (
            f"--data is a place of {trained[0]}'s own data; run it alone, without "
            f"{' and '.join(name for name in names if name != trained[0])}"
        )
    return _complaint_about_optimizers(names, arguments)


def _complaint_about_optimizers(names: list[str], arguments: argparse.Namespace) -> str:
    """As `_complaint`; replaces the text of --optimizers by the names."""
    if arguments.optimizers is None:
        return ""
    if not any(name in CHOOSING_OPTIMIZERS for name in names):
        return f"--optimizers belongs to {', '.join(CHOOSING_OPTIMIZERS)}"
    from experiments.lineup import chosen

    try:
        arguments.optimizers = chosen(arguments.optimizers.split(","))
    except ValueError as error:
        return str(error)
    for name in [name for name in names if name in TRAININGS and name in CHOOSING_OPTIMIZERS]:
        rates = importlib.import_module(f"experiments.{name}").RATES
        if others := [optimizer for optimizer in arguments.optimizers if optimizer not in rates]:
            return (
                f"{name} has no learning rates to try for {', '.join(others)}; it has for "
                f"{', '.join(rates)}"
            )
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
    if "compiled_step" in names:
        from experiments.compiled_step import walk

        walk(airfoil(arguments.data), arguments.seed, arguments.out, show=arguments.show)
    if "schedules" in names:
        from experiments.schedules import picture

        picture(arguments.out, show=arguments.show)
    failed = 0
    questions = [name for name in names if name in QUESTIONS]
    if questions or "claims" in names:
        failed += _ask(questions, "claims" in names, arguments)
    for name in [name for name in names if name in TRAININGS]:
        failed += _ask_a_training(name, arguments)
    return 1 if failed else 0


def _ask_a_training(name: str, arguments: argparse.Namespace) -> int:
    from experiments.claims import question
    from experiments.question import Setting, ask
    from experiments.sweep import SweepError

    setting = Setting(
        airfoil(STAND_IN), arguments.seed, reduced=arguments.quick,
        optimizers=arguments.optimizers or (), folder=arguments.out, fresh=arguments.fresh,
        steps=arguments.steps, path=arguments.data,
    )  # fmt: skip
    try:
        ask(name, question(name), setting, show=arguments.show)
    except SweepError as failure:
        print(f"error: {name}: {failure}", file=sys.stderr)
        return 1
    return 0


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
    return failed


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
        help="the data file or its folder (the text for language_model and gradient_statistics, "
        "the airfoil file for others), or 'stand-in'; by default $MINIGRAD_DATA and the user's "
        "cache are searched, and the stand-in serves where there is no file.  For cnn mnist, "
        "fashion-mnist or a folder with such files; by default digits are drawn",
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
        "--fresh", action="store_true",
        help="run again what earlier commands have kept; also for trainings",
    )  # fmt: skip
    questions.add_argument(
        "--optimizers", metavar="A,B",
        help="only these, and those that a verdict needs, where a question is about every "
        "optimizer: adam,yogi,sgd; for language_model and cnn these too: yogi,lion",
    )  # fmt: skip
    trainings = parser.add_argument_group(
        "trainings", f"{', '.join(TRAININGS)}: a checkpoint is written every minute\nand on "
        "Ctrl-C; the same command continues, to the same numbers.",
    )  # fmt: skip
    size = trainings.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a preview in about a minute")
    size.add_argument(
        "--steps", type=_steps, metavar="N",
        help="steps of each run; what fewer steps have kept is continued",
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


def _steps(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 1 or above")
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
