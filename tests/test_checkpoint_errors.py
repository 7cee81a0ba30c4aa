"""What is wrong with a checkpoint, or with what it is to hold, is named, and nothing changes."""

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_parts import Part, net, state_of
from nested_states import same

from minigrad import Checkpoint, Tensor, load, nn, save
from optim import Adam
from optim.schedules import Cosine, Scheduler


class Picky(Part):
    """Breaks its promise: it raises when its state is already changed."""

    def load_state_dict(self, state: Any, /) -> None:
        self.state = state
        if state == "unwanted":
            raise KeyError("unwanted state")


# What cannot be saved


@pytest.mark.parametrize(
    ("part", "match"),
    [
        (None, "schedule is of type NoneType"),
        (0.5, r"of type float.*give plain values to save\(step, name=value\)"),
        (np.random.PCG64(0), "of type PCG64"),
        (nn.Linear, "schedule is of type"),
    ],
)
def test_error_a_part_without_a_state(tmp_path: Path, part: Any, match: str) -> None:
    with pytest.raises(TypeError, match=match):
        Checkpoint(tmp_path / "run.npz", schedule=part)


def test_error_no_parts_or_no_folder_before_any_training(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs parts"):
        Checkpoint(tmp_path / "run.npz")
    with pytest.raises(FileNotFoundError, match=r"no folder .*runs for the checkpoint run\.npz"):
        Checkpoint(tmp_path / "runs" / "run.npz", part=Part({}))


@pytest.mark.parametrize(
    ("state", "match"),
    [
        ({"a": [1, {2}]}, "part/a/1 is of type set"),
        ({"w": np.array([None])}, "part/w is an array of Python objects"),
        ({"w": np.ma.masked_array([1.0])}, "part/w is of type MaskedArray"),
        ({"loss": Tensor(1.0)}, "part/loss is of type Tensor"),
        ({"f": print}, "part/f is of type builtin_function_or_method"),
        ({1.5: 0}, r"part has the key 1\.5 of type float: accepted are str and int"),
        ({"a": {True: 0}}, "part/a has the key True of type bool"),
        ({"c": 1j}, "part/c is of type complex"),
    ],
)
def test_error_a_state_that_is_not_made_of_plain_values(
    tmp_path: Path, state: Any, match: str
) -> None:
    path = tmp_path / "run.npz"
    Checkpoint(path, part=Part({})).save(3)
    before = path.read_bytes()
    with pytest.raises(TypeError, match=match):
        Checkpoint(path, part=Part(state)).save(4)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_error_an_array_that_no_archive_can_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="NUL character"):
        Checkpoint(tmp_path / "run.npz", part=Part({"a\0": np.ones(1)})).save(1)
    assert list(tmp_path.iterdir()) == []


