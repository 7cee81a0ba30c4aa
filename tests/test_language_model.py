"""The comparison on a text: its protocol, who is rare, the verdicts each way, the command line."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from datasets.time_machine import TRAINING_WINDOWS, VOCABULARY, Text, decode, encode, time_machine
from experiments import language_model as script
from experiments.__main__ import main
from experiments.final_loss import final_steps
from experiments.language_model import Measurement, Trained
from experiments.page import equation
from experiments.question import Setting
from experiments.trainings import characters
from experiments.trainings.resumable import Checkpoints
from experiments.trainings.tiny_lm import TinyLM
from minigrad import DataParallel
from optim import SGD, Adam

STEPS = 400
RECORDED = "tiny_lm_protocol.json"
PROTOCOL = (characters.BATCH_SIZE, characters.LENGTH, TRAINING_WINDOWS)


@pytest.fixture(scope="module")
def stand_in() -> Text:
    return time_machine("stand-in")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train on few windows, in small batches, and write little."""
    sizes = {"BATCH_SIZE": 2, "TRAINING_WINDOWS": 90, "EVALUATED": 2, "SAMPLED": 5}
    for name, value in sizes.items():
        monkeypatch.setattr(characters, name, value)


# The protocol


def test_pytorchs_final_losses_are_those_that_were_recorded() -> None:
    recorded = json.loads(Path(__file__).with_name("reference").joinpath(RECORDED).read_text())
    for name, ours in script.PYTORCH.items():
        runs = [run for run in recorded["runs"] if run["optimizer"].lower().startswith(name)]
        assert {run["lr"] for run in runs} == ours.keys()
        for run in runs:
            final = np.inf if run["final"] is None else run["final"]
            assert ours[run["lr"]] == round(final, 3)


def test_the_protocol_is_the_one_that_was_recorded_with_pytorch() -> None:
    assert PROTOCOL == (64, 65, 100_000)
    assert (script.STEPS, script.SEED, final_steps(script.STEPS)) == (2000, 1, 100)
    for name in script.COMPARED:
        assert script.RATES[name] == tuple(script.PYTORCH[name])
    for rates in script.RATES.values():
        assert len(rates) == 4
        assert all(2.9 < b / a < 3.4 for a, b in pairwise(rates))


@pytest.mark.parametrize("optimizer", script.COMPARED)
def test_a_training_is_the_plain_loop_over_the_text(
    tmp_path: Path, stand_in: Text, small: None, optimizer: str
) -> None:
    rng = np.random.default_rng(3)
    model = TinyLM(rng=rng)
    rule = (
        SGD(model.parameters(), lr=0.1, momentum=0.9)
        if optimizer == "sgd"
        else Adam(model.parameters(), lr=0.1)
    )
    order, losses = rng.permutation(90), []
    step = DataParallel(model.loss, parts=2)
    for i in range(3):
        starts = order[2 * i : 2 * i + 2]
        batch = np.stack([stand_in.characters[start : start + 65] for start in starts])
        rule.zero_grad()
        losses.append(step(batch[:, :-1], batch[:, 1:]))
        rule.step()
    found = characters.train_on_text(
        stand_in, optimizer=optimizer, lr=0.1, steps=3, seed=3, every=2, description="",
        checkpoints=Checkpoints(tmp_path, {}), **script.HYPERPARAMETERS.get(optimizer, {}),
    )  # fmt: skip
    assert found["losses"] == losses
    assert found["evaluated"] == [0, 2, 3]
    assert decode(found["sample"])[:19] == "the time traveller "


def test_held_out_windows_share_no_character_with_those_for_training(stand_in: Text) -> None:
    marked = np.arange(len(stand_in.characters))
    (training, _), (held_out, y) = characters.evaluation_windows(Text(marked, "positions"))
    trained_on = len(characters.training_characters(stand_in))
    assert trained_on == 100_064
    assert training.min() == 0
    assert training.max() + 1 == trained_on - 1  # its target is the last
    assert held_out.min() == trained_on
    assert y.max() == marked[-1]
    assert len(training) == len(held_out) == characters.EVALUATED


