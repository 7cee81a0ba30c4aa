"""Where generated code is kept: a file that is named by what is in it, imported as a module.

Numba keeps machine code beside a source file, and finds it again while that file stays as it is.
So a text is written once; the next process imports the file that is there, and compiles nothing.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path
from types import ModuleType

__all__ = ["imported", "steps_folder"]


def steps_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/minigrad/steps``, or ``~/.cache/minigrad/steps``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "minigrad" / "steps"


def imported(text: str, name: str, folder: Path | None = None) -> tuple[ModuleType, Path]:
    """Return the module that a text is, and the file that it is kept in.

    Parameters
    ----------
    text : str
        Python.
    name : str
        How the file's name begins; the rest of it is a digest of the text.
    folder : Path, optional
        `steps_folder` by default; if that cannot be written, one that lasts as long as the process.

    Raises
    ------
    OSError
        If a folder was given and cannot be written.

    Notes
    -----
    A file whose text has been changed by hand is not run, as its name says what is in it: it is
    set aside under another name, with a warning.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    stem = f"{re.sub(r'[^A-Za-z0-9_]', '', name)[:40] or 'step'}_{digest}"
    try:
        path = _kept(text, folder or steps_folder(), stem)
    except (OSError, RuntimeError):  # no home
        if folder is not None:
            raise
        path = _kept(text, Path(_folder_of_this_process().name), stem)
    return _module(path), path


def _kept(text: str, folder: Path, stem: str) -> Path:
    """Return the file that holds the text; write it if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} cannot be written")
    path = folder / f"{stem}.py"
    content = text.encode()
    if path.is_file():
        if path.read_bytes() == content:
            return path
        aside = next(
            place
            for i in range(1, 10**6)
            if not (place := folder / f"{stem}_edited_{i}.py").exists()
        )
        path.replace(aside)
        warnings.warn(
            f"{path} had been edited; it is now {aside}, and the epoch runs the text that it was "
            "compiled from. To run an edited one, import it and call its run()",
            stacklevel=2,
        )
    temporary = folder / f".{stem}.{os.getpid()}"
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


@functools.cache
def _folder_of_this_process() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="minigrad-steps-")


@functools.cache
def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where Numba looks for it, when it loads machine code
    spec.loader.exec_module(module)
    return module
