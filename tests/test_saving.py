"""One file for a state: whole or not there, and without a pickle."""

import os
import pickle
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, load, nn, save
from minigrad.nn import Module


def net(seed: int = 0, dtype: Any = np.float64) -> Module:
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Linear(3, 4, rng=rng, dtype=dtype), nn.BatchNorm1d(4, dtype=dtype))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_module_comes_back_bit_for_bit_with_its_buffers(tmp_path: Path, dtype: Any) -> None:
    model, twin = net(0, dtype), net(1, dtype)
    model(np.random.default_rng(2).normal(size=(5, 3)).astype(dtype))  # moves the buffers
    save(tmp_path / "net.npz", model)
    load(tmp_path / "net.npz", twin)
    state = twin.state_dict()
    assert {"0.weight", "0.bias", "1.running_mean", "1.running_var"} < set(state)
    for name, array in model.state_dict().items():
        assert state[name].dtype == dtype
        assert state[name].tobytes() == array.tobytes(), name


def test_a_dict_of_arrays_comes_back(tmp_path: Path) -> None:
    arrays = {
        "file": np.arange(3), "allow_pickle": np.array(2.5), "a.npy": np.zeros((0, 2), np.float32),
        "β/../x": np.asfortranarray(np.ones((2, 3))), "": np.array([True, False]),
    }  # fmt: skip
    save(tmp_path / "arrays", {**arrays, "list": [1, 2]})
    found = load(tmp_path / "arrays")
    assert list(found) == [*arrays, "list"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    assert os.listdir(tmp_path) == ["arrays"]  # noqa: PTH208  no suffix added, nothing left over


def test_a_tensor_stands_for_its_values(tmp_path: Path) -> None:
    w = Tensor([1.0, 2.0], requires_grad=True)
    save(tmp_path / "w.npz", {"w": w, "twice": 2 * w})
    found = load(tmp_path / "w.npz")
    np.testing.assert_array_equal(found["w"], [1.0, 2.0])
    np.testing.assert_array_equal(found["twice"], [2.0, 4.0])


def test_a_name_may_be_as_long_as_an_archive_takes(tmp_path: Path) -> None:
    name = "é" * 32_765 + "w"  # 65,531 bytes, and 4 of ".npy"
    save(tmp_path / "w.npz", {name: np.ones(2)})
    assert list(load(tmp_path / "w.npz")) == [name]


def test_numpy_reads_what_we_write_and_we_read_what_numpy_writes(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(1, np.int32)}
    save(tmp_path / "ours.npz", arrays)
    with np.load(tmp_path / "ours.npz", allow_pickle=False) as found:
        assert sorted(found) == ["a", "b"]
        np.testing.assert_array_equal(found["a"], arrays["a"])
    writers: list[Any] = [np.savez, np.savez_compressed]
    for write in writers:
        write(tmp_path / "theirs.npz", **arrays)
        np.testing.assert_array_equal(load(tmp_path / "theirs.npz")["a"], arrays["a"])


# Whole or not there


class Interrupted(BaseException):
    """Stands for Ctrl-C in the middle."""


@pytest.mark.parametrize("error", [OSError("disk full"), Interrupted()])
@pytest.mark.parametrize("call", ["numpy.lib.format.write_array", "os.fsync"])
def test_a_failure_in_the_middle_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, call: str
) -> None:
    path = tmp_path / "net.npz"
    save(path, net(0))
    before = path.read_bytes()

    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(call, fail)
        with pytest.raises(type(error)):
            save(path, net(1))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    save(path, net(0))
    before = path.read_bytes()
    # All is written when fsync is called, and nothing is renamed yet.
    code = (
        "import os, signal, sys, numpy, minigrad\n"
        "os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)\n"
        "minigrad.save(sys.argv[1], {'w': numpy.ones(3)})"
    )
    killed = subprocess.run([sys.executable, "-c", code, path], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    assert path.read_bytes() == before


def test_error_nothing_is_written_of_a_bad_state(tmp_path: Path) -> None:
    for state, match in (
        ({"w": np.ones(2), "o": np.array([{}, None])}, "o is an array of Python objects"),
        ([np.ones(2)], "a dict of arrays, got a list"),
        ({3: np.ones(2)}, "the name 3 is of type int"),
    ):
        with pytest.raises(TypeError, match=match):
            save(tmp_path / "net.npz", state)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("a\0b", r"the name 'a\\x00b' holds a NUL character"),
        ("a\ud800", r"the name 'a\\ud800' cannot be written in UTF-8: surrogates not allowed"),
        ("é" * 32_766, r"has 65,532 bytes; a zip archive takes 65,531"),
    ],
)
def test_error_a_name_that_no_archive_can_hold(tmp_path: Path, name: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        save(tmp_path / "net.npz", {"w": np.ones(2), name: np.ones(2)})
    assert list(tmp_path.iterdir()) == []


def test_error_saving_into_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*missing to save net\.npz in"):
        save(tmp_path / "missing" / "net.npz", net())


# Files from strangers


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return (os.mkdir, ("exploded",))


def malicious(path: Path) -> None:
    np.savez(path, **{"0.weight": np.array([Bomb()], dtype=object)})  # type: ignore[arg-type]


def malicious_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Bomb()))