def test_error_a_text_with_nothing_to_hold_out() -> None:
    text = Text(np.zeros(100_128, np.int64), "short")
    with pytest.raises(ValueError, match=r"has 100,128 characters; 100,129 are needed"):
        characters.evaluation_windows(text)


def test_a_sample_has_the_models_probabilities() -> None:
    class Constant:
        """Says a with probability 0.7, b with 0.2, c with 0.1; sees 64 characters at most."""

        def __call__(self, tokens: Any) -> Any:
            assert tokens.shape[1] <= 64
            logits = np.full((*tokens.shape, 28), -np.inf)
            logits[..., :3] = np.log([0.7, 0.2, 0.1])
            return type("Logits", (), {"data": logits})

    written = characters.write_on(Constant(), encode("the "), 4000, np.random.default_rng(0))
    assert decode(written[:4]) == "the "
    shares = np.bincount(written[4:], minlength=28) / 4000
    np.testing.assert_allclose(shares[:3], [0.7, 0.2, 0.1], atol=0.025)  # 3 standard deviations
    assert shares[:3].sum() == 1


# Frequent and rare


def test_half_of_the_text_is_frequent_and_a_tenth_of_it_rare() -> None:
    text = Text(np.repeat(np.arange(6), [30, 20, 20, 20, 6, 4]), "made up")
    frequent, rare = script.frequent_and_rare(text)
    assert frequent == [0, 1]  # 50%
    assert rare == [4, 5]  # 10%


def test_what_is_not_in_the_text_is_neither(stand_in: Text) -> None:
    frequent, rare = script.frequent_and_rare(stand_in)
    counts = np.bincount(characters.training_characters(stand_in), minlength=28)
    assert len(VOCABULARY) - 1 not in frequent + rare
    assert counts[frequent].sum() >= 0.5 * counts.sum() > counts[frequent[:-1]].sum()
    assert counts[rare].sum() <= 0.1 * counts.sum()


# Verdicts


def made_up(
    text: Text,
    sgd: dict[float, float],
    adam: dict[float, float],
    groups: tuple[tuple[float, float], tuple[float, float]] = ((2.0, 3.0), (1.5, 2.0)),
    steps: int = STEPS,
    **others: dict[float, float],
) -> Measurement:
    """A measurement with these final losses, and losses of (frequent, rare) ones of the two.

    These are means of the last two looks; the one before them says something else.
    """
    m = Measurement(text, 1, steps, False, {})
    frequent, rare = script.frequent_and_rare(text)
    diverged = np.full(steps, np.inf)
    first = steps - final_steps(steps)
    looks = np.array([[3.3], [7.0], [1.1], [0.9]])
    by_optimizer = {"sgd": sgd, "adam": adam, **others}
    for name, finals in by_optimizer.items():
        low, high = groups[script.COMPARED.index(name)] if name in script.COMPARED else (2.0, 2.0)
        each = np.full(28, 2.0)
        each[frequent], each[rare] = low, high
        m.runs[name] = [
            Trained(
                name, lr, np.linspace(final + 1, final, steps) if final < 9 else diverged,
                0 if final < 9 else 3, 68.0, np.array([0, first - 1, first, steps]),
                looks * each * m.counts(), looks * each * m.counts("held_out"),
                "the time traveller " + 40 * "saw it ",
            )
            for lr, final in finals.items()
        ]  # fmt: skip
    return m


def verdicts(m: Measurement) -> list[str]:
    return [verdict.verdict for verdict in script.judge(m)]


