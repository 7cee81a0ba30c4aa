"""The textbook's text: *The Time Machine*, character by character, or a generated stand-in.

H. G. Wells, *The Time Machine*, 1895.  As in the textbook, only letters and spaces are left: the
text in lower case, with one space for every run of anything else.  A character is the index of its
place in `VOCABULARY`; windows of 65 characters, one from every position, are the examples: 64
characters, and at each of them the one that comes next.

The file is the textbook's.  Project Gutenberg has the book too (ebook 35), but in other bytes: with
its own notice before and after the book, and a checksum that nothing here was tested with.  So
`TIME_MACHINE` has the textbook's address only.
"""

from __future__ import annotations

import operator
import os
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.source import STAND_IN, DataError, Source
from datasets.spelled_arithmetic import spelled_arithmetic

__all__ = [
    "TIME_MACHINE",
    "TRAINING_WINDOWS",
    "VOCABULARY",
    "Text",
    "decode",
    "encode",
    "normalized",
    "time_machine",
    "time_machine_stand_in",
    "windows",
]

TIME_MACHINE = Source(
    name="time_machine",
    filename="timemachine.txt",
    sha256="8424dbd9532ac81f7e5f0b6add90e6952baea29158309d7d1bf3884f4e12c516",
    urls=(
        "https://d2l-data.s3-accelerate.amazonaws.com/timemachine.txt",
        "http://d2l-data.s3-accelerate.amazonaws.com/timemachine.txt",
    ),
    summary="H. G. Wells, The Time Machine, 173,428 characters, text",
    origin="Dive into Deep Learning, d2l.ai",
    licence="public domain",
)

VOCABULARY = "abcdefghijklmnopqrstuvwxyz \N{REPLACEMENT CHARACTER}"
"""The 28 symbols in the order of their indices: a is 0, the space 26, and index 27 stands for any
other character.  A normalized text has none, so 27 of the 28 symbols occur."""

TRAINING_WINDOWS = 100_000
"""So many windows from the start of the text are for training."""

SIZE = 178_979  # of the file, in bytes
LENGTH = 173_428  # of the book, normalized, in characters
INDEX = {character: index for index, character in enumerate(VOCABULARY)}


@dataclass(frozen=True)
class Text:
    """A text of letters and spaces.

    Attributes
    ----------
    characters : ndarray
        The characters as indices into `VOCABULARY`, shape (n,), int64.
    source : str
        Which text this is, for people.
    """

    characters: npt.NDArray[np.int64]
    source: str


def time_machine(path: str | os.PathLike[str] | None = None) -> Text:
    """Return *The Time Machine*: the real text where its file is, else a generated stand-in.

    Nothing is downloaded; ``python -m datasets fetch time_machine`` does that.

    Parameters
    ----------
    path : path, optional
        The file or its folder.  By default the folder ``$MINIGRAD_DATA`` and then the user's
        cache are searched.  The word "stand-in" asks for the stand-in.

    Returns
    -------
    Text
        Normalized; `source` says which of the two it is.

    Raises
    ------
    FileNotFoundError
        If `path`, or the folder ``$MINIGRAD_DATA``, does not exist.
    DataError
        If the file is not the published one.  For a text of your own there is
        ``encode(normalized(text))``.

    Examples
    --------
    >>> text = time_machine("stand-in")
    >>> X, y = windows(text.characters)
    >>> X[:TRAINING_WINDOWS].shape, y[:TRAINING_WINDOWS].shape
    ((100000, 64), (100000, 64))
    """
    if path == STAND_IN:
        return time_machine_stand_in()
    place = TIME_MACHINE.find(path)
    if place is None:
        return time_machine_stand_in()
    content = place.read_bytes()
    if not TIME_MACHINE.matches(content):
        raise DataError(
            f"{place} is not the published text: {_what_is_wrong(content)}. "
            "'python -m datasets fetch time_machine' gets it into the user's cache, which is "
            "searched after $MINIGRAD_DATA; a text of your own is encode(normalized(text))"
        )
    characters = encode(normalized(content.decode("ascii")))
    return Text(characters, f"The Time Machine (H. G. Wells), {place}")


def time_machine_stand_in() -> Text:
    """Return a generated text, as long as *The Time Machine*: arithmetic in words.

    Its characters are about as uneven as the book's; `datasets.spelled_arithmetic` has the numbers.

    Examples
    --------
    >>> decode(time_machine_stand_in().characters[:80])
    'what is eighteen and three asked anna it is twenty one the merchant said to anna'
    """
    text = spelled_arithmetic(LENGTH, np.random.default_rng(0))
    return Text(encode(text), "stand-in: arithmetic in words, generated (no file needed)")


