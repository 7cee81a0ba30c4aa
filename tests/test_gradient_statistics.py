"""What Adam sees: closed forms of scale and step, the kinds, the verdicts, a small run."""

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from datasets import MinibatchStream, airfoil_stand_in
from datasets.time_machine import encode, time_machine, windows
from experiments import gradient_statistics as script
from experiments.adam_moments import (
    BETA1,
    EPS,
    Moments,
    corrected,
    expected_step,
    half_normal,
    momentum_rate,
    scale_of_rate,
)
from experiments.final_loss import final_loss
from experiments.gradient_noise import gradients, noise_norms, signal_share
from experiments.gradient_statistics import KINDS, Measurement
from experiments.question import Setting
from experiments.sweep import SweepError
from experiments.tails import MULTIPLES, Tails
from experiments.trainings import characters
from experiments.trainings.resumable import one_by_one
from experiments.trainings.tiny_lm import TinyLM
from minigrad import Tensor
from optim import SGD, Adam

# The closed forms


def adam_state(gradients: np.ndarray) -> dict[str, Any]:
    """Adam's state after these gradients, a row each."""
    x = Tensor(np.zeros(gradients.shape[1]), requires_grad=True)
    optimizer = Adam([x], lr=script.LR)
    for g in gradients:
        x.grad = g
        optimizer.step()
    return dict(optimizer.state_dict()["state"][0])


@pytest.mark.parametrize("t", [1, 7, 300])
def test_under_a_constant_gradient_the_scale_is_its_size_and_the_step_one(t: int) -> None:
    g = np.array([3.0, -0.02, 1e-4])
    state = adam_state(np.tile(g, (t, 1)))
    moments = corrected(state["v"], state["s"], t)
    np.testing.assert_allclose(moments.scale, np.abs(g), rtol=1e-12)
    np.testing.assert_allclose(moments.step, g / (np.abs(g) + 1e-8), rtol=1e-12)


def test_a_coordinate_without_a_gradient_has_scale_and_step_zero() -> None:
    moments = corrected(np.zeros(1), np.zeros(1), 10)
    assert moments.scale == moments.step == 0


def test_rounding_errors_of_1e_11_make_steps_of_a_thousandth_because_of_epsilon() -> None:
    state = adam_state(np.full((50, 1), 1e-11))
    moments = corrected(state["v"], state["s"], 50)
    assert moments.step[0] == pytest.approx(1e-11 / (1e-11 + 1e-8), rel=1e-9)


def test_steps_under_pure_noise_have_the_length_of_the_closed_form() -> None:
    t, n = 1500, 4000
    state = adam_state(np.random.default_rng(0).normal(0, 3, (t, n)))
    step = np.abs(corrected(state["v"], state["s"], t).step)
    error = 1 / np.sqrt(2 * n)  # of a root mean square, relative
    assert np.sqrt(np.mean(step**2)) == pytest.approx(expected_step(), rel=4 * error)
    assert np.mean(step < 0.1) == pytest.approx(
        half_normal(np.array(0.1 / expected_step())), abs=4 * 0.5 / np.sqrt(n)
    )


def test_a_mean_that_stays_lengthens_steps_as_its_share_of_the_power_says() -> None:
    t, n = 3000, 2000
    g = np.random.default_rng(0).normal(1, np.sqrt(3), (t, n))  # a share of 1/4
    state = adam_state(g)
    step = corrected(state["v"], state["s"], t).step
    assert np.sqrt(np.mean(step**2)) == pytest.approx(expected_step(0.25), rel=0.02)


def test_a_share_estimated_below_0_is_pure_noise() -> None:
    assert expected_step(-0.1) == expected_step(0.0)


def test_sgd_with_momentum_at_the_rate_of_a_coordinate_makes_adams_step() -> None:
    """Also in coordinates whose gradients are near ε and below."""
    sizes = np.array([1.0, 1e-4, 1e-8, 1e-10])
    gradients = sizes * np.random.default_rng(0).normal(0.1, 1, (400, 4))
    x = Tensor(np.zeros(4), requires_grad=True)
    sgd = SGD([x], lr=1.0, momentum=BETA1)
    velocity = np.zeros(4)
    for g in gradients:
        x.data[...] = 0
        x.grad = g
        sgd.step()
        velocity = -x.data
    state = adam_state(gradients)
    moments = corrected(state["v"], state["s"], len(gradients))
    made = momentum_rate(moments.scale, script.LR) * velocity
    np.testing.assert_allclose(made, script.LR * moments.step, rtol=1e-9)