@pytest.mark.parametrize(
    ("sgd", "adam", "expected"),
    [(2.0, 1.5, "holds"), (2.0, 1.9, "in part"), (1.5, 2.0, "fails"), (9, 2.0, "fails"),
     (2.0, 9, "fails"), (9, 9, "fails")],
)  # fmt: skip
def test_adam_is_the_default_if_its_best_loss_is_a_tenth_lower(
    stand_in: Text, sgd: float, adam: float, expected: str
) -> None:
    m = made_up(stand_in, {0.1: sgd, 0.3: 9}, {1e-3: 9, 3e-3: adam})
    assert verdicts(m)[0] == expected
    script.table(m)
    title = script.draw(m).get_suptitle()
    plt.close("all")
    if 9 in (sgd, adam):
        assert verdicts(m) == ["fails", "fails"]
        assert {v.number for v in script.judge(m)} == {"one of them diverges at every rate"}
        assert "SGD with momentum or Adam diverges at every rate" in title


def test_the_final_loss_is_the_mean_of_the_last_100_steps(stand_in: Text) -> None:
    run = made_up(stand_in, {0.1: 2.0}, {1e-3: 1.0}).best("adam")
    assert run.final == pytest.approx(run.losses[-100:].mean(), rel=1e-15)
    short = made_up(stand_in, {0.1: 2.0}, {1e-3: 1.0}, steps=40).best("adam")
    assert short.final == pytest.approx(short.losses[-10:].mean(), rel=1e-15)


@pytest.mark.parametrize(
    ("of_sgd", "of_adam", "expected"),
    [((2.0, 3.0), (1.9, 2.0), "holds"), ((1.0, 3.0), (0.5, 2.0), "in part"),
     ((2.0, 3.0), (1.0, 2.5), "fails"), ((2.0, 3.0), (2.5, 3.1), "fails")],
)  # fmt: skip
def test_rare_characters_explain_it_if_the_advantage_is_larger_there(
    stand_in: Text,
    of_sgd: tuple[float, float],
    of_adam: tuple[float, float],
    expected: str,
) -> None:
    m = made_up(stand_in, {0.1: 2.0}, {1e-3: 1.0}, (of_sgd, of_adam))
    assert verdicts(m)[1] == expected


@pytest.mark.parametrize(("adam", "ahead"), [(1.9, "is ahead"), (2.1, "is not ahead")])
def test_the_held_out_losses_stand_beside_the_training_losses_whoever_is_ahead(
    stand_in: Text, adam: float, ahead: str
) -> None:
    m = made_up(stand_in, {0.1: 2.0}, {1e-3: 1.0}, ((2.0, 2.0), (adam, adam)))
    frequent, rare = script.frequent_and_rare(stand_in)
    others = np.delete(np.arange(28), frequent + rare)
    shares = m.counts("held_out") / m.counts("held_out").sum()
    expected = 2 * shares[others].sum() + adam * shares[frequent + rare].sum()
    assert m.held_out(m.best("adam")) == pytest.approx(expected, rel=1e-12)
    verdict = script.judge(m)[0]
    assert verdict.verdict == "holds"  # by the training loss
    assert "final training loss" in verdict.number
    assert (
        f"On held-out text the loss of Adam is {expected:.3f}, of SGD with momentum 2.000: "
        f"Adam {ahead} there."
    ) in verdict.remark
    looks = m.looks_held_out(m.best("adam"))
    assert looks[m.best("adam").last].mean() == pytest.approx(expected, rel=1e-12)
    lowest = m.best("adam").evaluated[looks.argmin()]
    assert f"way: Adam {looks.min():.3f} after {lowest} steps, SGD " in verdict.remark


def test_losses_of_groups_are_means_of_the_looks_that_the_final_loss_spans(stand_in: Text) -> None:
    m = made_up(stand_in, {0.1: 2.0}, {1e-3: 1.0}, ((2.0, 3.0), (1.5, 2.5)))
    for found, expected in zip(m.losses_by_group().values(), ((2, 1.5), (3, 2.5)), strict=True):
        assert found == pytest.approx(expected, rel=1e-12)