def normalized(text: str) -> str:
    """Return the text in lower case, with one space for every run of other characters than a-z.

    Accented letters count as other characters: what is left is in `VOCABULARY`.

    Examples
    --------
    >>> normalized("The Time Machine, by H. G. Wells [1898]")
    'the time machine by h g wells '
    """
    return re.sub("[^A-Za-z]+", " ", text).lower()


def encode(text: str) -> npt.NDArray[np.int64]:
    """Return the index of every character in `VOCABULARY`.

    Parameters
    ----------
    text : str
        Of characters in the vocabulary; `normalized` makes any text one.  Other characters are
        refused, not replaced: index 27 comes only from U+FFFD, the replacement character, itself.

    Returns
    -------
    ndarray
        Shape (len(text),), int64.

    Raises
    ------
    ValueError
        If there is another character.

    Examples
    --------
    >>> encode("a time")
    array([ 0, 26, 19,  8, 12,  4])
    """
    if others := sorted(set(text) - INDEX.keys()):
        shown = ", ".join(map(repr, others[:10])) + (", ..." if len(others) > 10 else "")
        raise ValueError(
            f"the text has {len(others)} character(s) outside the vocabulary: {shown}, the first "
            f"at position {min(map(text.index, others))}; accepted are a-z in lower case and the "
            "space, which normalized(text) leaves, and U+FFFD for a character that is unknown"
        )
    return np.array([INDEX[character] for character in text], dtype=np.int64)


def decode(characters: Any) -> str:
    """Return the text of these indices, the inverse of `encode`.

    Parameters
    ----------
    characters : array of int
        Shape (n,), from 0 to 27.

    Raises
    ------
    ValueError
        If it has another shape or another index.
    TypeError
        If it has no integers.

    Examples
    --------
    >>> decode(encode("a time"))
    'a time'
    """
    indices = _indices(characters)
    wrong = indices[(indices < 0) | (indices >= len(VOCABULARY))]
    if wrong.size:
        raise ValueError(
            f"{wrong[0]} is no index of a character: accepted are 0 to {len(VOCABULARY) - 1}"
        )
    return "".join(VOCABULARY[index] for index in indices)


def windows(
    characters: npt.NDArray[np.int64], length: int = 65
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the windows from every position: all but their last character, all but their first.

    The target of each character is the one after it, ``y[i, j] == X[i, j + 1]``.

    Windows overlap.  The first that shares no character with the training windows, which come
    first, is ``TRAINING_WINDOWS + length - 1``: those from there on can be held out.

    Parameters
    ----------
    characters : ndarray
        Indices of a text, shape (n,).
    length : int
        Of a window, at least 2 and at most n.

    Returns
    -------
    (ndarray, ndarray)
        Inputs X and targets y, shape (n - length + 1, length - 1): views that cannot be written.

    Raises
    ------
    ValueError
        If the text is shorter than a window, or `length` below 2.
    TypeError
        If `characters` is no array of integers, or `length` no whole number.

    Examples
    --------
    >>> X, y = windows(encode("the time"), length=5)
    >>> [(decode(a), decode(b)) for a, b in zip(X, y)]
    [('the ', 'he t'), ('he t', 'e ti'), ('e ti', ' tim'), (' tim', 'time')]
    """
    indices, length = _indices(characters), operator.index(length)
    if length < 2:
        raise ValueError(f"length={length}: a window is a character and its next, 2 at least")
    if len(indices) < length:
        raise ValueError(
            f"the text has {len(indices)} character(s), fewer than a window's {length}; give a "
            "longer text or a smaller length"
        )
    every = np.lib.stride_tricks.sliding_window_view(indices, length)
    return every[:, :-1], every[:, 1:]


def _indices(characters: Any) -> npt.NDArray[np.int64]:
    indices = np.asarray(characters)
    if indices.dtype.kind not in "iu":
        raise TypeError(
            f"these are characters of dtype {indices.dtype}, not indices; encode(text) has those"
        )
    if indices.ndim != 1:
        raise ValueError(f"characters of shape {indices.shape}: accepted is one text, shape (n,)")
    return indices.astype(np.int64, copy=False)


def _what_is_wrong(content: bytes) -> str:
    """What tells these bytes from the published file."""
    if TIME_MACHINE.matches(content.replace(b"\r\n", b"\n")):
        return "its line ends were changed from LF to CRLF, and so its checksum"
    if b"Project Gutenberg" in content[:1000]:
        return "it is Project Gutenberg's edition, which has other bytes"
    if len(content) != SIZE:
        start = content[:40].decode("latin-1")
        return f"it has {len(content):,} bytes instead of {SIZE:,} and begins {start!r}"
    return "its length is right, but its checksum (sha256) is another"