def test_no_coordinate_has_a_rate_above_that_of_epsilon_alone() -> None:
    assert momentum_rate(1.8e-10, 1e-3) == pytest.approx(1e-4 / 1.018e-8)
    assert momentum_rate(0.0, 1e-3) == pytest.approx(1e4)


def test_the_scale_of_a_rate_is_the_inverse_down_to_rounding_errors() -> None:
    scale = np.logspace(-10, 0, 21)
    back = scale_of_rate(momentum_rate(scale, script.LR), script.LR)
    np.testing.assert_allclose(back, scale, rtol=1e-12, atol=1e-15 * EPS)


@pytest.mark.parametrize(("mean", "share"), [(1.0, 0.25), (0.0, 0.0)])
def test_the_signals_share_is_estimated_without_bias(mean: float, share: float) -> None:
    """A mean of 1 and a variance of 3; from 5 batches a naive estimate would be 0.4 and 0.2."""
    g = np.random.default_rng(0).normal(mean, np.sqrt(3), (5, 40_000)).astype(np.float32)
    assert signal_share(g) == pytest.approx(share, abs=0.02)


def test_the_norm_of_the_noise_is_the_distance_from_the_mean_of_the_others() -> None:
    g = np.random.default_rng(0).normal(5, 1, (6, 20)).astype(np.float32)
    expected = [np.linalg.norm(g[i] - np.delete(g, i, axis=0).mean(axis=0)) for i in range(6)]
    np.testing.assert_allclose(noise_norms(g), expected, rtol=1e-5)


def test_decades_lie_between_the_5_and_the_95_percent_quantile() -> None:
    assert script.decades(np.logspace(0, 5, 10_001)) == pytest.approx(4.5)


# The kinds


def test_every_parameter_of_the_model_has_a_kind() -> None:
    model = TinyLM(rng=np.random.default_rng(0))
    sizes = dict.fromkeys(KINDS, 0)
    for name, p in model.named_parameters():
        sizes[script.kind_of(name, p.shape)] += p.size
    assert sizes == {
        "embeddings": 92 * 128, "matrices": 396_800, "vectors": 3356, "key biases": 2 * 128,
    }  # fmt: skip


def small_model(rng: np.random.Generator, dtype: Any = np.float32) -> TinyLM:
    return TinyLM(width=8, heads=2, blocks=1, rng=rng, dtype=dtype)


def test_key_biases_get_no_gradient_but_rounding() -> None:
    rng = np.random.default_rng(0)
    model = small_model(rng, np.float64)
    for p in model.parameters():
        p.data[...] += rng.normal(0, 0.1, p.shape)
    tokens = rng.integers(0, 28, (4, 65))
    model.loss(tokens[:, :-1], tokens[:, 1:]).backward()
    sizes = {
        name: np.abs(p.grad).max()
        for name, p in model.named_parameters()
        if p.grad is not None and name.endswith("bias")
    }
    key = sizes.pop("blocks.0.attention.key.bias")
    assert key < 1e-12 * min(sizes.values())


# Looking at a small model


@pytest.fixture(scope="module")
def looked() -> tuple[Measurement, dict[str, Any]]:
    rng = np.random.default_rng(0)
    model = small_model(rng)
    text = replace(time_machine("stand-in"), characters=encode("the time traveller was there " * 9))
    batches = MinibatchStream(*windows(text.characters), 64, rng)
    optimizer = Adam(model.parameters(), lr=script.LR)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = model.loss(*next(batches))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    before = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    m = script.look(model, optimizer, batches, text=text, losses=losses, count=6)
    after = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    return m, {"before": before, "after": after, "losses": losses}


def test_looking_changes_neither_parameters_nor_state(
    looked: tuple[Measurement, dict[str, Any]],
) -> None:
    _, run = looked
    for name, value in run["before"]["model"].items():
        np.testing.assert_array_equal(run["after"]["model"][name], value)
    for a, b in zip(*(run[k]["optimizer"]["state"] for k in ("before", "after")), strict=True):
        np.testing.assert_array_equal(a["s"], b["s"])


def test_symbols_that_do_not_occur_are_left_out(
    looked: tuple[Measurement, dict[str, Any]],
) -> None:
    m, _ = looked
    occurring = set(encode("the time traveller was there ").tolist())
    assert set(np.flatnonzero(m.frequency)) == occurring
    assert set(np.flatnonzero(m.token_scale)) == occurring
    assert set(np.flatnonzero(np.isfinite(m.token_kurtosis))) == occurring
    assert len(m.moments["embeddings"].scale) == 8 * (len(occurring) + 64)
    assert all((moments.scale > 0).all() for moments in m.moments.values())