def test_characters_that_come_next_too_seldom_have_no_number(
    stand_in: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(characters, "EVALUATED", 5)  # 320 targets
    m = made_up(stand_in, {0.1: 2.0}, {1e-3: 1.0})
    counts = np.bincount(characters.training_characters(stand_in), minlength=28)
    cells = script.table(m).partition("share   SGD  Adam")[2].partition("what the best")[0]
    fewer = np.count_nonzero((m.counts() < 20) & (counts > 0))
    assert 0 < fewer < np.count_nonzero(counts)
    assert cells.count("     -     -") == fewer
    assert cells.count("%") == np.count_nonzero(counts)


def test_an_optimizer_that_always_diverges_ends_nowhere(stand_in: Text) -> None:
    m = made_up(stand_in, {0.1: 2.0}, {1e-3: 1.0}, yogi={1e-2: 9, 3e-2: 9})
    remark = script.judge(m)[0].remark
    assert "Yogi, tuned alike, diverges at every rate." in remark
    assert "inf" not in remark


def test_a_best_rate_at_the_edge_of_its_grid_is_named(stand_in: Text) -> None:
    inside = {1e-3: 1.2, 3e-3: 1.0, 1e-2: 1.4}
    remark = script.judge(made_up(stand_in, {0.1: 2.0, 0.3: 1.9, 1.0: 1.8}, inside))[0].remark
    assert "SGD's best η is the largest of its 3" in remark
    assert "Adam's best η" not in remark


def test_the_table_says_what_diverged_and_keeps_to_100_columns(stand_in: Text) -> None:
    m = made_up(stand_in, {0.1: 2.0, 1.0: 9}, {1e-3: 1.0}, yogi={1e-2: 1.25})
    text = script.table(m)
    assert max(map(len, text.splitlines())) <= 100
    assert "1   diverged at step 3" in text
    assert "2.124*" in text  # the mean of the last 100
    assert "Yogi" in text
    assert "Yogi, tuned alike, ends at 1.374 (η = 0.01)" in script.judge(m)[0].remark


def test_pytorchs_numbers_stand_beside_the_full_protocol_only(
    stand_in: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(script.PYTORCH["adam"], 1e-3, 1.234)
    real = Text(stand_in.characters, "The Time Machine (H. G. Wells)")
    for text, steps, there in ((real, 2000, True), (real, 400, False), (stand_in, 2000, False)):
        m = made_up(text, {0.1: 2.0}, {1e-3: 1.0}, steps=steps)
        assert ("1.234" in script.table(m)) == there


def test_the_title_is_made_from_the_numbers(stand_in: Text) -> None:
    m = made_up(stand_in, {0.1: 1.0}, {1e-3: 2.0})
    figure = script.draw(m)
    finding = "Adam's training loss is 2.12, that of SGD with momentum 1.12: 89.0% higher"
    assert finding in figure.get_suptitle()
    plt.close(figure)


def test_the_equation_can_be_drawn_and_is_the_loss() -> None:
    for tex in script.QUESTION.equations:
        assert equation(tex).rstrip().endswith(b"</svg>")
    model = TinyLM(width=8, rng=np.random.default_rng(0))
    c = np.random.default_rng(1).integers(0, 28, (2, 65))
    total = 0.0
    for window in c:
        for j in range(1, 65):  # each from the characters before it alone
            logits = model(window[np.newaxis, :j]).data[0, -1].astype(np.float64)
            total -= logits[window[j]] - np.log(np.exp(logits).sum())
    assert model.loss(c[:, :-1], c[:, 1:]).item() == pytest.approx(total / (64 * 2), rel=1e-5)


# All of it, and the command line


def test_all_of_it_and_a_second_command_that_finds_it_done(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    rates = {"sgd": (1e30, 0.3), "adam": (1e-3, 1e-2), "yogi": (0.1,)}
    monkeypatch.setattr(script, "RATES", rates)
    options = ["language_model", "--data", "stand-in", "--out", str(tmp_path), "--seed", "2"]
    assert main([*options, "--steps", "3", "--optimizers", "yogi"]) == 0
    printed = capsys.readouterr().out
    assert "3 steps of 64 windows; seed 2" in printed
    assert "stand-in" in printed
    assert "yogi, lr=0.1 (5 of 5): " in printed
    assert "1e+30   diverged at step 2" in printed
    assert (tmp_path / "language_model.png").is_file()
    assert (tmp_path / "checkpoints/language_model/adam,lr=0.01,seed=2,every=50/3.npz").is_file()
    table = printed[printed.index("stand-in") :]
    assert main([*options, "--steps", "3", "--optimizers", "yogi"]) == 0
    again = capsys.readouterr().out
    assert again.count("kept from earlier") == 5
    assert again[again.index("stand-in") :] == table
    monkeypatch.setattr(script, "QUICK_STEPS", 2)
    assert main([*options, "--quick"]) == 0  # beside the longer ones
    printed = capsys.readouterr().out
    assert "2 steps of 64 windows, a quick preview" in printed
    assert "2 steps and fewer rates, a preview." in printed
    assert len(list(tmp_path.glob("checkpoints/language_model/*/*.npz"))) == 5


@pytest.mark.slow
def test_the_quick_version_shows_the_gap(tmp_path: Path) -> None:
    m = script.measure(Setting(path="stand-in", reduced=True, folder=tmp_path))
    assert script.judge(m)[0].verdict == "holds", script.table(m)


def test_ctrl_c_ends_with_status_130_and_where_it_stands(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def interrupted(*arguments: Any, **options: Any) -> Any:
        raise KeyboardInterrupt("interrupted: at step 7")

    monkeypatch.setattr(script, "one_by_one", interrupted)
    assert main(["language_model", "--data", "stand-in", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "interrupted: at step 7\n"


def test_error_a_checkpoint_of_another_training(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(script, "RATES", {"sgd": (0.3,), "adam": (1e-3,)})
    options = ["language_model", "--data", "stand-in", "--out", str(tmp_path), "--steps", "1"]
    assert main(options) == 0
    (tmp_path / "runs" / "language_model.jsonl").unlink()
    monkeypatch.setattr("experiments.trainings.resumable.source_fingerprint", lambda f: "09bc")
    capsys.readouterr()
    assert main(options) == 1
    error = capsys.readouterr().err
    assert "error: language_model: " in error
    assert "expected '09bc'" in error
    assert "--fresh" in error
    assert main([*options, "--fresh"]) == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["adam", "--steps", "100"], "--steps belongs to language_model"),
        (["divergence", "--quick"], "--quick belongs to language_model"),
        (["language_model", "--workers", "2"], "language_model runs its trainings one after"),
        (["language_model", "--optimizers", "muon"], "no learning rates to try for muon; it has"),
        (["language_model", "--optimizers", "adan"], "no optimizer 'adan'; did you mean"),
        (["language_model", "--full"], "--full belongs to claims"),
        (["adam", "language_model", "--data", "x.txt"], "run it alone, without adam"),
        (["adam", "--optimizers", "yogi"], "--optimizers belongs to "),
    ],
)
def test_error_combinations_that_do_nothing(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["--steps", "0"], "'0' is not a whole number, 1 or above"),
     (["--steps", "10", "--quick"], "not allowed with argument")],
)  # fmt: skip
def test_error_steps(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["language_model", *arguments])
    assert complaint in capsys.readouterr().err


def test_error_a_text_that_is_not_there_or_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.txt").write_text("Call me Ishmael.")
    for name, complaint in (("none.txt", "no time_machine data at"), ("other.txt", "published")):
        options = ["--data", str(tmp_path / name), "--out", str(tmp_path / "out")]
        assert main(["language_model", *options]) == 1
        assert complaint in capsys.readouterr().err


def test_it_is_measured_with_the_settings_optimizers_beside_the_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def note(train: Any, runs: Any, **options: Any) -> Any:
        asked.extend(runs)
        raise InterruptedError

    monkeypatch.setattr(script, "one_by_one", note)
    with pytest.raises(InterruptedError):
        script.measure(Setting(optimizers=("lion",), folder=tmp_path, path="stand-in"))
    assert [run["optimizer"] for run in asked] == ["sgd"] * 4 + ["adam"] * 4 + ["lion"] * 4
    assert {run["steps"] for run in asked} == {2000}
