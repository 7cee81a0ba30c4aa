"""Where a data set's file comes from: looking it up, checking it, fetching it."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["STAND_IN", "DataError", "Source", "cache_folder", "data_folders"]

STAND_IN = "stand-in"
"""As a path it asks for a data set's stand-in, whose `source` begins with it."""

TIMEOUT = 30  # seconds without an answer


class DataError(ValueError):
    """A data file is not what it should be, or could not be fetched."""


@dataclass(frozen=True)
class Source:
    """One published file, and all that is needed to find, check and fetch it.

    Attributes
    ----------
    name : str
        The data set's name here.
    filename : str
        The file's name in the folders that are searched; one of several files of a data set has
        the data set's folder in front, "mnist/train-images-idx3-ubyte.gz".
    sha256 : str
        Checksum of its bytes as published.
    urls : tuple of str
        Where to download it; tried in order.
    summary, origin, licence : str
        For people.
    absent : str
        For people too: what can be done without the file.
    unpacked : tuple of str
        Names of the unpacked file, which is taken where the file itself is not.
    """

    name: str
    filename: str
    sha256: str
    urls: tuple[str, ...]
    summary: str
    origin: str
    licence: str
    absent: str = "the stand-in is used"
    unpacked: tuple[str, ...] = ()

    def find(self, path: str | os.PathLike[str] | None = None) -> Path | None:
        """Return where the file is, or None if it is nowhere.

        Looks at `path` (the file or its folder), else in the folder ``$MINIGRAD_DATA``, else in
        the user's cache.

        Raises
        ------
        FileNotFoundError
            If `path`, or the folder that ``$MINIGRAD_DATA`` names, does not exist: a misspelt
            name must not pass for "no data".
        """
        if path is not None:
            given = Path(path)
            named = Path(self.filename).name
            place = self._in(given, named) if given.is_dir() else given
            if not place.is_file():
                raise FileNotFoundError(
                    f"no {self.name} data at {place}; give the file or its folder, or run "
                    f"'python -m datasets fetch {self.name}'"
                )
            return place
        places = (self._in(folder, self.filename) for folder in data_folders())
        return next((place for place in places if place.is_file()), None)

    def _in(self, folder: Path, filename: str) -> Path:
        """The file's place in this folder, or that of the unpacked one if only it is there."""
        published = folder / filename
        places = [published, *(published.with_name(name) for name in self.unpacked)]
        return next((place for place in places if place.is_file()), published)

    def matches(self, content: bytes) -> bool:
        """Whether these are the published bytes."""
        return hashlib.sha256(content).hexdigest() == self.sha256

    def fetch(self, progress: Callable[[int, int | None], None] | None = None) -> Path:
        """Download the file into the user's cache and return its place there.

        It appears under its name only once it is whole and its checksum is right.

        Parameters
        ----------
        progress : callable, optional
            Called with the bytes so far, and the bytes in all if the server tells.

        Raises
        ------
        DataError
            If no address gave the file; the message has every address's reason.
        """
        target = cache_folder() / self.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        failures = []
        for url in self.urls:
            try:
                content = _download(url, progress)
            except (OSError, http.client.HTTPException, ValueError) as error:
                failures.append(f"{url}: {error or type(error).__name__}")
                continue
            if not self.matches(content):
                failures.append(f"{url}: {len(content)} bytes with another checksum")
                continue
            _write_whole(target, content)
            return target
        subject = self.filename if "/" in self.filename else self.name
        raise DataError(
            f"{subject} could not be downloaded, nothing was written:\n  "
            + "\n  ".join(failures)
            + f"\nWith a browser, save it as {target}, or as {self.filename} in a folder that "
            "MINIGRAD_DATA names."
        )


def data_folders() -> list[Path]:
    """Return the folders that are searched, in order: ``$MINIGRAD_DATA`` if set, the cache.

    Raises
    ------
    FileNotFoundError
        If ``$MINIGRAD_DATA`` is set to what is no folder.
    """
    variable = os.environ.get("MINIGRAD_DATA")
    if variable and not Path(variable).is_dir():
        raise FileNotFoundError(
            f"MINIGRAD_DATA is set to {variable}, which is not a folder; set it to a folder "
            "with data files, or unset it"
        )
    return [*([Path(variable)] if variable else []), cache_folder()]


def cache_folder() -> Path:
    """Return where downloads go: ``$XDG_CACHE_HOME/minigrad``, or ``~/.cache/minigrad``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "minigrad"


def _download(url: str, progress: Callable[[int, int | None], None] | None) -> bytes:
    content = bytearray()
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        length = response.headers.get("Content-Length")
        total = int(length) if length else None
        while chunk := response.read(1 << 14):
            content += chunk
            if progress is not None:
                progress(len(content), total)
    if total is not None and len(content) != total:
        raise ConnectionError(f"the connection ended after {len(content)} of {total} bytes")
    return bytes(content)


def _write_whole(target: Path, content: bytes) -> None:
    """Write to a temporary name and rename, so that `target` is never half a file."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
