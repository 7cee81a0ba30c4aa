"""The paths of optimizers in two dimensions: functions, descents, verdicts and figures."""

import itertools
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.animation import PillowWriter
from PIL import Image

from experiments import paths
from experiments.lineup import LABELS, OPTIMIZERS, build, line
from experiments.question import Setting
from experiments.race import FRAMES
from experiments.trainings.landscapes import (
    LANDSCAPES,
    ROTATION,
    STEPS,
    Descent,
    Landscape,
    descend,
    quadratic,
)
from minigrad import Tensor, grad

SAMPLE = np.random.default_rng(5).normal(0.0, 2.0, (40, 2))
QUADRATIC = LANDSCAPES["quadratic"]
DESCENTS_THAT_TURN = {"sgd": 0.3, "momentum": 0.3, "muon": 0.1}
BY_COORDINATE = sorted(set(OPTIMIZERS) - set(DESCENTS_THAT_TURN))
# RAdam's first five steps are along g, not scaled; Adadelta with ε = 0 never starts.
SCALED = sorted(set(BY_COORDINATE) - {"radam", "adadelta"})

Point = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def reduced(reduced_setting: Setting) -> paths.Paths:
    return paths.measure(reduced_setting)


def gradient(landscape: Landscape, x: Point) -> Point:
    return np.array(grad(lambda x: landscape.f(x[0], x[1]))(x))


# Functions


def quadratic_gradient(x1: float, x2: float) -> list[float]:
    return [0.2 * x1, 4 * x2]


def rosenbrock_gradient(x1: float, x2: float) -> list[float]:
    return [2 * (x1 - 1) - 400 * x1 * (x2 - x1**2), 200 * (x2 - x1**2)]


def beale_gradient(x1: float, x2: float) -> list[float]:
    terms = [c - x1 + x1 * x2**n for n, c in enumerate((1.5, 2.25, 2.625), start=1)]
    return [
        sum(2 * term * (x2**n - 1) for n, term in enumerate(terms, start=1)),
        sum(2 * term * n * x1 * x2 ** (n - 1) for n, term in enumerate(terms, start=1)),
    ]


@pytest.mark.parametrize(
    ("name", "closed_form"),
    [
        ("quadratic", quadratic_gradient),
        ("rosenbrock", rosenbrock_gradient),
        ("beale", beale_gradient),
    ],
)
def test_gradients_are_the_closed_forms(name: str, closed_form: object) -> None:
    assert callable(closed_form)
    for x in SAMPLE:
        expected = closed_form(*x)
        np.testing.assert_allclose(gradient(LANDSCAPES[name], x), expected, rtol=1e-11, atol=1e-11)


def test_the_copy_is_the_quadratic_turned() -> None:
    turned = LANDSCAPES["rotated"]
    np.testing.assert_allclose(ROTATION @ ROTATION.T, np.eye(2), atol=1e-15)
    for x in SAMPLE:
        y = ROTATION @ x
        assert turned.f(*y) == pytest.approx(QUADRATIC.f(*x), rel=1e-13)
        np.testing.assert_allclose(
            gradient(turned, y), ROTATION @ gradient(QUADRATIC, x), atol=1e-13
        )
    np.testing.assert_allclose(turned.start, ROTATION @ QUADRATIC.start, atol=1e-15)


@pytest.mark.parametrize("name", LANDSCAPES)
def test_minima_are_zero_with_zero_gradient_and_nothing_is_below(name: str) -> None:
    landscape = LANDSCAPES[name]
    minimum = np.array(landscape.minimum)
    assert landscape.f(*minimum) == 0.0
    np.testing.assert_array_equal(gradient(landscape, minimum), [0.0, 0.0])
    assert (landscape.f(*SAMPLE.T) > 0).all()
    left, right, bottom, top = landscape.window
    for x1, x2 in (landscape.start, landscape.minimum):
        assert left < x1 < right
        assert bottom < x2 < top


def test_values_at_the_starts() -> None:
    expected = {"quadratic": 10.5, "rotated": 10.5, "rosenbrock": 24.2, "beale": 14.203125}
    assert {name: f.f(*f.start) for name, f in LANDSCAPES.items()} == pytest.approx(expected)


# Descents


def test_sgd_on_the_quadratic_is_the_closed_form() -> None:
    path = descend("sgd", QUADRATIC, 0.4).points
    t = np.arange(STEPS + 1)
    expected = np.stack([-5 * (1 - 0.4 * 0.2) ** t, -2 * (1 - 0.4 * 4.0) ** t], axis=1)
    np.testing.assert_allclose(path, expected, rtol=1e-12, atol=1e-300)


def test_adam_starts_diagonally_with_steps_of_the_learning_rate() -> None:
    path = descend("adam", QUADRATIC, 0.1, steps=60, eps=0.0).points
    np.testing.assert_allclose(path[1], [-4.9, -1.9], rtol=1e-14)