def test_error_a_step_that_is_none(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.npz", part=Part({}))
    with pytest.raises(ValueError, match="step=-1"):
        checkpoint.save(-1)
    for step in (1.0, True, None, "1"):
        with pytest.raises(TypeError, match="step="):
            checkpoint.save(step)  # type: ignore[arg-type]


# Files that do not fit


def rewritten(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the text of a checkpoint and leave its arrays."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    content = json.loads(members["checkpoint.json"])
    change(content)
    members["checkpoint.json"] = json.dumps(content).encode()
    with_members(path, members)


def with_members(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return (os.mkdir, ("exploded",))


def planted_pickle(path: Path) -> None:
    arrays: Any = {"model/0.weight": np.array([Bomb()], dtype=object)}
    with zipfile.ZipFile(path) as archive:
        text = archive.read("checkpoint.json")
    np.savez(path, **arrays)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("checkpoint.json", text)


def pickle_as_text(path: Path) -> None:
    with_members(path, {"checkpoint.json": pickle.dumps(Bomb())})


def pickle_alone(path: Path) -> None:
    path.write_bytes(pickle.dumps(Bomb()))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def text(content: bytes) -> Callable[[Path], None]:
    return lambda path: with_members(path, {"checkpoint.json": content})


def edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    return lambda path: rewritten(path, change)


def without_arrays(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        with_members(path, {"checkpoint.json": archive.read("checkpoint.json")})


def weight(node: Any) -> Callable[[Path], None]:
    return edit(lambda content: content["parts"]["model"].update({"0.weight": node}))


BAD_FILES: list[tuple[Callable[[Path], object], str]] = [
    (planted_pickle, r"model/0\.weight\.npy: not a whole file .*allow_pickle"),
    (pickle_as_text, "not a whole file"),
    (pickle_alone, "not a whole file"),
    (cut, "not a whole file"),
    (lambda path: path.write_bytes(b""), "not a whole file"),
    (lambda path: save(path, net()), r"no checkpoint: it holds arrays alone and no checkpoint"),
    (lambda path: with_members(path, {"other.json": b"{}"}), r"no checkpoint: .*texts other\.json"),
    (text(b"{"), "not the text of a checkpoint"),
    (text(b"[]"), "not the text of a checkpoint"),
    (text(b"{}"), "not the text of a checkpoint"),
    (text(b"[" * 100_000), "not the text of a checkpoint"),
    (text(b"\xff"), "not a whole file"),
    (edit(lambda c: c.update(format=2, minigrad="9.0")),
     r"has format 2, written by minigrad 9\.0; this minigrad reads format 1"),
    (edit(lambda c: c.pop("step")), "not the text of a checkpoint .*step"),
    (edit(lambda c: c.update(step=-1)), "the step is -1"),
    (edit(lambda c: c.update(step="3")), "not the text of a checkpoint"),
    (edit(lambda c: c.update(extra=[])), "not the text of a checkpoint"),
    (edit(lambda c: c.update(parts=[])), "not the text of a checkpoint"),
    (edit(lambda c: c["parts"].pop("rng")), r"of other parts; .*missing in the file: rng"),
    (edit(lambda c: c["parts"].update(ema={}, old={})),
     r"of other parts; .*unknown to this run: ema.*unknown to this run: old"),
    (without_arrays, "not the text of a checkpoint .*stands for nothing"),
    (weight({"$array": "none"}), "stands for nothing"),
    (weight({"$array": ["none"]}), "stands for nothing"),
    (weight({"$pickle": "x"}), "stands for nothing"),
    (weight({"$array": "none", "$nan": ""}), "stands for nothing"),
    (weight({"$nan": "00"}), "stands for nothing"),
    (weight({"$int": 3}), "stands for nothing"),
    (weight({"$dict": [[[], 1]]}), "stands for nothing"),
    (weight({"$dict": 3}), "stands for nothing"),
    (weight([1.0]), r"the state of 'model' does not fit.*0\.weight: shape \(1,\)"),
    (edit(lambda c: c["parts"].update(model=None)), "the state of 'model' does not fit.*dict"),
    (edit(lambda c: c["parts"].update(rng={})), "the state of 'rng' does not fit"),
    (edit(lambda c: c["parts"].update(rng=3)), "the state of 'rng' does not fit"),
    (edit(lambda c: c["parts"]["rng"].update(state=[])), "the state of 'rng' does not fit"),
    (edit(lambda c: c["parts"]["rng"].update(bit_generator="MT19937")),
     r"the state of 'rng' does not fit.*of a MT19937, and the generator is a PCG64"),
    (edit(lambda c: c["parts"].update(last="unwanted")), "the state of 'last' does not fit"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "match"), BAD_FILES)
def test_error_a_bad_file_is_named_runs_nothing_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], object], match: str
) -> None:
    monkeypatch.chdir(tmp_path)

    def checkpoint(seed: int) -> Checkpoint:
        return Checkpoint(
            "bad.npz",
            first=Part({"seed": seed}), model=net(seed), rng=np.random.default_rng(seed),
            last=Picky({"seed": seed}),
        )  # fmt: skip

    checkpoint(0).save(7, best=1.0)
    spoil(Path("bad.npz"))
    content = Path("bad.npz").read_bytes()
    victim = checkpoint(1)
    with pytest.raises(ValueError, match=rf"(?s)bad\.npz.*{match}"):
        victim.restore()
    assert not Path("exploded").exists()
    assert victim.extra == {}
    untouched = checkpoint(1).parts
    for name, part in victim.parts.items():
        assert same(state_of(part), state_of(untouched[name])), name
    assert Path("bad.npz").read_bytes() == content


@pytest.mark.parametrize("position", [0, 1, 2])
def test_error_another_architecture_wherever_the_model_stands(
    tmp_path: Path, position: int
) -> None:
    def parts(seed: int, width: int) -> dict[str, Any]:
        others = [("a", Part({"seed": seed})), ("rng", np.random.default_rng(seed))]
        return dict([*others[:position], ("model", net(seed, width)), *others[position:]])

    Checkpoint(tmp_path / "run.npz", **parts(0, 4)).save(1)
    victims = parts(1, 5)
    with pytest.raises(ValueError, match=r"(?s)run\.npz: the state of 'model' .*0\.weight: shape"):
        Checkpoint(tmp_path / "run.npz", **victims).restore()
    for name, part in parts(1, 5).items():
        assert same(state_of(victims[name]), state_of(part)), name


def test_a_rate_set_by_hand_survives_a_file_that_does_not_fit(tmp_path: Path) -> None:
    def parts(last: Any) -> dict[str, Any]:
        optimizer = Adam(net().parameters())
        schedule = Scheduler(optimizer, Cosine(lr=0.5, steps=10))
        return {"optimizer": optimizer, "schedule": schedule, "last": Picky(last)}

    Checkpoint(tmp_path / "run.npz", **parts("unwanted")).save(1)
    victims = parts({})
    victims["optimizer"].lr = 0.125
    with pytest.raises(ValueError, match="the state of 'last' does not fit"):
        Checkpoint(tmp_path / "run.npz", **victims).restore()
    assert victims["optimizer"].lr == 0.125


class Interrupting(Part):
    """Stands for Ctrl-C in the middle of restore."""

    def load_state_dict(self, state: Any, /) -> None:
        before, self.state = self.state, state
        if before == {"seed": 1}:
            self.state = {"seed": "half"}
            raise KeyboardInterrupt


def test_ctrl_c_in_restore_changes_nothing(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "run.npz", a=Part({"seed": 0}), b=Part({"seed": 0})).save(1)
    a, b = Part({"seed": 1}), Interrupting({"seed": 1})
    with pytest.raises(KeyboardInterrupt):
        Checkpoint(tmp_path / "run.npz", a=a, b=b).restore()
    assert a.state == b.state == {"seed": 1}


def test_a_damaged_byte_is_noticed_or_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    state = {"w": np.arange(5.0), "t": 3, "lr": 0.1}
    Checkpoint(path, part=Part(state)).save(3)
    content = path.read_bytes()
    noticed = 0
    for i in range(len(content)):
        path.write_bytes(content[:i] + bytes([content[i] ^ 0xFF]) + content[i + 1 :])
        part = Part(None)
        try:
            step = Checkpoint(path, part=part).restore()
        except ValueError as error:
            assert "run.npz" in str(error)  # noqa: PT017
            assert part.state is None
            noticed += 1
        else:
            assert step == 3
            assert same(part.state, state)
    assert noticed > len(content) / 2


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    Checkpoint(path, part=Part({"w": np.arange(5.0)})).save(3)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"run\.npz.*not a whole file"):
            Checkpoint(path, part=Part(None)).restore()


