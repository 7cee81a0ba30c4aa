"""A row of a table: our numbers, each beside the one that was expected."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["beside_expected"]


def beside_expected(ours: Sequence[str], expected: Sequence[str] = ()) -> str:
    """Return columns of 18, with what was expected in brackets, if it is not empty.

    Examples
    --------
    >>> beside_expected(["31.765", "3.147"], ["31.77", ""])
    '   31.765 (31.77)     3.147'
    """
    expected = expected or [""] * len(ours)
    pairs = zip(ours, expected, strict=True)
    return "".join(f"{our:>9} {f'({other})' if other else '':8}" for our, other in pairs).rstrip()
