"""What the C library does with memory that is free again."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

# Their numbers in glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> bool:
    """Ask the C library to keep freed memory for the next array, instead of giving it back.

    A training step of a large model makes hundreds of megabytes of arrays and frees them again.
    By default glibc gives large ones back to the operating system, which then has to find, clear
    and map every page anew at the next step: up to a third of the step's time.  The price is that
    the process stays as large as it has been at its largest.

    Call it once, at the start of a program that trains.  It holds for the whole process, so the
    library does not call it by itself.

    Returns
    -------
    bool
        Whether the C library is glibc, and took it.

    Examples
    --------
    >>> keep_freed_memory() in (True, False)
    True
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # One arena for all threads, so that one can use what another freed; no array mapped by itself;
    # nothing given back at the arena's end.
    options = {M_ARENA_MAX: 1, M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1}
    return sum(mallopt(option, value) for option, value in options.items()) == len(options)
