"""The way from one value to another."""

__all__ = ["interpolate"]


def interpolate(start: float, stop: float, w: float) -> float:
    """Return start + w (stop - start), for w from 0 to 1.

    Computed as it stands, this can round to something beside `stop` where w = 1.  Here w = 0 gives
    `start` and w = 1 gives `stop` exactly, so that what is joined fits.  A larger w is never
    further from `stop`, and none is beyond it: for w below 1, w (stop - start) rounds to less than
    the exact difference, or to that.

    >>> 0.03 + 1.0 * (0.29 - 0.03), interpolate(0.03, 0.29, 1.0)
    (0.29000000000000004, 0.29)
    """
    return start + w * (stop - start) if w < 1 else stop