def test_adamw_is_adam_without_decay() -> None:
    """So the figure has one line for both."""
    for landscape in LANDSCAPES.values():
        adam, adamw = (descend(name, landscape, 0.1).points for name in ("adam", "adamw"))
        np.testing.assert_allclose(adamw, adam, rtol=0, atol=1e-13)


def test_a_descent_that_diverges_is_a_result() -> None:
    descent = descend("sgd", LANDSCAPES["rosenbrock"], 1.0)
    assert (descent.steps, descent.rest) == (np.inf, np.inf)
    assert descent.length == 0.0  # the first step already leads too far
    result = paths.train(optimizer="sgd", function="rosenbrock", lr=1.0, steps=STEPS)
    assert result == {"f": np.inf, "steps": np.inf}


def test_a_descent_has_arrived_only_if_it_stays() -> None:
    values = np.full(101, 1e-9)
    values[:20] = 1.0
    points = np.zeros((101, 2))
    points[:, 0] = np.minimum(np.arange(101), 20)
    arrived = Descent(0.1, points, values)
    assert (arrived.steps, arrived.rest, arrived.length) == (20, 1e-9, 20)
    values = values.copy()
    values[49] = 0.002  # once more outside, just before the last fifty steps
    assert replace(arrived, values=values).steps == 50
    values[50] = 0.002
    late = replace(arrived, values=values)
    assert (late.steps, late.rest) == (np.inf, 0.002)


def test_the_tuned_rate_is_the_calmest_of_the_fastest() -> None:
    rates = (0.1, 0.2, 0.4, 0.8)

    def choose(*steps: float, f: tuple[float, ...] = (0.0,) * 4) -> float:
        results = [{"steps": s, "f": last} for s, last in zip(steps, f, strict=True)]
        return paths.tuned_rate(rates, results)

    assert choose(100, 60, 50, 70) == 0.2
    assert choose(100, 61, 50, 70) == 0.4
    assert choose(*[np.inf] * 4, f=(0.5, 0.2, 0.3, np.inf)) == 0.2
    assert choose(np.inf, np.inf, np.inf, 440, f=(0.0, 0.1, 0.2, 0.3)) == 0.8


# What a change of coordinates does


@pytest.mark.parametrize(("name", "lr"), DESCENTS_THAT_TURN.items())
def test_paths_along_the_gradient_turn_with_the_function(name: str, lr: float) -> None:
    assert paths.gap_rotated(name, lr) < 1e-12


@pytest.mark.parametrize("name", BY_COORDINATE)
def test_paths_scaled_by_coordinate_do_not(name: str) -> None:
    assert paths.gap_rotated(name, 1.0 if name == "adadelta" else 0.1) > 0.1


@pytest.mark.parametrize("coefficients", [(2.0, 0.1), (1.0, 1.0), (1e-3, 3e3)])
@pytest.mark.parametrize("name", SCALED)
def test_paths_scaled_by_coordinate_do_not_depend_on_coefficients(
    name: str, coefficients: tuple[float, float]
) -> None:
    other = replace(QUADRATIC, f=quadratic(*coefficients))
    eps = {"eps": 0.0} if "eps" in OPTIMIZERS[name].hyperparameters else {}
    first, second = (descend(name, f, 0.1, steps=200, **eps).points for f in (QUADRATIC, other))
    np.testing.assert_allclose(second, first, rtol=0, atol=1e-12)


def test_a_power_of_two_changes_no_bit_of_adams_path() -> None:
    steeper = replace(QUADRATIC, f=quadratic(0.1 * 2.0**10, 2.0 * 2.0**-6))
    first, second = (descend("adam", f, 0.1, eps=0.0).points for f in (QUADRATIC, steeper))
    np.testing.assert_array_equal(second, first)


@pytest.mark.parametrize("name", ["sgd", "momentum", "muon", "radam"])
def test_other_paths_do(name: str) -> None:
    assert paths.gap_exchanged(name, 0.1) > 0.1


def test_adam_is_not_indifferent_to_the_unit_of_x() -> None:
    """The remark: with x₁ in a tenth of the unit, steps would have to be ten times as long."""
    unit = Landscape("", quadratic(0.001, 2.0), (-50.0, -2.0), (0.0, 0.0), QUADRATIC.window)
    plain, tenth = (descend("adam", f, 0.1, eps=0.0) for f in (QUADRATIC, unit))
    assert paths.gap(plain, replace(tenth, points=tenth.points / [10.0, 1.0])) > 1


def test_the_gap_of_paths_of_which_one_diverges_is_infinite() -> None:
    assert paths.gap(descend("sgd", QUADRATIC, 0.1), descend("sgd", QUADRATIC, 1.0)) == np.inf


