"""Files of the IDX format, and the two sets of images that are published in it.

An IDX file is one array: the bytes 0, 0, the type, the number of dimensions; then the length of
each dimension, a big-endian 32-bit integer; then the elements, big-endian, the last index fastest.
(LeCun, Cortes & Burges, *The MNIST Database of Handwritten Digits*, describe it.)

MNIST and Fashion-MNIST are such files, by the same names: 60,000 images to train on and 10,000 to
test on, 28 x 28 pixels, in ten classes.  Each set has its own folder, ``mnist`` or
``fashion-mnist``, in ``$MINIGRAD_DATA`` or the user's cache.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.glyphs import Images
from datasets.source import DataError, Source, data_folders

__all__ = ["FASHION_MNIST", "MNIST", "fashion_mnist", "idx", "mnist"]

TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype("u1"),
    0x09: np.dtype("i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
"""The third byte of a file, and the type that it stands for."""

CLASSES = 10
GZIP = b"\x1f\x8b"  # a gzip file's first bytes

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def _sources(
    name: str, folder: str, checksums: tuple[str, ...], mirrors: tuple[str, ...], **words: str
) -> tuple[Source, ...]:
    return tuple(
        Source(
            name=name,
            filename=f"{folder}/{file}",
            sha256=checksum,
            urls=tuple(mirror + file for mirror in mirrors),
            absent="datasets.glyphs has digits that need no file",
            unpacked=(file.removesuffix(".gz"), file.removesuffix(".gz").replace("-idx", ".idx")),
            **words,
        )
        for file, checksum in zip(FILES, checksums, strict=True)
    )


MNIST = _sources(
    "mnist",
    "mnist",
    (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    summary="MNIST, handwritten digits, 28x28 pixels, 10 classes, 60,000 + 10,000 images",
    origin="LeCun, Cortes & Burges, yann.lecun.com/exdb/mnist",
    licence="CC BY-SA 3.0",
)
"""Training images and labels, test images and labels."""

FASHION_MNIST = _sources(
    "fashion_mnist",
    "fashion-mnist",
    (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    summary="Fashion-MNIST, articles of clothing, 28x28 pixels, 10 classes, 60,000 + 10,000 images",
    origin="Zalando Research, arXiv:1708.07747",
    licence="MIT",
)
"""Training images and labels, test images and labels."""


def idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Return the array in an IDX file.

    Parameters
    ----------
    path : path
        The file, packed by gzip or not: its first bytes tell, not its name.

    Returns
    -------
    ndarray
        Of the file's shape, and of its type in the machine's byte order: uint8, int8, int16,
        int32, float32 or float64.

    Raises
    ------
    DataError
        If it is no IDX file, or cut off, or has bytes behind its data.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "array.idx")
    ...     _ = path.write_bytes(bytes([0, 0, 0x0B, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 7, 1, 0]))
    ...     idx(path)
    array([[  7, 256]], dtype=int16)
    """
    content = Path(path).read_bytes()
    if content.startswith(GZIP):
        content = _unpack(content, path)
    if len(content) < 4:
        raise DataError(f"{path} has {len(content)} of the 4 bytes an IDX file begins with")
    dtype, dimensions = TYPES.get(content[2]), content[3]
    if content[:2] != b"\0\0" or dtype is None or dimensions == 0:
        raise DataError(
            f"{path} is no IDX file: it begins with the bytes {content[:4].hex(' ')}"
            f"{_what_it_may_be(content)}; expected are 00 00, the type "
            f"({', '.join(f'{code:02x}' for code in TYPES)}) and the number of dimensions, from 01"
        )
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(
            f"{path} is cut off: it has {len(content)} of the {start} bytes of a header for "
            f"{dimensions} dimensions"
        )
    shape = tuple(np.frombuffer(content, ">u4", dimensions, offset=4).tolist())
    expected, found = math.prod(shape) * dtype.itemsize, len(content) - start
    if found != expected:
        fault = "is cut off" if found < expected else "has bytes behind its data"
        raise DataError(
            f"{path} {fault}: for its shape {shape} of {dtype.newbyteorder('=')} there must be "
            f"{expected:,} bytes after the header, and there are {found:,}"
        )
    try:
        elements = np.frombuffer(content, dtype, offset=start).reshape(shape)
    except ValueError as error:  # more dimensions than NumPy has, or 0 times too many elements
        raise DataError(f"{path} has the shape {shape}, of which NumPy says: {error}") from error
    return elements.astype(dtype.newbyteorder("="))