def test_the_table_and_the_figure_of_a_small_model_are_whole(
    looked: tuple[Measurement, dict[str, Any]],
) -> None:
    m, run = looked
    text = script.table(m)
    assert max(map(len, text.splitlines())) <= 100
    assert f"final loss (mean of the last 1): {run['losses'][-1]:.3f}" in text
    for kind in KINDS:
        assert f"\n{kind} " in text
    assert "nan" not in text
    plt.close(script.draw(m))


def test_gradients_are_those_of_the_batches_at_fixed_parameters() -> None:
    rng = np.random.default_rng(0)
    model = small_model(rng)
    X, y = windows(encode("so it will be convenient to speak of him " * 3))
    stream, twin = (MinibatchStream(X, y, 4, np.random.default_rng(1)) for _ in range(2))
    rows = gradients(model, stream, 3, "batches")
    for row in rows:
        for p in model.parameters():
            p.grad = None
        model.loss(*next(twin)).backward()
        whole = np.concatenate([p.grad.ravel() for p in model.parameters() if p.grad is not None])
        np.testing.assert_allclose(row, whole, rtol=1e-3, atol=1e-6 * np.abs(whole).max())


def small_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    """Ask for three steps of a small model."""
    small = functools.partial(TinyLM, width=8, heads=2, blocks=1)
    monkeypatch.setattr(characters, "TinyLM", small)
    monkeypatch.setattr(characters, "EVALUATED", 2)
    monkeypatch.setattr(characters, "SAMPLED", 2)
    monkeypatch.setattr(script, "REDUCED_BATCHES", 4)
    return Setting(airfoil_stand_in(), reduced=True, folder=folder, steps=3, path="stand-in")


def test_the_checkpoint_of_language_model_is_used_and_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = small_setting(tmp_path, monkeypatch)
    text = time_machine("stand-in")
    text = replace(text, source=text.source.partition(",")[0])
    run = {"optimizer": "adam", "lr": script.LR, "steps": 3, "seed": 1, "every": script.EVERY}
    train = functools.partial(characters.train_on_text, text)
    (result,) = one_by_one(train, [run], folder=tmp_path, name="language_model")
    (kept,) = tmp_path.glob("checkpoints/language_model/*/3.npz")
    written = kept.read_bytes()

    def no_step(self: Adam) -> None:
        raise AssertionError("it trains again")

    monkeypatch.setattr(Adam, "step", no_step)
    m = script.measure(setting)
    assert m.steps == 3
    assert m.loss == final_loss(np.array(result["losses"]))
    assert list(tmp_path.glob("checkpoints/*/*/*.npz")) == [kept]
    assert len(kept.read_bytes()) == len(written)


def test_fresh_removes_the_checkpoints_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    setting = small_setting(tmp_path, monkeypatch)
    script.measure(setting)
    (kept,) = tmp_path.glob("checkpoints/language_model/*/3.npz")
    damaged = kept.with_name("2.npz")
    damaged.write_bytes(b"not a checkpoint")
    kept.unlink()
    capsys.readouterr()
    assert script.measure(replace(setting, fresh=True)).steps == 3
    assert not damaged.exists()
    assert str(kept.parent) in capsys.readouterr().out


def test_a_training_that_diverged_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = small_setting(tmp_path, monkeypatch)
    monkeypatch.setattr(script, "LR", 1e38)
    with pytest.raises(SweepError, match=r"diverged at step \d of 3"):
        script.measure(setting)


# The verdicts


def made_up(
    *,
    scale: dict[str, np.ndarray] | None = None,
    step: float = 0.2,
    norms: np.ndarray | None = None,
    own_kurtosis: float = 3.0,
    kurtosis: float = 9.0,
) -> Measurement:
    """A measurement with given scales, one length of step, norms of the noise and kurtosis."""
    spread = {kind: np.logspace(-4, -3, 50) for kind in KINDS} | (scale or {})
    share = np.exp(-MULTIPLES)
    of = Tails(share, share**2, (kurtosis, 8.0, 10.0), own_kurtosis)
    normal = Tails(share**2, share**2, (3.0, 3.0, 3.0), 3.0)
    norms = np.linspace(1, 2, 40) if norms is None else norms
    frequency = np.append(np.full(27, 1 / 27) * np.linspace(0.5, 1.5, 27), 0.0)
    return Measurement(
        steps=1000,
        loss=1.5,
        moments={k: Moments(s, np.full(len(s), step)) for k, s in spread.items()},
        signal=dict.fromkeys(KINDS, 0.25),
        tails=dict.fromkeys(KINDS, of),
        normal=normal,
        single=of,
        norms={64: norms, 1: norms},
        frequency=frequency,
        token_scale=1e-3 * np.sqrt(frequency),
        token_kurtosis=np.where(frequency > 0, 3.0, np.nan),
        source="made up",
    )


