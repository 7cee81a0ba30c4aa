"""Printing where a terminal has its own ideas."""

from __future__ import annotations

import sys

__all__ = ["accept_any_encoding"]


def accept_any_encoding() -> None:
    """Print a Greek letter as its number, not raise an error, where the encoding has none."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
