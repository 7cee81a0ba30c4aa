"""Looking data up, checking them, fetching them; the stand-in; batches."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import datasets
from datasets import DataError, airfoil, airfoil_stand_in, minibatches
from datasets.__main__ import main
from datasets.airfoil import AIRFOIL, CORRELATIONS

pytestmark = pytest.mark.usefixtures("nowhere")

CONTENT = b"800\t0\t0.3048\t71.3\t0.00266337\t126.201\r\n" * 1503


# The real file


def test_the_real_file_gives_the_sections_data(real_airfoil: Path) -> None:
    data = airfoil(real_airfoil)
    assert data.X.shape == (1500, 5)
    assert data.y.shape == (1500, 1)
    assert "NASA" in data.source
    assert str(real_airfoil) in data.source
    design = np.column_stack([data.X, np.ones(1500)])
    residual = design @ np.linalg.lstsq(design, data.y)[0] - data.y
    assert float(np.mean(residual**2)) / 2 == pytest.approx(0.24168795509193775, rel=1e-12)


def test_the_embedded_correlations_are_the_real_files(real_airfoil: Path) -> None:
    correlation = np.corrcoef(np.loadtxt(real_airfoil, delimiter="\t").T)
    for i, row in enumerate(CORRELATIONS):
        np.testing.assert_allclose(correlation[i, i + 1 :], row, rtol=1e-12, atol=1e-15)


def test_lookup_order_is_path_then_environment_then_cache(
    real_airfoil: Path, tmp_path: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = real_airfoil.read_bytes()
    places = [tmp_path / "given", tmp_path / "environment", nowhere]
    assert airfoil().source.startswith("stand-in")
    for place in reversed(places):
        place.mkdir(parents=True)
        (place / AIRFOIL.filename).write_bytes(content)
    assert str(nowhere) in airfoil().source
    monkeypatch.setenv("MINIGRAD_DATA", str(places[1]))
    assert str(places[1]) in airfoil().source
    assert str(places[0]) in airfoil(places[0]).source
    assert str(places[0]) in airfoil(places[0] / AIRFOIL.filename).source
    assert airfoil("stand-in").source.startswith("stand-in")


def test_environment_folder_without_the_file_falls_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    assert airfoil().source.startswith("stand-in")


def test_error_missing_path(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.dat", tmp_path):
        with pytest.raises(FileNotFoundError, match="python -m datasets fetch airfoil"):
            airfoil(path)


def test_error_environment_names_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path / "misspelt"))
    with pytest.raises(FileNotFoundError, match="MINIGRAD_DATA is set to"):
        airfoil()


def with_line(number: int, line: bytes) -> bytes:
    lines = CONTENT.splitlines(keepends=True)
    lines[number - 1] = line
    return b"".join(lines)


BAD_FILES: list[tuple[bytes, str]] = [
    (b"", "0 lines instead of 1503"),
    (CONTENT[: len(CONTENT) // 2 + 7], r"line \d+ of \d+ has \d tab-separated field"),
    (b"".join(CONTENT.splitlines(keepends=True)[:1000]), "1000 lines instead of 1503"),
    (with_line(7, b"1\t2\tnan\t4\t5\t6\r\n"), "line 7, field 3 is nan"),
    (with_line(1503, b"1\t2\t3\t4\t5\tinf\r\n"), "line 1503, field 6 is inf"),
    (with_line(2, b"1\ttwo\t3\t4\t5\t6\r\n"), "line 2, field 2 is 'two', not a number"),
    (with_line(3, b"1,2,3,4,5,6\r\n"), r"line 3 of 1503 has 1 tab-separated field\(s\) instead"),
    (b"\x89PNG\r\n\x1a\n\x00\xff", "line 1 of"),
    (CONTENT, "checksum"),
]


def test_error_changed_line_ends_are_named(real_airfoil: Path, tmp_path: Path) -> None:
    path = tmp_path / AIRFOIL.filename
    path.write_bytes(real_airfoil.read_bytes().replace(b"\r\n", b"\n"))
    with pytest.raises(DataError, match="CRLF to LF"):
        airfoil(path)


@pytest.mark.parametrize(("content", "match"), BAD_FILES)
def test_error_a_bad_file_says_what_is_wrong_and_where(
    content: bytes, match: str, tmp_path: Path
) -> None:
    path = tmp_path / AIRFOIL.filename
    path.write_bytes(content)
    with pytest.raises(DataError, match=match) as caught:
        airfoil(path)
    assert str(path) in str(caught.value)


# The stand-in


def test_the_stand_in_has_exactly_the_real_correlations() -> None:
    data = airfoil_stand_in()
    table = np.column_stack([data.X, data.y])
    np.testing.assert_allclose(table.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(table.std(axis=0), 1, rtol=1e-13)
    correlation = table.T @ table / len(table)
    for i, row in enumerate(CORRELATIONS):
        np.testing.assert_allclose(correlation[i, i + 1 :], row, atol=1e-13)


def test_the_stand_in_is_the_same_every_time() -> None:
    np.testing.assert_array_equal(airfoil_stand_in().X, airfoil_stand_in().X)


# Fetching


class Server(BaseHTTPRequestHandler):
    """Serves the path's behaviour: whole, short, wrong or missing."""

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        if self.path == "/babble":
            self.wfile.write(b"hello there\r\n\r\n")
            return
        self.send_response(200)
        length = "abc" if self.path == "/length" else str(len(CONTENT))
        self.send_header("Content-Length", length)
        self.end_headers()
        body = {
            "/whole": CONTENT,
            "/short": CONTENT[:30_000],
            "/wrong": b"x" * len(CONTENT),
            "/length": CONTENT,
        }
        self.wfile.write(body[self.path])

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    httpd = HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def source(server: str, *paths: str) -> datasets.Source:
    urls = tuple(f"{server}/{path}" for path in paths)
    return replace(AIRFOIL, sha256=hashlib.sha256(CONTENT).hexdigest(), urls=urls)


