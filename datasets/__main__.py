"""``python -m datasets``: list the data sets, or fetch one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from datasets import SOURCES, DataError, cache_folder
from datasets.glyphs import SOURCE as GLYPHS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m datasets",
        description="List the data sets: what they are, where they come from, and whether their "
        "file is here. A data set whose file is not here has an embedded stand-in.",
    )
    commands = parser.add_subparsers(dest="command", metavar="{list,fetch}")
    commands.add_parser("list", help="list the data sets (the default)")
    fetch = commands.add_parser("fetch", help="download a data set into the user's cache")
    fetch.add_argument("name", choices=sorted(SOURCES), help="which one")
    arguments = parser.parse_args(argv)
    try:
        return _fetch(arguments.name) if arguments.command == "fetch" else _list()
    except (DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; nothing was written", file=sys.stderr)
        return 130


def _list() -> int:
    for source in SOURCES.values():
        place = source.find()
        print(f"{source.name}: {source.summary}")
        print(f"    from     {source.origin}")
        print(f"    licence  {source.licence}")
        if place is None:
            print("    file     not here: the stand-in is used")
            print(f"             python -m datasets fetch {source.name}")
        elif source.matches(place.read_bytes()):
            print(f"    file     {place}")
        else:
            print(f"    file     {place} (wrong checksum: delete it and fetch it again)")
    print(f"glyphs: {GLYPHS}, 16x16 pixels, 10 classes")
    print(f"\nSearched: $MINIGRAD_DATA, then {cache_folder()}")
    return 0


def _fetch(name: str) -> int:
    source = SOURCES[name]
    place = cache_folder() / source.filename
    if place.is_file() and source.matches(place.read_bytes()):
        print(f"{name} is already here: {place}")
        return 0
    place = source.fetch(_show_progress if sys.stderr.isatty() else None)
    print(f"{name}: {place} ({source.licence}, {source.origin})")
    return 0


def _show_progress(done: int, total: int | None) -> None:
    amount = f"{done / total:4.0%}" if total else ""
    print(f"\r{amount} {done:,} bytes", end="\n" if done == total else "", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
