"""One file of arrays, and of text that says what they are: whole or not there, without a pickle.

The file is what `numpy.savez` writes: a zip archive with one ``.npy`` file for each array.  A text
stands beside them under a name that ends in ``.json``.  The members' dates are all the same, so
equal contents are equal bytes.

While it is written the file has a temporary name, and its writer holds a lock on it.  The kernel
takes the lock back when a process ends, however it ends: so a temporary file without a lock was
left behind by a process that was killed, and the next writer of the same file removes it.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy.typing as npt
from numpy.lib import format as npy

try:
    import fcntl
except ImportError:  # not a Unix: nothing is locked there, and nothing removed
    fcntl = None  # type: ignore[assignment]

__all__ = ["check_name", "read_archive", "write_archive"]

COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # all that numpy writes
LONGEST_NAME = 65_535 - len(".npy")  # in bytes: a zip archive counts them with 16 bits


def check_name(name: str) -> None:
    """Raise a ValueError if a zip archive cannot hold an array of this name."""
    if "\0" in name:
        raise ValueError(f"the name {name!r} holds a NUL character, where a zip archive ends it")
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"the name {name!r} cannot be written in UTF-8: {error.reason}") from None
    if length > LONGEST_NAME:
        raise ValueError(
            f"the name {name[:20]!r}... has {length:,} bytes; a zip archive takes {LONGEST_NAME:,}"
        )


def write_archive(
    path: str | os.PathLike[str],
    arrays: Mapping[str, npt.NDArray[Any]],
    texts: Mapping[str, str] | None = None,
) -> None:
    """Write a file, which appears under its name only when it is whole.

    Parameters
    ----------
    path : path
        Where to; a file that is there is replaced.
    arrays : mapping of str to ndarray
        Names that `check_name` accepts, and arrays without Python objects.
    texts : mapping of str to str, optional
        Names that end in ``.json``, and texts.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent} to save {target.name} in")
    _remove_leftovers(target)
    with _temporary(target) as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name, text in (texts or {}).items():
                archive.writestr(zipfile.ZipInfo(name), text)  # a plain name would add the time
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    npy.write_array(member, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())  # else the name may reach the disk before the content


def read_archive(
    path: str | os.PathLike[str],
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Read the arrays and the texts of a file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is cut short, damaged or no such file at all, or if it holds an array of
        objects.
    """
    arrays, texts = {}, {}
    place = os.fspath(path)
    with Path(path).open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                for entry in archive.infolist():
                    place = f"{os.fspath(path)}, {entry.filename}"
                    if entry.compress_type not in COMPRESSIONS:
                        raise ValueError(f"compressed by method {entry.compress_type}")
                    if entry.filename.endswith(".json"):
                        texts[entry.filename] = archive.read(entry).decode()
                    else:
                        arrays[entry.filename.removesuffix(".npy")] = _array(archive, entry)
        # What zipfile and the parser of headers raise for a stranger's bytes has no end: besides
        # their own errors TypeError, IndexError, OverflowError, tokenize.TokenError, MemoryError
        # and more.
        except Exception as error:
            raise ValueError(
                f"{place}: not a whole file of arrays, as minigrad and numpy.savez write it "
                f"({error or type(error).__name__})"
            ) from error
    return arrays, texts


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> npt.NDArray[Any]:
    with archive.open(entry) as member:
        array: npt.NDArray[Any] = npy.read_array(member, allow_pickle=False)
        if member.read(1):  # else this was the end, where the checksum is compared
            raise ValueError("it has more bytes than its header says")
    return array


# Temporary files


@contextlib.contextmanager
def _temporary(target: Path) -> Iterator[IO[bytes]]:
    """Open a file under a temporary name, and in the end give it its own; if all went well."""
    path, file = _open_locked(target)
    try:
        with file:
            yield file
            if fcntl is not None:
                path.replace(target)  # before the file is closed, which ends the lock
        if fcntl is None:
            path.replace(target)  # where there is no lock, an open file may not be renamed
    finally:
        path.unlink(missing_ok=True)


def _open_locked(target: Path) -> tuple[Path, IO[bytes]]:
    while True:
        path = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        file = path.open("xb")
        _lock(file, wait=True)
        if path.exists():
            return path, file
        file.close()  # removed as a leftover between the two calls above


def _remove_leftovers(target: Path) -> None:
    """Remove the temporary files of this target whose writer is no more."""
    name = re.compile(re.escape(f".{target.name}.") + r"[0-9a-f]{16}\.tmp")
    with contextlib.suppress(OSError):  # a folder may be written to and not be listed
        for path in filter(lambda path: name.fullmatch(path.name), target.parent.iterdir()):
            with contextlib.suppress(OSError), path.open("r+b") as file:
                if _lock(file, wait=False):
                    path.unlink()


def _lock(file: IO[bytes], *, wait: bool) -> bool:
    """Whether this process has the lock now; a file system may have none to give."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
