"""The textbook's regression data: NASA's airfoil self-noise, or a stand-in with its statistics.

Brooks, Pope & Marcolini, *Airfoil Self-Noise and Prediction*, NASA RP-1218, 1989: 1503 wind
tunnel measurements of a NACA 0012 section.  Five features (frequency in Hz, angle of attack in
degrees, chord length in m, free-stream velocity in m/s, displacement thickness of the suction
side in m) predict the sound pressure level in dB.  As in the textbook, every column is
standardised over all rows, and the first 1500 rows are used.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from datasets.source import STAND_IN, DataError, Source

__all__ = ["AIRFOIL", "Regression", "airfoil", "airfoil_stand_in"]

AIRFOIL = Source(
    name="airfoil",
    filename="airfoil_self_noise.dat",
    sha256="74c75fd71783f1e6b71f8a622b993dc592897a97cd689c5090a07147a1b097b3",
    urls=(
        "https://archive.ics.uci.edu/ml/machine-learning-databases/00291/airfoil_self_noise.dat",
        "https://d2l-data.s3-accelerate.amazonaws.com/airfoil.dat",
    ),
    summary="NASA airfoil self-noise, 1503 rows, 5 features, regression",
    origin="UCI Machine Learning Repository, doi:10.24432/C5VW2C",
    licence="CC BY 4.0",
)

ROWS, COLUMNS, USED = 1503, 6, 1500

# Correlations of the real file's columns: row i of the upper triangle, to the right of its 1.
# (On a standardised file Z: np.corrcoef(Z.T).)  With the 6 ones, they are the 21 numbers that
# determine least squares on standardised data.
CORRELATIONS = (
    (-0.2727645361526043, -0.0036606388723610826, 0.13366383072398183,
     -0.23010735309074176, -0.39071141170821394),
    (-0.504868149764222, 0.058759565117634714, 0.7533937846545841, -0.1561075293441549),
    (0.0037866287673931284, -0.2208424309142411, -0.23616151236420724),
    (-0.00397401318358337, 0.1251028007619846),
    (-0.31266950627654294,),
)  # fmt: skip


@dataclass(frozen=True)
class Regression:
    """A regression problem.

    Attributes
    ----------
    X : ndarray
        Features, shape (n, features), float64.
    y : ndarray
        Targets, shape (n, 1), float64: a column, like the output of a linear layer.
    source : str
        Which data these are, for people.
    """

    X: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    source: str


def airfoil(path: str | os.PathLike[str] | None = None) -> Regression:
    """Return the airfoil data: the real file where there is one, else the stand-in.

    Nothing is downloaded; ``python -m datasets fetch airfoil`` does that.

    Parameters
    ----------
    path : path, optional
        The file or its folder.  By default the folder ``$MINIGRAD_DATA`` and then the user's
        cache are searched.  The word "stand-in" asks for the stand-in.

    Returns
    -------
    Regression
        1500 standardised rows; `source` says which of the two they are.

    Raises
    ------
    FileNotFoundError
        If `path`, or the folder ``$MINIGRAD_DATA``, does not exist.
    DataError
        If the file is not the published one; the message says what is wrong and where.

    Examples
    --------
    >>> data = airfoil("stand-in")
    >>> data.X.shape, data.y.shape
    ((1500, 5), (1500, 1))
    """
    if path == STAND_IN:
        return airfoil_stand_in()
    place = AIRFOIL.find(path)
    if place is None:
        return airfoil_stand_in()
    content = place.read_bytes()
    if not AIRFOIL.matches(content):
        raise DataError(
            f"{place} is not the published airfoil file: {_what_is_wrong(content)}. "
            "'python -m datasets fetch airfoil' gets it into the user's cache, which is searched "
            "after $MINIGRAD_DATA"
        )
    table = np.loadtxt(content.decode("ascii").splitlines(), delimiter="\t")
    return _regression(table, f"airfoil self-noise (NASA), {place}")


def airfoil_stand_in() -> Regression:
    """Return a Gaussian sample whose correlations are exactly the airfoil data's.

    On standardised columns the squared loss of a linear model depends on the data through their
    correlations only.  So the stand-in's 1500 rows have the loss surface and the optimum of the
    real file's 1503.

    Examples
    --------
    >>> data = airfoil_stand_in()
    >>> weights = np.linalg.lstsq(data.X, data.y)[0]
    >>> round(float(np.mean((data.X @ weights - data.y) ** 2) / 2), 4)
    0.2421
    """
    correlation = np.eye(COLUMNS)
    for i, row in enumerate(CORRELATIONS):
        correlation[i, i + 1 :] = correlation[i + 1 :, i] = row
    sample = np.random.default_rng(0).standard_normal((USED, COLUMNS))
    sample -= sample.mean(axis=0)
    # Whitened by its own covariance factor, the sample has exactly the identity as covariance.
    white = np.linalg.solve(np.linalg.cholesky(sample.T @ sample / USED), sample.T)
    table = (np.linalg.cholesky(correlation) @ white).T
    return _regression(table, "stand-in with the airfoil data's correlations (no file needed)")


def _regression(table: npt.NDArray[np.float64], source: str) -> Regression:
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    return Regression(
        X=np.ascontiguousarray(table[:USED, :-1]),
        y=np.ascontiguousarray(table[:USED, -1:]),
        source=source,
    )


def _what_is_wrong(content: bytes) -> str:
    """The first thing that tells these bytes from the published file."""
    lines = content.decode("latin-1").splitlines()
    for number, line in enumerate(lines, start=1):
        fields = line.split("\t")
        if len(fields) != COLUMNS:
            return (
                f"line {number} of {len(lines)} has {len(fields)} tab-separated field(s) instead "
                f"of {COLUMNS}"
            )
        for column, text in enumerate(fields, start=1):
            try:
                value = float(text)
            except ValueError:
                return f"line {number}, field {column} is {text!r}, not a number"
            if not np.isfinite(value):
                return f"line {number}, field {column} is {text.strip()}"
    if len(lines) != ROWS:
        return f"it has {len(lines)} lines instead of {ROWS}"
    if AIRFOIL.matches(content.replace(b"\n", b"\r\n")):
        return "its line ends were changed from CRLF to LF, and so its checksum"
    return "its numbers are well-formed, but its checksum (sha256) is another"
