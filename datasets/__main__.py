"""``python -m datasets``: list the data sets, or fetch one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from datasets import SOURCES, DataError, Source, cache_folder
from datasets.glyphs import SOURCE as GLYPHS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m datasets",
        description="List the data sets: what they are, where they come from, and whether their "
        "files are here.",
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
        print("\ninterrupted; no part of a file was written", file=sys.stderr)
        return 130


def _list() -> int:
    for name, files in SOURCES.items():
        print(f"{name}: {files[0].summary}")
        print(f"    from     {files[0].origin}")
        print(f"    licence  {files[0].licence}")
        places = {source: source.find() for source in files}
        for source, place in places.items():
            if place is not None:
                print(f"    file     {place}{_fault(source, place)}")
        missing = [source.filename for source, place in places.items() if place is None]
        if missing:
            few = f" ({', '.join(missing)})" if len(missing) < len(files) else ""
            print(f"    file     not here{few}: {files[0].absent}")
            print(f"             python -m datasets fetch {name}")
    print(f"glyphs: {GLYPHS}, 16x16 pixels, 10 classes")
    print(f"\nSearched: $MINIGRAD_DATA, then {cache_folder()}")
    return 0


def _fault(source: Source, place: Path) -> str:
    if place.name in source.unpacked:
        return " (unpacked, so its checksum is not known)"
    if source.matches(place.read_bytes()):
        return ""
    return " (wrong checksum: delete it and fetch it again)"


def _fetch(name: str) -> int:
    for source in SOURCES[name]:
        place = cache_folder() / source.filename
        if place.is_file() and source.matches(place.read_bytes()):
            print(f"{name} is already here: {place}")
            continue
        place = source.fetch(_show_progress if sys.stderr.isatty() else None)
        print(f"{name}: {place} ({source.licence}, {source.origin})")
    return 0


def _show_progress(done: int, total: int | None) -> None:
    amount = f"{done / total:4.0%}" if total else ""
    print(f"\r{amount} {done:,} bytes", end="\n" if done == total else "", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
