"""Importances, effects and interactions."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import runs

from fer_search import report
from fer_search.report.statistics.budgets import bins, level_of
from fer_search.report.statistics.effects import effects, in_words, recall_effects
from fer_search.report.statistics.importance import MATTERS, conclusion, importances, importances_of, is_first
from fer_search.report.statistics.inference import holm
from fer_search.report.statistics.interactions import pair_interactions
from fer_search.report.statistics.joint_model import JointFit, Measurements, fit_joint_model
from fer_search.report.statistics.measurements import gather_measurements
from fer_search.report.tables.analysis import load_analysis
from fer_search.runfolder.choices import Choice

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
CHOICES = (
    Choice("a", "Choice", ("x", "y")),
    Choice("b", "Choice", (1, 2, 3)),
    Choice("c", "Float", log=True),
    Choice("d", "Choice", ("p", "q"), conditions=((("a", ("x",)),),)),
)


def planted(
    n: int, rng: np.random.Generator, *, a: float = 0, c: float = 0, d: float = 0, ab: float = 0, noise: float = 0.01
) -> Measurements:
    """Simulate designs: y adds ``a``, c adds ``c`` per decade, q adds ``d``, y and 3 together add ``ab``."""
    table = pd.DataFrame(
        {
            "choice.a": rng.choice(["x", "y"], n),
            "choice.b": rng.choice([1, 2, 3], n),
            "choice.c": 10 ** rng.uniform(-4, -2, n),
            "choice.d": rng.choice(["p", "q"], n),
        }
    )
    is_y, is_q = table["choice.a"] == "y", table["choice.d"] == "q"
    table["choice.d"] = table["choice.d"].mask(is_y)
    accuracy = 0.6 + a * is_y + c * (np.log10(table["choice.c"]) + 3) + d * (is_q & ~is_y)
    accuracy += ab * (is_y & (table["choice.b"] == 3)) + rng.normal(0, noise, n)
    return Measurements(table, np.arange(n), np.zeros(n, int), accuracy.to_numpy(float), [10])


def fitted(measurements: Measurements) -> JointFit:
    fit = fit_joint_model(measurements, CHOICES)
    assert fit is not None
    return fit


def test_planted_choice_is_ranked_first(rng: np.random.Generator) -> None:
    table = importances(planted(60, rng, a=0.04), CHOICES)
    row = table.iloc[0]
    assert row["choice"] == "a"
    assert is_first(table)
    assert row["share"] == pytest.approx(0.8, abs=0.12)  # 0.02**2 / (0.02**2 + 0.01**2)
    assert (row["value"], row["against"]) == ("y", "x")
    assert row["difference"] == pytest.approx(0.04, abs=0.01)
    assert conclusion(table) == "Only a has a significant effect (95%, Holm)."


def test_no_significant_effect_without_a_planted_one(rng: np.random.Generator) -> None:
    conclusions = [conclusion(importances(planted(40, rng), CHOICES)) for _ in range(40)]
    assert (
        sum(text.startswith("No choice has a significant effect") for text in conclusions) >= 34
    )  # 95% less three standard errors


def test_variance_shares_are_unbiased_and_covered(rng: np.random.Generator) -> None:
    """The true share of a is 0.01**2 / (0.01**2 + 0.015**2) = 0.31."""
    rows = [importances(planted(60, rng, a=0.02, noise=0.015), CHOICES).set_index("choice").loc["a"] for _ in range(80)]
    assert np.mean([row["share"] for row in rows]) == pytest.approx(0.31, abs=0.04)
    assert np.mean([row["share_low"] <= 0.31 <= row["share_high"] for row in rows]) > 0.85


def test_variance_shares_sum_to_at_most_one(rng: np.random.Generator) -> None:
    """Even if choices are confounded and their effects suppress each other."""
    for _ in range(20):
        measurements = planted(40, rng, a=0.05, c=0.05, noise=0.002)
        designs = measurements.designs.copy()
        swap = rng.random(len(designs)) < 0.9
        designs.loc[swap, "choice.b"] = np.where(designs["choice.a"] == "y", 3, 1)[swap]
        accuracy = measurements.accuracy - 0.045 * (designs["choice.b"] == 3).to_numpy()
        table = importances(measurements._replace(designs=designs, accuracy=accuracy), CHOICES)
        assert table["share"].sum() <= 1 + 1e-9
        assert table["share"].between(0, 1).all()


def test_a_conditional_choice_is_detected(rng: np.random.Generator) -> None:
    assert importances(planted(80, rng, d=0.06), CHOICES)["choice"].iloc[0] == "d"


def test_a_numeric_choice_is_detected(rng: np.random.Generator) -> None:
    assert is_first(importances(planted(60, rng, c=0.04), CHOICES))


def test_interactions_are_detected_without_false_positives(rng: np.random.Generator) -> None:
    strongest = pair_interactions(fitted(planted(90, rng, ab=0.06))).iloc[0]
    assert {strongest["choice"], strongest["other"]} == {"a", "b"}
    assert strongest["verdict"] == MATTERS
    none = [(pair_interactions(fitted(planted(60, rng, a=0.03)))["verdict"] == MATTERS).any() for _ in range(30)]
    assert np.mean(none) < 0.2


def test_too_few_designs_are_reported(rng: np.random.Generator) -> None:
    assert conclusion(importances(planted(3, rng), CHOICES), 3) == (
        "Too few designs (3 designs) to separate the effects of the choices."
    )


def test_simultaneous_intervals_have_joint_coverage(rng: np.random.Generator) -> None:
    """Without effects, all intervals of a search contain zero in at least 95% of searches."""
    tables = [importances(planted(40, rng), CHOICES) for _ in range(120)]
    assert np.mean([((table["low"] <= 0) & (table["high"] >= 0)).all() for table in tables]) >= 0.91


def test_interval_agrees_with_the_verdict(rng: np.random.Generator) -> None:
    """An interval excludes zero only for significant choices; exactly their shares exceed the noise floor."""
    for k in range(40):
        table = importances(planted(50, rng, **({"a": 0.02} if k % 2 else {})), CHOICES)
        matters = table["verdict"] == MATTERS
        assert (matters | (table["low"] <= 0)).all()
        assert ((table["share"] > table["noise_floor"]) == matters).all()


def test_effect_intervals_cover(rng: np.random.Generator) -> None:
    table = pd.concat([effects(fitted(planted(40, rng, a=0.02))) for _ in range(150)])
    of_a = table[table["choice"] == "a"]
    assert of_a["difference"].mean() == pytest.approx(0.02, abs=0.001)
    assert np.mean((of_a["low"] <= 0.02) & (of_a["high"] >= 0.02)) == pytest.approx(0.95, abs=0.05)
    none = table[table["choice"] == "b"]
    assert np.mean((none["low"] <= 0) & (none["high"] >= 0)) == pytest.approx(0.95, abs=0.04)


def test_confounded_effects_are_separated(rng: np.random.Generator) -> None:
    """A search that prefers y together with large c must not credit y with the effect of c."""
    unselected = planted(200, rng, c=0.05)
    designs = unselected.designs
    keep = ((designs["choice.a"] == "y") == (designs["choice.c"] > 1e-3)) | (rng.random(len(designs)) < 0.2)
    part, accuracy = designs[keep].reset_index(drop=True), unselected.accuracy[keep]
    mixed = Measurements(part, np.arange(len(part)), np.zeros(len(part), int), accuracy, [10])
    row = effects(fitted(mixed)).set_index(["choice", "value"]).loc[("a", "y")]
    assert abs(row["difference"]) < 0.01
    raw = pd.Series(accuracy).groupby(part["choice.a"]).mean()
    assert raw["y"] - raw["x"] > 0.02


def test_effects_are_described_in_words(rng: np.random.Generator) -> None:
    text = in_words(effects(fitted(planted(60, rng, a=0.04))).iloc[0])
    assert text.startswith("a y instead of x: +")
    assert text.count("95%") == 1


def test_many_designs_can_be_negligible(rng: np.random.Generator) -> None:
    assert set(importances(planted(3000, rng), CHOICES)["verdict"]) <= {"negligible", MATTERS}


def test_values_are_compared_with_the_spaces_first_value(rng: np.random.Generator) -> None:
    measurements = planted(60, rng)
    fit = fit_joint_model(measurements, (Choice("b", "Choice", (2, 1, 3)),))
    assert effects(fit)[["value", "against"]].to_numpy().tolist() == [["1", "2"], ["3", "2"]]
    assert level_of(measurements.designs, Choice("b", "Choice", (2, 1, 3)))[0] == [1, 2, 3]


def test_different_numbers_are_written_differently(rng: np.random.Generator) -> None:
    """ "0.002 instead of 0.002" would be meaningless."""
    designs = pd.DataFrame({"choice.c": rng.uniform(0.00200, 0.00204, 40)})
    measurements = Measurements(designs, np.arange(40), np.zeros(40, int), rng.normal(0.5, 0.01, 40), [3])
    row = importances(measurements, CHOICES[2:3]).iloc[0]
    assert row["value"] != row["against"]


def test_many_integer_values_are_treated_as_numeric(rng: np.random.Generator) -> None:
    table = pd.DataFrame({"choice.n": pd.array(rng.integers(1, 100, 50), "Int64"), "accuracy": rng.random(50)})
    assert level_of(table, Choice("n", "Int"))[0] == []
    assert len(bins(table, Choice("n", "Int"))[0]) == 5


def test_effects_on_recall(tmp_path: Path) -> None:
    analysis = load_analysis(runs.write_random(tmp_path / "run", trials=40))
    table = recall_effects(analysis.trials, analysis.curves, analysis.varied)
    assert set(table["emotion"]) == {name.removeprefix("recall_") for name in runs.RECALLS}
    strided = table[(table["value"] == "strided") & (table["emotion"] == "disgust")].iloc[0]
    assert strided["difference"] == pytest.approx(0.03, abs=0.015)


def test_all_budgets_count_once(tmp_path: Path) -> None:
    """Nine designs at one epoch and three at three; a single design at nine epochs is not a budget."""
    run = runs.write_hyperband(tmp_path / "run")
    measurements = gather_measurements(report.load_trials(run), report.load_epochs(run))
    assert measurements.budgets == [1, 3]
    assert len(measurements.designs) == 9
    assert np.bincount(measurements.budget).tolist() == [9, 3]


def test_seeds_of_a_design_are_averaged(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for k, accuracy in enumerate((0.5, 0.6, 0.7)):
        runs.write_trial(run, f"{k:04d}", runs.DEFAULTS, [accuracy])
    runs.write_trial(run, "0003", runs.DEFAULTS | {"blocks": 3}, [0.4])
    runs.write_trial(run, "0004", runs.DEFAULTS | {"blocks": 1}, [0.3])
    runs.write_oracle(run, [f"{k:04d}" for k in range(5)])
    measurements = gather_measurements(report.load_trials(run), report.load_epochs(run))
    assert sorted(measurements.accuracy) == pytest.approx([0.3, 0.4, 0.6])


def test_importance_benchmark_meets_its_bounds() -> None:
    """The planted choice is first in at least 9 of 10 searches; at most 2 of 10 null searches have a false positive."""
    import importance as benchmark

    first, wrong = 0, 0
    for seed in range(10):
        case = benchmark.make_case(seed, benchmark.CHOICES[seed % 7].name)
        first += benchmark.ours(case, benchmark.CHOICES)["choice"].iloc[0] == case.planted
        none = benchmark.ours(benchmark.make_case(100 + seed, None), benchmark.CHOICES)
        wrong += int((none["verdict"] == MATTERS).any())
    assert first >= 9
    assert wrong <= 2


def test_holm_known_answer() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_numeric_bins_have_equal_counts(rng: np.random.Generator) -> None:
    names, places = bins(planted(100, rng).designs, CHOICES[2])
    assert len(names) == 5
    assert np.bincount(places.astype(int)).tolist() == [20] * 5


def test_verdicts_of_the_committed_search() -> None:
    """results/report_search_cpu: the joint fit supports no choice (separate tests had reported two)."""
    run = Path(__file__).parents[3] / "results" / "report_search_cpu"
    analysis = load_analysis(run)
    assert analysis.fit is not None
    table = importances_of(analysis.fit)
    assert not (table["verdict"] == MATTERS).any()
    assert table["share"].sum() <= 1