def test_adadelta_without_eps_never_starts() -> None:
    assert np.isnan(paths.gap_exchanged("adadelta", 1.0))


# Verdicts


def test_the_reduced_run_comes_to_the_verdicts(reduced: paths.Paths) -> None:
    assert [verdict.verdict for verdict in paths.judge(reduced)] == ["holds", "in part", "in part"]


@pytest.mark.slow
def test_the_full_run_comes_to_the_same_verdicts(tmp_path: Path, reduced: paths.Paths) -> None:
    full = paths.measure(Setting(folder=tmp_path))
    assert [v.verdict for v in paths.judge(full)] == [v.verdict for v in paths.judge(reduced)]
    assert full.counts("adam") == [11, 10, 5, 9]
    assert full.counts("sgd") == [5, 5, 0, 4]
    assert full.counts("momentum") == [10, 10, 3, 7]
    assert (full.serving_all("adam"), full.serving_all("sgd")) == (5, 0)
    assert full.turning("sgd") == dict.fromkeys(full.turning("sgd"), 1.0)
    assert (len(paths.spared(full, "adam")), len(full.turning("adam"))) == (7, 11)


def test_reduced_rates_are_among_the_full_ones() -> None:
    """So that a kept reduced run is part of the full one; and both have Adam's textbook rate."""
    assert set(paths.REDUCED_RATES) < set(paths.RATES)
    assert paths.RATES[0] == paths.ADAM_DEFAULT
    assert build("adam", [Tensor(0.0, requires_grad=True)]).lr == paths.ADAM_DEFAULT


def test_verdicts_follow_the_numbers(reduced: paths.Paths) -> None:
    m = reduced

    def verdicts(**changes: object) -> list[str]:
        return [v.verdict for v in paths.judge(replace(m, **changes))]  # type: ignore[arg-type]

    assert verdicts(exchanged=m.exchanged | {"adam": 0.5})[0] == "in part"
    assert verdicts(exchanged=m.exchanged | {"adam": 6.0})[0] == "fails"
    assert verdicts(exchanged=m.exchanged | {"sgd": 1e-15})[0] == "fails"

    def turned(*steps: float) -> str:
        """The second verdict, if Adam takes 100 steps on f at each of these rates."""
        few = (100.0,) * len(steps) + (np.inf,) * (len(m.rates) - len(steps))
        rotated = steps + (np.inf,) * (len(m.rates) - len(steps))
        changed = {("adam", "quadratic"): few, ("adam", "rotated"): rotated}
        return verdicts(steps=m.steps | changed)[1]

    assert turned(120, 100, 90) == "holds"
    assert turned(120, 100, 121, np.inf) == "in part"
    assert turned(120, 121, np.inf) == "fails"
    assert turned() == "fails"  # it arrives nowhere

    steps = m.steps
    swapped = {("adam", f): steps["sgd", f] for f in LANDSCAPES}
    assert verdicts(steps=steps | swapped)[2] == "fails"
    never = (np.inf,) * len(m.rates)
    alone = {(name, f): never for name in ("sgd", "momentum") for f in LANDSCAPES}
    assert verdicts(steps=steps | alone)[2] == "holds"
    always = (100.0,) * len(m.rates)
    assert verdicts(steps=steps | alone | {("momentum", "beale"): always})[2] == "in part"


def test_what_the_turn_multiplies_steps_by_is_1_along_the_gradient(reduced: paths.Paths) -> None:
    for name in DESCENTS_THAT_TURN:
        assert set(reduced.turning(name).values()) == {1.0}
        assert paths.spared(reduced, name) == list(reduced.turning(name))
    assert reduced.turning("adam")[reduced.best["adam", "quadratic"].lr] == pytest.approx(184 / 70)


def test_the_table_has_every_optimizer_twice_in_100_columns(reduced: paths.Paths) -> None:
    lines = paths.table(reduced).splitlines()
    assert max(map(len, lines)) <= 100
    first_words = [row.split()[0] for row in lines if row]
    assert [first_words.count(label) for label in LABELS.values()] == [2] * len(OPTIMIZERS)


def test_numbers_of_the_table_are_those_measured(reduced: paths.Paths) -> None:
    m = reduced
    rows = [row.split() for row in paths.table(m).splitlines() if row.startswith("Adam ")]
    steps = [m.best["adam", function].steps for function in LANDSCAPES]
    assert [float(cell) for cell in rows[0][2::3]] == steps
    assert rows[1][-5:] == [str(n) for n in (*m.counts("adam"), m.serving_all("adam"))]


def test_chosen_optimizers_are_measured_beside_those_that_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "REDUCED_RATES", paths.REDUCED_RATES[3:4])
    m = paths.measure(Setting(reduced=True, optimizers=("Lion",), folder=tmp_path))
    assert m.optimizers == ("lion", *paths.JUDGED)
    assert len(paths.judge(m)) == 3
    plt.close(paths.draw(m))


