"""Reading IDX files, and the sets of images that are published in them."""

import contextlib
import gzip
import math
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from datasets import DataError, Images, fashion_mnist, idx, mnist

pytestmark = pytest.mark.usefixtures("nowhere")

TYPES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
READERS = [(mnist, "mnist"), (fashion_mnist, "fashion-mnist")]


def packed(array: npt.NDArray[Any]) -> bytes:
    """Return the array as an IDX file."""
    code = TYPES[array.dtype.str[1:]]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


# By hand, element for element


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\0\0\x08\x01\0\0\0\x03\x00\x07\xff", np.array([0, 7, 255], "u1")),
        (b"\0\0\x09\x01\0\0\0\x03\x00\x07\xff", np.array([0, 7, -1], "i1")),
        (b"\0\0\x0b\x01\0\0\0\x02\x01\x00\xff\xfe", np.array([256, -2], "i2")),
        (b"\0\0\x0c\x01\0\0\0\x01\x01\x00\x00\x02", np.array([16777218], "i4")),
        (b"\0\0\x0d\x01\0\0\0\x01\xbf\x80\x00\x00", np.array([-1], "f4")),
        (b"\0\0\x0e\x01\0\0\0\x01\x3f\xf8\0\0\0\0\0\0", np.array([1.5], "f8")),
        (b"\0\0\x08\x02\0\0\0\x02\0\0\0\x01\x04\x05", np.array([[4], [5]], "u1")),
        (b"\0\0\x08\x03\0\0\0\x01\0\0\0\x02\0\0\0\x02\1\2\3\4", np.array([[[1, 2], [3, 4]]], "u1")),
        (b"\0\0\x0e\x02\0\0\0\x00\0\0\0\x05", np.zeros((0, 5), "f8")),
    ],
)
def test_files_of_every_type(content: bytes, expected: npt.NDArray[Any], tmp_path: Path) -> None:
    path = tmp_path / "array"
    for file in (content, gzip.compress(content)):
        path.write_bytes(file)
        array = idx(path)
        np.testing.assert_array_equal(array, expected, strict=True)
        assert array.dtype.isnative
        assert array.flags.writeable


@given(
    st.data(),
    st.sampled_from(sorted(TYPES)),
    arrays.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=4),
    st.booleans(),
)
def test_what_was_packed_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    dtype: str,
    shape: tuple[int, ...],
    zipped: bool,
) -> None:
    array = data.draw(arrays.arrays(np.dtype(dtype), shape))
    path = tmp_path_factory.getbasetemp() / "round-trip.idx"
    path.write_bytes(gzip.compress(packed(array)) if zipped else packed(array))
    found = idx(path)
    assert found.tobytes() == array.tobytes()  # NaNs too
    assert (found.shape, found.dtype) == (array.shape, array.dtype)


# Faults

ARRAY = np.arange(6, dtype="i2").reshape(2, 3)
CONTENT = packed(ARRAY)