def verdict(m: Measurement, which: int) -> str:
    return script.judge(m)[which].verdict


def narrow(at: float) -> np.ndarray:
    return at * np.logspace(-0.2, 0.2, 50)


def test_one_rate_would_do_where_all_scales_are_near_each_other() -> None:
    assert verdict(made_up(scale={kind: narrow(1e-3) for kind in KINDS}), 0) == "holds"


def test_one_rate_a_kind_would_do_where_kinds_differ_and_coordinates_do_not() -> None:
    kinds = {kind: narrow(10.0**-i) for i, kind in enumerate(KINDS)}
    assert verdict(made_up(scale=kinds), 0) == "in part"


def test_one_rate_does_not_do_where_coordinates_of_a_kind_differ() -> None:
    wide = {kind: narrow(1e-3) for kind in KINDS} | {"vectors": np.logspace(-5, -3, 500)}
    assert verdict(made_up(scale=wide), 0) == "fails"


def test_key_biases_do_not_count_as_coordinates_of_another_scale() -> None:
    scale = {kind: narrow(1e-3) for kind in KINDS} | {"key biases": np.logspace(-12, -9, 50)}
    assert verdict(made_up(scale=scale), 0) == "holds"


def test_noise_is_heavy_tailed_where_its_norm_is() -> None:
    outlier = np.append(np.linspace(1, 1.2, 39), 5.0)
    assert verdict(made_up(norms=outlier), 1) == "holds"
    assert verdict(made_up(), 1) == "fails"


def test_noise_is_heavy_tailed_in_part_where_only_coordinates_are() -> None:
    assert verdict(made_up(own_kurtosis=3.6), 1) == "in part"
    assert verdict(made_up(own_kurtosis=3.4), 1) == "fails"


def test_one_kind_with_heavy_tails_is_enough() -> None:
    m = made_up()
    heavy = replace(m.tails["vectors"], own_kurtosis=3.6)
    assert verdict(replace(m, tails={**m.tails, "vectors": heavy}), 1) == "in part"
    assert verdict(replace(m, tails={**m.tails, "key biases": heavy}), 1) == "fails"


@pytest.mark.parametrize(
    ("kurtosis", "own", "expected"),
    [
        (9.0, 3.0, "9.0, since their coordinates differ in scale"),
        (9.0, 4.0, "9.0, not from different scales alone"),
        (3.2, 3.0, "3.2, about that of a normal distribution"),
    ],
)
def test_scales_are_said_to_make_the_kurtosis_only_where_they_do(
    kurtosis: float, own: float, expected: str
) -> None:
    assert expected in script.judge(made_up(kurtosis=kurtosis, own_kurtosis=own))[1].remark


def test_epsilon_is_said_to_shorten_the_key_biases_steps_only_where_it_does() -> None:
    assert "ε" not in script.judge(made_up())[0].remark
    scale = {"key biases": np.full(50, 2e-10)}
    assert "ε = 1e-08 is large" in script.judge(made_up(scale=scale))[0].remark


@pytest.mark.parametrize(("step", "expected"), [(0.9, "holds"), (0.2, "fails"), (5.0, "fails")])
def test_steps_are_about_eta_or_not(step: float, expected: str) -> None:
    assert verdict(made_up(step=step), 2) == expected


def test_steps_are_about_eta_in_part_where_half_of_them_are() -> None:
    m = made_up()
    half = {
        kind: replace(moments, step=np.where(np.arange(len(moments.step)) % 5 < 3, 0.5, 0.1))
        for kind, moments in m.moments.items()
    }
    assert verdict(replace(m, moments=half), 2) == "in part"


def test_the_power_of_the_frequency_is_found() -> None:
    assert made_up().slope() == pytest.approx(0.5)


def test_titles_come_from_the_numbers() -> None:
    m = made_up(norms=np.append(np.linspace(1, 1.2, 39), 5.0))
    figure = script.draw(m)
    title = figure.get_suptitle()
    assert f"{script.decades(m.scales()):.1f} decades" in title
    assert "in one unit 9" in title
    for ax in figure.axes:
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        assert ax.get_title()
    assert "to the power 0.50" in figure.axes[1].get_title()
    plt.close(figure)