def test_fetch_writes_the_file_and_reports_progress(server: str, nowhere: Path) -> None:
    steps = []
    place = source(server, "whole").fetch(lambda done, total: steps.append((done, total)))
    assert place == nowhere / AIRFOIL.filename
    assert place.read_bytes() == CONTENT
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert len(steps) > 1


def test_fetch_tries_the_next_address(server: str) -> None:
    paths = ("missing", "short", "babble", "length", "whole")
    assert source(server, *paths).fetch().read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("short", "ended after 30000 of"),
        ("wrong", "another checksum"),
        ("missing", "404"),
        ("babble", "hello"),
        ("length", "invalid literal"),
    ],
)
def test_error_a_download_that_fails_leaves_no_file(
    server: str, path: str, reason: str, nowhere: Path
) -> None:
    with pytest.raises(DataError, match=reason):
        source(server, path).fetch()
    assert list(nowhere.iterdir()) == []


def test_error_no_connection(nowhere: Path) -> None:
    with pytest.raises(DataError, match="nothing was written") as caught:
        source("http://127.0.0.1:9", "whole").fetch()
    assert str(nowhere) in str(caught.value)


def test_an_interrupted_write_leaves_no_file(
    server: str, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        source(server, "whole").fetch()
    assert list(nowhere.iterdir()) == []


# The command line


def test_list_says_what_where_from_licence_and_whether_it_is_here(
    capsys: pytest.CaptureFixture[str], nowhere: Path
) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    for part in ("airfoil: NASA", "10.24432/C5VW2C", "CC BY 4.0", "not here", "fetch airfoil"):
        assert part in out
    nowhere.mkdir(parents=True)
    (nowhere / AIRFOIL.filename).write_bytes(CONTENT)
    assert main(["list"]) == 0
    assert "wrong checksum" in capsys.readouterr().out


def test_fetch_of_a_file_that_is_here_downloads_nothing(
    real_airfoil: Path, nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere.mkdir(parents=True)
    (nowhere / AIRFOIL.filename).write_bytes(real_airfoil.read_bytes())
    assert main(["fetch", "airfoil"]) == 0
    assert "already here" in capsys.readouterr().out


def test_fetch_replaces_a_file_with_another_checksum(
    server: str, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(datasets.SOURCES, "airfoil", (source(server, "whole"),))
    nowhere.mkdir(parents=True)
    (nowhere / AIRFOIL.filename).write_bytes(b"an older one")
    assert main(["fetch", "airfoil"]) == 0
    assert (nowhere / AIRFOIL.filename).read_bytes() == CONTENT


def test_list_shows_every_data_set_and_what_to_do_without_its_files(
    capsys: pytest.CaptureFixture[str], nowhere: Path
) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for name in ("airfoil", "time_machine", "mnist", "fashion_mnist", "glyphs"):
        assert f"\n{name}: " in f"\n{out}"
    assert out.count("the stand-in is used") == 2
    assert out.count("datasets.glyphs has digits that need no file") == 2
    assert out.count("python -m datasets fetch ") == 4


def test_list_names_the_missing_ones_of_several_files(
    capsys: pytest.CaptureFixture[str], nowhere: Path
) -> None:
    (nowhere / "mnist").mkdir(parents=True)
    (nowhere / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(b"damaged")
    (nowhere / "mnist" / "train-labels.idx1-ubyte").write_bytes(b"another's copy")
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert f"{nowhere / 'mnist' / 'train-images-idx3-ubyte.gz'} (wrong checksum" in out
    assert f"{nowhere / 'mnist' / 'train-labels.idx1-ubyte'} (unpacked" in out
    missing = "mnist/t10k-images-idx3-ubyte.gz, mnist/t10k-labels-idx1-ubyte.gz"
    assert f"not here ({missing}): datasets.glyphs" in out


def image_files(server: str, *paths: str) -> tuple[datasets.Source, ...]:
    """MNIST's four files as published by the server, each at its path."""
    return tuple(
        replace(file, sha256=hashlib.sha256(CONTENT).hexdigest(), urls=(f"{server}/{path}",))
        for file, path in zip(datasets.SOURCES["mnist"], paths, strict=True)
    )


def test_fetch_of_several_files_gets_those_that_are_not_here(
    server: str,
    nowhere: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(
        datasets.SOURCES, "mnist", image_files(server, "whole", "whole", "missing", "whole")
    )
    assert main(["fetch", "mnist"]) == 1
    expected = "mnist/t10k-images-idx3-ubyte.gz could not be downloaded, nothing was written"
    assert expected in capsys.readouterr().err
    assert {place.name for place in (nowhere / "mnist").iterdir()} == {
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    }
    monkeypatch.setitem(
        datasets.SOURCES, "mnist", image_files(server, "missing", "missing", "whole", "whole")
    )
    assert main(["fetch", "mnist"]) == 0
    assert capsys.readouterr().out.count("already here") == 2
    assert len(list((nowhere / "mnist").iterdir())) == 4


def test_every_published_file_has_its_own_place_and_checksum() -> None:
    files = [file for files in datasets.SOURCES.values() for file in files]
    assert len(files) == 10
    assert len({file.filename for file in files}) == 10
    assert len({file.sha256 for file in files}) == 10
    for file in files:
        assert len(bytes.fromhex(file.sha256)) == 32
        name = Path(file.filename).name
        assert file.name == "airfoil" or all(url.endswith(f"/{name}") for url in file.urls)


def test_ctrl_c_while_fetching_ends_with_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Any, progress: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets.Source, "fetch", interrupted)
    assert main(["fetch", "airfoil"]) == 130


def test_a_failed_fetch_ends_with_status_1_and_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unreachable = replace(AIRFOIL, urls=("http://127.0.0.1:9/x",))
    monkeypatch.setitem(datasets.SOURCES, "airfoil", (unreachable,))
    assert main(["fetch", "airfoil"]) == 1
    assert "error: airfoil could not be downloaded" in capsys.readouterr().err


# Batches


def test_minibatches_visit_every_example_once_with_its_target() -> None:
    X, y = np.arange(23.0)[:, None], np.arange(23.0)[:, None] * 10
    batches = list(minibatches(X, y, 5, np.random.default_rng(0)))
    assert [len(a) for a, _ in batches] == [5, 5, 5, 5, 3]
    seen = np.concatenate([a for a, _ in batches])
    assert sorted(seen[:, 0]) == list(range(23))
    assert not np.array_equal(seen, X)
    for a, b in batches:
        np.testing.assert_array_equal(b, a * 10)


def test_minibatches_depend_on_the_generator_alone() -> None:
    X = np.arange(20.0)
    first, again, other = (
        [a.tolist() for a, _ in minibatches(X, X, 4, np.random.default_rng(seed))]
        for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("n", "m", "batch_size", "match"),
    [(3, 4, 1, "3 examples and y 4"), (0, 0, 1, "empty"), (3, 3, 0, "batch_size=0")],
)
def test_error_minibatches_at_the_call(n: int, m: int, batch_size: int, match: str) -> None:
    with pytest.raises(TypeError):
        minibatches(np.ones(3), np.ones(3), 2.5, np.random.default_rng(0))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=match):
        minibatches(np.ones(n), np.ones(m), batch_size, np.random.default_rng(0))