def refused(content: bytes, path: Path) -> str:
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        idx(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_error_a_file_cut_off_at_any_byte(tmp_path: Path) -> None:
    assert len(CONTENT) == 4 + 8 + 12
    for size in range(len(CONTENT)):
        message = refused(CONTENT[:size], tmp_path / "cut")
        if size < 4:
            assert f"has {size} of the 4 bytes" in message
        elif size < 12:
            assert f"is cut off: it has {size} of the 12 bytes of a header" in message
        else:
            assert "is cut off: for its shape (2, 3) of int16 there must be 12 bytes" in message
            assert message.endswith(f"there are {size - 12}")


def test_error_a_gzip_file_cut_off_at_any_byte(tmp_path: Path) -> None:
    whole = gzip.compress(CONTENT, mtime=0)
    for size in range(2, len(whole)):
        message = refused(whole[:size], tmp_path / "cut.gz")
        assert f"is cut off: its {size} bytes are a gzip file without its end" in message


def test_error_a_whole_gzip_file_of_a_cut_file(tmp_path: Path) -> None:
    assert message_has(refused(gzip.compress(CONTENT[:-1]), tmp_path / "a.gz"), "12 bytes", "11")


def message_has(message: str, *parts: str) -> bool:
    return all(part in message for part in parts)


def test_error_a_gzip_file_with_a_changed_byte_is_refused(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(packed(np.arange(100, dtype="i4")), mtime=0))
    whole[-6] ^= 1  # of the checksum
    assert "gzip file with a fault: CRC" in refused(bytes(whole), tmp_path / "a.gz")
    whole[-6] ^= 1
    whole[10] |= 0b110  # a kind of block that does not exist
    assert "gzip file with a fault" in refused(bytes(whole), tmp_path / "a.gz")


@pytest.mark.parametrize("extra", [1, 1000])
def test_error_bytes_behind_the_data(extra: int, tmp_path: Path) -> None:
    message = refused(CONTENT + bytes(extra), tmp_path / "long")
    assert message_has(message, "bytes behind its data", "12 bytes", f"there are {12 + extra:,}")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\x01\0\x08\x01\0\0\0\0", "bytes 01 00 08 01;"),
        (b"\0\x01\x08\x01\0\0\0\0", "bytes 00 01 08 01;"),
        (b"\0\0\x0a\x01\0\0\0\0", "bytes 00 00 0a 01;"),
        (b"\0\0\x08\x00\x05", "bytes 00 00 08 00;"),
        (b"\x01\x08\0\0\x05\0\0\0", "bytes 01 08 00 00;"),
        (b"<!DOCTYPE html><html>", "a web page saved in its place"),
        (b"\r\n <html>", "a web page saved in its place"),
        (b"PK\x03\x04", "a zip archive"),
        (gzip.compress(gzip.compress(CONTENT)), "a gzip file in a gzip file"),
        (b"\x93NUMPY\x01\x00", "bytes 93 4e 55 4d;"),
    ],
)
def test_error_another_magic_number(content: bytes, found: str, tmp_path: Path) -> None:
    message = refused(content, tmp_path / "wrong")
    assert message_has(message, "is no IDX file", found)
    assert "expected are 00 00, the type (08, 09, 0b, 0c, 0d, 0e)" in message


@pytest.mark.parametrize("dimensions", [1, 4, 255])
def test_error_a_header_that_asks_for_more_than_there_is_memory(
    dimensions: int, tmp_path: Path
) -> None:
    content = bytes([0, 0, 0x0E, dimensions]) + b"\xff" * 4 * dimensions + b"data"
    expected = (2**32 - 1) ** dimensions * 8
    assert f"there must be {expected:,} bytes" in refused(content, tmp_path / "huge")


@pytest.mark.parametrize("shape", [(1,) * 65, (0, 2**32 - 1, 2**32 - 1, 2**32 - 1)])
def test_error_a_shape_that_numpy_has_not(shape: tuple[int, ...], tmp_path: Path) -> None:
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
    message = refused(header + bytes(math.prod(shape)), tmp_path / "shape")
    assert message_has(message, f"has the shape {shape}", "NumPy says")


def test_error_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        idx(tmp_path / "absent")


@settings(max_examples=50)
@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_with_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.idx"
    for file in (content, b"\0\0\x08" + content, b"\x1f\x8b" + content, zlib.compress(content)):
        path.write_bytes(file)
        with contextlib.suppress(DataError):
            assert packed(idx(path)) == file


# The sets of images

RNG = np.random.default_rng(0)
FILES = {
    "train-images": RNG.integers(0, 256, (30, 4, 5), np.uint8),
    "train-labels": RNG.integers(0, 10, 30, np.uint8),
    "t10k-images": RNG.integers(0, 256, (20, 4, 5), np.uint8),
    "t10k-labels": RNG.integers(0, 10, 20, np.uint8),
}


