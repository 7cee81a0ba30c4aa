"""``python -m experiments``: run the section, or any experiment by name."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from datasets import DataError, airfoil
from experiments import RESULTS

EXPERIMENTS = {
    "adam": "the section's Adam, from scratch and concise, on the airfoil data",
    "yogi": "the section's Yogi on the same batches",
    "speed": "how fast: an epoch, models and optimizer steps, against other libraries",
    "schedules": "every learning rate schedule, as a table and a picture; no training",
}
SECTION = ("adam", "yogi")
WITH_FIGURE = (*SECTION, "schedules")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = _parser().parse_args(argv)
    if arguments.list:
        for name, summary in EXPERIMENTS.items():
            print(f"{name:11}{summary}")
        return 0
    names = arguments.names or list(SECTION)
    unknown = [name for name in names if name not in EXPERIMENTS]
    if unknown:
        print(
            f"error: unknown experiment {', '.join(map(repr, unknown))}; "
            f"known are {', '.join(EXPERIMENTS)} (--list says what they are)",
            file=sys.stderr,
        )
        return 2
    try:
        _run(list(dict.fromkeys(names)), arguments)
    except (OSError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _run(names: list[str], arguments: argparse.Namespace) -> None:
    section = [name for name in names if name in SECTION]
    if not arguments.show and any(name in WITH_FIGURE for name in names):
        import matplotlib as mpl

        mpl.use("agg")
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments",
        description="Run the textbook's section on Adam and Yogi: print each method's loss and "
        "time beside the textbook's, and save one figure of the loss curves.",
        epilog="experiments: " + "; ".join(f"{k}: {v}" for k, v in EXPERIMENTS.items()),
    )
    parser.add_argument("names", nargs="*", metavar="name", help="experiments; adam yogi if none")
    parser.add_argument("--list", action="store_true", help="list the experiments and stop")
    parser.add_argument(
        "--seed", type=_seed, default=1, metavar="N",
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
        help=f"folder for the figure (default: {RESULTS})",
    )  # fmt: skip
    parser.add_argument("--show", action="store_true", help="also open the figure in a window")
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or above")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