def test_error_unknown_optimizer() -> None:
    with pytest.raises(ValueError, match="no optimizer 'adamm'"):
        paths.measure(Setting(reduced=True, optimizers=("adamm",)))


# Figures


def test_a_window_shows_what_lies_in_it() -> None:
    inside = np.array([QUADRATIC.start, QUADRATIC.minimum])
    assert QUADRATIC.shows(inside)
    for outside in ([-5.8, 0.0], [2.0, 0.0], [0.0, -2.9], [0.0, 3.0], [np.nan, np.nan]):
        assert not QUADRATIC.shows(np.vstack([inside, outside]))


def test_families_hold_every_optimizer_once() -> None:
    names = [name for names in paths.FAMILIES.values() for name in names]
    assert sorted([*names, "adamw"]) == sorted(OPTIMIZERS)


def test_each_panel_shows_its_family_with_steps(reduced: paths.Paths) -> None:
    m = reduced
    figure = paths.draw(m)
    axes = np.reshape(np.array(figure.axes), (len(LANDSCAPES), len(paths.FAMILIES)))
    for row, function in zip(axes, LANDSCAPES, strict=True):
        assert [ax.get_xlabel() for ax in row] == ["y₁" if function == "rotated" else "x₁"] * 4
        assert row[0].get_ylabel() == ("y₂" if function == "rotated" else "x₂")
        for ax, names in zip(row, paths.FAMILIES.values(), strict=True):
            assert [drawn.get_color() for drawn in ax.lines[2:]] == [
                line(name)["color"] for name in names
            ]
            for text, name in zip(ax.get_legend().get_texts(), names, strict=True):
                descent = m.shown(name, function)
                end = f"{descent.steps:.0f}" if descent.steps < np.inf else f"f {descent.rest:.1g}"
                path = descent.points[: int(min(descent.steps, STEPS)) + 1]
                out = "" if LANDSCAPES[function].shows(path) else ", leaves view"
                assert text.get_text().endswith(f" {end}{out}")
    assert "at η = 0.1 Adam needs 184 steps, not 70" in figure.get_suptitle()
    assert "at 3 of the 5 rates" in figure.get_suptitle()
    plt.close(figure)


def test_no_legend_reaches_into_the_next_panel(reduced: paths.Paths) -> None:
    figure = paths.draw(reduced)
    figure.canvas.draw()
    axes = np.reshape(np.array(figure.axes), (len(LANDSCAPES), len(paths.FAMILIES)))
    for row in axes:
        edges = [*(ax.get_window_extent().x0 for ax in row[1:]), figure.bbox.x1]
        for ax, edge in zip(row, edges, strict=True):
            extent = ax.get_legend().get_window_extent()
            assert extent.x1 < edge
            assert extent.y0 >= ax.get_window_extent().y1 - 1  # above the data
    plt.close(figure)


def test_the_turned_copy_is_shown_at_the_rate_tuned_for_f(reduced: paths.Paths) -> None:
    m = reduced
    for name in OPTIMIZERS:
        assert m.shown(name, "rotated").lr == m.best[name, "quadratic"].lr
        assert m.shown(name, "beale") is m.best[name, "beale"]


def test_the_animation_is_a_small_gif_of_many_frames(tmp_path: Path, reduced: paths.Paths) -> None:
    path, others = tmp_path / "paths.gif", plt.get_fignums()
    paths.animate(reduced, path)
    assert path.stat().st_size < 3e6
    assert [file.name for file in tmp_path.iterdir()] == ["paths.gif"]
    with Image.open(path) as gif:
        assert gif.format == "GIF"
        # Frames that are the same are one frame that stands longer.
        assert gif.n_frames == len(set(FRAMES))
        pictures = []
        for k in range(len(set(FRAMES))):
            gif.seek(k)
            pictures.append(np.asarray(gif.convert("RGB")))
    changes = [(a != b).any() for a, b in itertools.pairwise(pictures)]
    assert all(changes)
    assert plt.get_fignums() == others


def test_an_interrupted_animation_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reduced: paths.Paths
) -> None:
    path, others = tmp_path / "paths.gif", plt.get_fignums()
    path.write_bytes(b"the old one")
    finish = PillowWriter.finish

    def interrupted(writer: PillowWriter) -> None:
        del writer._frames[2:]  # type: ignore[attr-defined]
        finish(writer)
        assert (tmp_path / ".paths.gif").stat().st_size > 0
        raise KeyboardInterrupt

    monkeypatch.setattr(PillowWriter, "finish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        paths.animate(reduced, path)
    assert [file.name for file in tmp_path.iterdir()] == ["paths.gif"]
    assert path.read_bytes() == b"the old one"
    assert plt.get_fignums() == others