def write(
    folder: Path,
    pattern: str = "{}-idx{}-ubyte.gz",
    changed: Mapping[str, npt.NDArray[Any]] = MappingProxyType({}),
) -> Path:
    """Write the four files, some of them with another array, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in FILES.items():
        array = changed.get(name, array)
        content = packed(array)
        place = folder / pattern.format(name, FILES[name].ndim)
        place.write_bytes(gzip.compress(content) if place.suffix == ".gz" else content)
    return folder


Reader = Callable[..., tuple[Images, Images]]


@pytest.mark.parametrize("pattern", ["{}-idx{}-ubyte.gz", "{}-idx{}-ubyte", "{}.idx{}-ubyte"])
@pytest.mark.parametrize(("reader", "name"), READERS)
def test_images_from_the_four_files(
    reader: Reader, name: str, pattern: str, tmp_path: Path
) -> None:
    folder = write(tmp_path / "four", pattern)
    for images, part in zip(reader(folder), ("train", "t10k"), strict=True):
        pixels, labels = FILES[f"{part}-images"], FILES[f"{part}-labels"]
        assert images.X.shape == (len(pixels), 1, 4, 5)
        assert images.X.dtype == np.float32
        np.testing.assert_array_equal(images.X[:, 0], pixels.astype(np.float32) / np.float32(255))
        assert images.y.dtype == np.int64
        np.testing.assert_array_equal(images.y, labels)
        assert str(folder) in images.source
        assert images.source.lower().startswith(f"{name}, {'test' if part == 't10k' else 'train'}")


def test_black_is_0_and_white_is_1(tmp_path: Path) -> None:
    ends = np.tile(np.array([[0, 255]], np.uint8), (20, 1, 1))
    folder = write(
        tmp_path,
        changed={"train-images": np.resize(ends, (30, 1, 2)), "t10k-images": ends},
    )
    for images in mnist(folder):
        assert np.unique(images.X).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(("reader", "name"), READERS)
def test_lookup_order_is_path_then_environment_then_cache(
    reader: Reader, name: str, tmp_path: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(nowhere / name)
    assert str(nowhere / name) in reader()[0].source
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path / "data"))
    with pytest.raises(FileNotFoundError, match="MINIGRAD_DATA is set to"):
        reader()
    (tmp_path / "data").mkdir()
    assert str(nowhere / name) in reader()[0].source
    write(tmp_path / "data" / name, "{}.idx{}-ubyte")
    assert str(tmp_path / "data" / name) in reader()[0].source
    assert str(tmp_path / "given") in reader(write(tmp_path / "given"))[0].source


@pytest.mark.parametrize(("reader", "name"), READERS)
def test_error_no_files_says_how_to_get_them_and_what_needs_none(
    reader: Reader, name: str, nowhere: Path
) -> None:
    with pytest.raises(FileNotFoundError, match="glyphs needs no files") as caught:
        reader()
    command = f"'python -m datasets fetch {name.replace('-', '_')}'"
    assert message_has(str(caught.value), command, str(nowhere), f"{name}/t10k-labels-idx1")


def test_error_the_missing_one_of_the_files_is_named(tmp_path: Path, nowhere: Path) -> None:
    (write(nowhere / "mnist") / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"^mnist/t10k-labels-idx1-ubyte.gz of MNIST"):
        mnist()
    with pytest.raises(FileNotFoundError, match=r"no mnist data at .*t10k-labels-idx1"):
        mnist(nowhere / "mnist")


def test_error_a_path_that_is_no_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", write(tmp_path) / "t10k-labels-idx1-ubyte.gz"):
        with pytest.raises(FileNotFoundError, match="no folder; give the one with the four files"):
            mnist(path)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"train-labels": FILES["train-labels"][1:]}, "30 images and .* 29 labels"),
        ({"t10k-images": FILES["t10k-images"][:19]}, "19 images and .* 20 labels"),
        ({"t10k-labels": np.full(20, 10, np.uint8)}, "has the label 10; expected are 0 to 9"),
        ({"train-images": FILES["train-labels"]}, r"\(30,\) of uint8; expected are images"),
        ({"train-images": FILES["train-images"].astype("i2")}, "of int16; expected are images"),
        ({"train-labels": FILES["train-images"]}, r"\(30, 4, 5\) of uint8; expected are labels"),
        ({"t10k-images": FILES["t10k-images"][:, 1:]}, r"\(4, 5\), those of .* \(3, 5\)"),
    ],
)
def test_error_files_that_do_not_fit_each_other(
    changed: dict[str, npt.NDArray[Any]], match: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=match) as caught:
        mnist(write(tmp_path, changed=changed))
    assert str(tmp_path) in str(caught.value)