def test_load_says_that_a_file_is_a_checkpoint(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "run.npz", model=net()).save(1)
    with pytest.raises(ValueError, match=r"run\.npz holds checkpoint\.json .*a Checkpoint saved"):
        load(tmp_path / "run.npz", net())


@pytest.mark.parametrize("position", [-1, 625, 10**9, 1.0, None])
@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.Philox])
@pytest.mark.parametrize("nested", [False, True])
def test_error_a_generator_that_would_read_beyond_its_memory(
    tmp_path: Path, kind: Any, position: Any, nested: bool
) -> None:
    def parts(seed: int) -> dict[str, Any]:
        rng = np.random.Generator(kind(seed))
        part = Part({"a": [{"rng": rng.bit_generator.state}]})
        return {"part": part} if nested else {"part": rng}

    def change(content: dict[str, Any]) -> None:
        state = content["parts"]["part"]
        state = state["a"][0]["rng"] if nested else state
        if kind is np.random.MT19937:
            state["state"]["pos"] = position
        else:
            state["buffer_pos"] = position

    path = tmp_path / "run.npz"
    Checkpoint(path, **parts(0)).save(1)
    rewritten(path, change)
    victims = parts(1)
    with pytest.raises(ValueError, match=rf"run\.npz.*{kind.__name__} at position {position}: "):
        Checkpoint(path, **victims).restore()
    assert same(state_of(victims["part"]), state_of(parts(1)["part"]))


def test_a_part_that_refuses_its_own_state_too_keeps_no_other_from_going_back(
    tmp_path: Path,
) -> None:
    class Stubborn:
        def state_dict(self) -> dict[str, Any]:
            return {"n": 1}

        def load_state_dict(self, state: Any) -> None:
            raise ValueError("never")

    x = Tensor([1.0], requires_grad=True)
    optimizer = Adam([x], lr=0.1)
    checkpoint = Checkpoint(tmp_path / "run.npz", optimizer=optimizer, stubborn=Stubborn())
    checkpoint.save(1)
    optimizer.lr = 0.9
    with pytest.raises(ValueError, match=r"run\.npz: the state of 'stubborn' does not fit"):
        checkpoint.restore()
    assert optimizer.lr == 0.9