def mnist(path: str | os.PathLike[str] | None = None) -> tuple[Images, Images]:
    """Return MNIST, images of handwritten digits: those to train on, and those to test on.

    Nothing is downloaded; ``python -m datasets fetch mnist`` does that.

    Parameters
    ----------
    path : path, optional
        The folder with the four files, packed or not.  By default the folders
        ``$MINIGRAD_DATA/mnist`` and then ``mnist`` in the user's cache are searched.

    Returns
    -------
    (Images, Images)
        60,000 and 10,000 images, shape (n, 1, 28, 28), where the files are those published.

    Raises
    ------
    FileNotFoundError
        If a file is missing.  (`datasets.glyphs` needs none.)
    DataError
        If a file is damaged, or does not hold such images or labels.
    """
    return _train_and_test("MNIST", MNIST, path)


def fashion_mnist(path: str | os.PathLike[str] | None = None) -> tuple[Images, Images]:
    """Return Fashion-MNIST, images of clothing, in files like MNIST's.

    The classes are T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag and ankle
    boot, 0 to 9.

    Parameters
    ----------
    path : path, optional
        As for `mnist`; the folder that is searched is ``fashion-mnist``.

    Returns
    -------
    (Images, Images)
        As `mnist`.

    Raises
    ------
    FileNotFoundError, DataError
        As `mnist`.
    """
    return _train_and_test("Fashion-MNIST", FASHION_MNIST, path)


def _train_and_test(
    title: str, sources: tuple[Source, ...], path: str | os.PathLike[str] | None
) -> tuple[Images, Images]:
    if path is not None and not Path(path).is_dir():
        raise FileNotFoundError(
            f"{path} is no folder; give the one with the four files of {title}, such as {FILES[0]}"
        )
    places = [source.find(path) for source in sources]
    missing = [s.filename for s, place in zip(sources, places, strict=True) if place is None]
    if missing:
        raise FileNotFoundError(
            f"{', '.join(missing)} of {title}: not found in "
            f"{' or '.join(str(folder) for folder in data_folders())}; run 'python -m datasets "
            f"fetch {sources[0].name}', or give the folder (datasets.glyphs needs no files)"
        )
    images, labels, test_images, test_labels = [place for place in places if place is not None]
    train = _images(images, labels, f"{title}, training set")
    test = _images(test_images, test_labels, f"{title}, test set")
    if train.X.shape[1:] != test.X.shape[1:]:
        raise DataError(
            f"the images of {images} have the shape {train.X.shape[2:]}, those of {test_images} "
            f"{test.X.shape[2:]}; expected are the same"
        )
    return train, test


def _images(images: Path, labels: Path, title: str) -> Images:
    X, y = idx(images), idx(labels)
    for place, array, expected in (
        (images, X, "images, (n, height, width)"),
        (labels, y, "labels, (n,)"),
    ):
        if array.dtype != np.uint8 or array.ndim != (3 if place == images else 1):
            raise DataError(
                f"{place} has the shape {array.shape} of {array.dtype}; expected are {expected} "
                "of uint8"
            )
    if len(X) != len(y):
        raise DataError(f"{images} has {len(X):,} images and {labels} {len(y):,} labels")
    if np.any(y >= CLASSES):
        raise DataError(f"{labels} has the label {y.max()}; expected are 0 to {CLASSES - 1}")
    return Images(
        X=np.divide(X, 255, dtype=np.float32)[:, None],
        y=y.astype(np.int64),
        source=f"{title}, {images.parent}",
    )


def _unpack(content: bytes, path: str | os.PathLike[str]) -> bytes:
    try:
        return gzip.decompress(content)
    except EOFError:
        raise DataError(
            f"{path} is cut off: its {len(content):,} bytes are a gzip file without its end"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a gzip file with a fault: {error}") from error


def _what_it_may_be(content: bytes) -> str:
    if content.lstrip().startswith(b"<"):
        return ", a web page saved in its place"
    if content.startswith(b"PK"):
        return ", a zip archive: unpack it"
    if content.startswith(GZIP):
        return ", a gzip file in a gzip file: unpack it once"
    return ""
