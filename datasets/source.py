"""Where a data set's file comes from: looking it up, checking it, fetching it."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["STAND_IN", "DataError", "Source", "cache_folder"]

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
        The file's name in the folders that are searched.
    sha256 : str
        Checksum of its bytes as published.
    urls : tuple of str
        Where to download it; tried in order.
    summary, origin, licence : str
        For people.
    """

    name: str
    filename: str
    sha256: str
    urls: tuple[str, ...]
    summary: str
    origin: str
    licence: str

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
            place = given / self.filename if given.is_dir() else given
            if not place.is_file():
                raise FileNotFoundError(
                    f"no {self.name} data at {place}; give the file or its folder, or run "
                    f"'python -m datasets fetch {self.name}'"
                )
            return place
        if variable := os.environ.get("MINIGRAD_DATA"):
            folder = Path(variable)
            if not folder.is_dir():
                raise FileNotFoundError(
                    f"MINIGRAD_DATA is set to {folder}, which is not a folder; set it to a folder "
                    "with data files, or unset it"
                )
            if (folder / self.filename).is_file():
                return folder / self.filename
        place = cache_folder() / self.filename
        return place if place.is_file() else None

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
        raise DataError(
            f"{self.name} could not be downloaded, nothing was written:\n  "
            + "\n  ".join(failures)
            + f"\nWith a browser, save it as {target}, or in a folder that MINIGRAD_DATA names."
        )


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