def cut_short(path: Path) -> None:
    save(path, net())
    path.write_bytes(path.read_bytes()[:-100])


def other_bytes(path: Path) -> None:
    path.write_bytes(b"not a zip archive")


def empty(path: Path) -> None:
    path.touch()


def bare_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.ones(3))


def other_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<text/>")


def with_header(header: bytes) -> Callable[[Path], None]:
    header = header.ljust(117) + b"\n"

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("w.npy", b"\x93NUMPY\x01\x00" + bytes([len(header), 0]) + header)

    return write


def with_shape(shape: bytes) -> Callable[[Path], None]:
    return with_header(b"{'descr': '<f8', 'fortran_order': False, 'shape': " + shape + b"}")


def compressed_as(method: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        save(path, net())
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return write


def damaged_lzma(path: Path) -> None:
    compressed_as(zipfile.ZIP_LZMA)(path)
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)


BAD_FILES: list[Callable[[Path], None]] = [
    malicious, malicious_pickle, cut_short, other_bytes, empty, bare_array, other_archive,
    with_shape(b"(10000000, 10000000000)"), with_shape(b"(" + b"9" * 30 + b",)"),
    with_shape(b"(True,)"), with_header(b"{'descr': ("), with_header(b"{1: 2, 'a': 3}"),
    with_header(b"{'descr': (), 'fortran_order': False, 'shape': ()}"),
    damaged_lzma, compressed_as(zipfile.ZIP_LZMA), compressed_as(zipfile.ZIP_BZIP2),
]  # fmt: skip


@pytest.mark.parametrize("write", BAD_FILES)
def test_error_a_bad_file_is_named_runs_nothing_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "bad.npz")
    model = net()
    before = model.state_dict()
    with pytest.raises(ValueError, match=r"bad\.npz.*: not a whole file of arrays"):
        load(tmp_path / "bad.npz", model)
    assert not (tmp_path / "exploded").exists()
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_the_malicious_file_would_run_code_in_a_reader_of_pickles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    malicious(tmp_path / "bad.npz")
    with np.load(tmp_path / "bad.npz", allow_pickle=True) as arrays:
        arrays["0.weight"]
    assert (tmp_path / "exploded").exists()


def test_a_damaged_byte_is_noticed_or_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    state = {"w": np.arange(5.0), "b": np.array(1.0)}
    save(path, state)
    content = path.read_bytes()
    noticed = 0
    for i in range(len(content)):
        for flipped in (content[i] ^ 1, content[i] ^ 0x80, content[i] ^ 0xFF):
            path.write_bytes(content[:i] + bytes([flipped]) + content[i + 1 :])
            try:
                found = load(path)
            except ValueError as error:
                assert "net.npz" in str(error)  # noqa: PT017
                noticed += 1
                continue
            for name in found.keys() & state.keys():
                np.testing.assert_array_equal(found[name], state[name])
    assert noticed > len(content)


@pytest.mark.parametrize(
    ("old", "new"), [(b"(800, 800), }", b"(1, 800), }  "), (b"'<f8'", b"'<f4'")]
)
def test_error_a_header_that_asks_for_fewer_bytes_than_there_are(
    tmp_path: Path, old: bytes, new: bytes
) -> None:
    path = tmp_path / "net.npz"
    save(path, {"w": np.ones((800, 800))})
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    with pytest.raises(ValueError, match=r"net\.npz, w\.npy: .*more bytes than its header says"):
        load(path)


def test_error_loading_into_something_else(tmp_path: Path) -> None:
    save(tmp_path / "net.npz", net())
    with pytest.raises(TypeError, match="sets the state of a Module, got a dict"):
        load(tmp_path / "net.npz", module={})  # type: ignore[arg-type]


def test_error_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        load(tmp_path / "none.npz", net())


MISFITS: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda state: state.pop("0.bias"), r"missing: 0\.bias, shape \(4,\), float64"),
    (lambda state: state.update(head=np.ones(2)), r"unknown: head, shape \(2,\), float64"),
    (lambda state: state.update({"0.bias": np.ones(5)}), r"0\.bias: shape \(5,\) where \(4,\)"),
    (
        lambda state: state.update({"1.running_var": np.ones(4, np.float32)}),
        r"1\.running_var: float32 where float64",
    ),
]


@pytest.mark.parametrize(("change", "match"), MISFITS)
def test_error_a_file_that_does_not_fit_names_file_and_entry_and_changes_nothing(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], match: str
) -> None:
    state = net(1).state_dict()
    change(state)
    save(tmp_path / "net.npz", state)
    model = net(0)
    before = model.state_dict()
    with pytest.raises(ValueError, match=rf"(?s)net\.npz: this state does not fit.*{match}"):
        load(tmp_path / "net.npz", model)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
