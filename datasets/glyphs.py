"""Images of digits, drawn from the fonts that come with matplotlib: no file, no download.

Each is a digit in a random font, a little turned, shifted, larger or smaller, paler or brighter,
under noise.  Ten classes in 16x16 pixels are a task of vision that a small network learns in
well under a second.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FONTS", "Images", "glyphs"]

FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique",
    "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique",
    "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic",
    "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
    "cmr10", "cmb10", "cmss10", "cmtt10",
)  # fmt: skip
"""Of matplotlib's fonts those with ten lining digits: cmmi10 has old-style ones, and the rest has
symbols in their place.  (cmti10 has come with version 3.11 only.)"""

SIZE = 16
HEIGHT = 9.0, 13.0  # of the digit, in pixels
TURN = np.pi / 12  # at most, either way: 6 and 9, 1 and 7 stay what they are
SHIFT = 1.5  # of the centre, at most, either way, in pixels
INK = 0.6, 1.0  # brightness of the digit, on a background of 0
NOISE = 0.2  # added to a pixel, at most, either way

SOURCE = f"digits from {len(FONTS)} fonts of matplotlib, drawn here (no file needed)"


@dataclass(frozen=True)
class Images:
    """Images in classes.

    Attributes
    ----------
    X : ndarray
        Brightness from 0 to 1, shape (n, channels, height, width), float32: what `nn.Conv2d`
        takes.  ``X.reshape(n, -1)`` has a row for each image.
    y : ndarray
        Classes, shape (n,), integers from 0: what `cross_entropy` takes.
    source : str
        Which data these are, for people.
    """

    X: npt.NDArray[np.float32]
    y: npt.NDArray[np.int64]
    source: str


def glyphs(n: int, rng: np.random.Generator) -> Images:
    """Draw n digits, 0 to 9 in turn, each in a random font, size and place.

    Every image takes its row of random numbers: with generators of one state, the first images of
    a larger set are those of a smaller one, and the classes are balanced in both.

    Parameters
    ----------
    n : int
        How many, at least 1.
    rng : numpy.random.Generator
        Draws fonts, sizes, places and noise.

    Returns
    -------
    Images
        `X` of shape (n, 1, 16, 16), bright digits on black; `y` is 0, 1, ..., 9, 0, 1, ...

    Raises
    ------
    TypeError
        If n is no whole number, or `rng` no generator.
    ValueError
        If n is below 1.

    Notes
    -----
    Outlines are turned and moved exactly, and filled by matplotlib's Agg renderer: a pixel's
    brightness is the part of it that the digit covers.

    Examples
    --------
    >>> digits = glyphs(1000, np.random.default_rng(0))
    >>> digits.X.shape, digits.X.dtype, digits.y[:12]
    ((1000, 1, 16, 16), dtype('float32'), array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]))
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer):
        raise TypeError(f"n={n!r} is of type {type(n).__name__}; it must be an integer, 1 or above")
    if n < 1:
        raise ValueError(f"n={n}; there must be at least 1 image")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng={rng!r} is of type {type(rng).__name__}; it must be a numpy.random.Generator, "
            "such as np.random.default_rng(0)"
        )
    draws = rng.random((n, 6 + SIZE * SIZE))
    font, height, turn, right, up, ink = draws[:, :6].T
    y = np.arange(n) % 10
    X = _covered(
        y,
        (font * len(FONTS)).astype(int),
        height=_between(*HEIGHT, height),
        turn=_between(-TURN, TURN, turn),
        right=SIZE / 2 + _between(-SHIFT, SHIFT, right),
        up=SIZE / 2 + _between(-SHIFT, SHIFT, up),
    )
    X *= _between(*INK, ink)[:, None]
    X += _between(-NOISE, NOISE, draws[:, 6:])
    return Images(
        X=np.clip(X, 0, 1).astype(np.float32).reshape(n, 1, SIZE, SIZE),
        y=y,
        source=SOURCE,
    )


def _between(low: float, high: float, u: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """From numbers in [0, 1) to numbers in [low, high)."""
    return low + (high - low) * u


def _covered(
    digits: npt.NDArray[np.int64],
    fonts: npt.NDArray[np.int64],
    *,
    height: npt.NDArray[np.float64],
    turn: npt.NDArray[np.float64],
    right: npt.NDArray[np.float64],
    up: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Return how much of each pixel each digit covers, from 0 to 1; shape (n, pixels).

    ``right, up`` is where the digit's centre goes, from the lower left corner, in pixels.
    """
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.transforms import Affine2D

    renderer: Any = RendererAgg(SIZE, SIZE, dpi=72)  # type: ignore[no-untyped-call]
    canvas = np.asarray(renderer.buffer_rgba())  # a view: what is drawn appears in it
    context = renderer.new_gc()
    context.set_linewidth(0)
    context.set_snap(False)  # outlines stay between pixels, where they are
    white = (1.0, 1.0, 1.0)

    # (x, y) -> (a x - b y + right, b x + a y + up): scaled by the height, turned, moved.
    matrices = np.zeros((len(digits), 3, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = height * np.cos(turn)
    matrices[:, 1, 0] = height * np.sin(turn)
    matrices[:, 0, 1] = -matrices[:, 1, 0]
    matrices[:, 0, 2], matrices[:, 1, 2], matrices[:, 2, 2] = right, up, 1.0

    covered = np.empty((len(digits), SIZE, SIZE))
    for i, (font, digit) in enumerate(zip(fonts.tolist(), digits.tolist(), strict=True)):
        renderer.clear()
        renderer.draw_path(context, _outline(FONTS[font], digit), Affine2D(matrices[i]), white)
        covered[i] = canvas[:, :, 3]  # opacity
    return covered.reshape(len(digits), -1) / 255


@functools.cache
def _outline(font: str, digit: int) -> Any:
    """Return a digit's outline, a matplotlib path of height 1 with its centre at (0, 0)."""
    import matplotlib as mpl
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    file = Path(mpl.get_data_path(), "fonts", "ttf", f"{font}.ttf")
    outline = TextPath((0, 0), str(digit), prop=FontProperties(fname=file))
    box = outline.get_extents()
    centred = Affine2D().translate(-(box.x0 + box.x1) / 2, -(box.y0 + box.y1) / 2)
    return centred.scale(1 / box.height).transform_path(outline)
