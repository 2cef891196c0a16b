"""What is concluded from trials: importances, effects, the ablation path, promotions, the Pareto front."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import runs

from fer_search import report
from fer_search.report.page.sections.importance import elsewhere
from fer_search.report.statistics import importance
from fer_search.report.statistics.ablation_path import path
from fer_search.report.statistics.additive import fits
from fer_search.report.statistics.budgets import Comparison, at_epochs, bins, common_epochs, level_of, varied
from fer_search.report.statistics.effects import effects, in_words
from fer_search.report.statistics.importance import conclusion, importances, is_first, pairs
from fer_search.report.statistics.inference import holm
from fer_search.report.statistics.pareto import front
from fer_search.report.statistics.promotions import promotions, rank_correlation
from fer_search.report.tables.analysis import RunAnalysis
from fer_search.runfolder.choices import Choice
from fer_search.runfolder.run_json import RunInfo

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
CHOICES = (
    Choice("a", "Choice", ("x", "y")),
    Choice("b", "Choice", (1, 2, 3)),
    Choice("c", "Float", log=True),
    Choice("d", "Choice", ("p", "q"), conditions=((("a", ("x",)),),)),
)


def planted(
    n: int, rng: np.random.Generator, *, a: float = 0, c: float = 0, d: float = 0, ab: float = 0, noise: float = 0.01
) -> Comparison:
    """Make up trials: y adds ``a``, c adds ``c`` a decade, q adds ``d``, y and 3 together add ``ab``."""
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
    table["accuracy"] = 0.6 + a * is_y + c * (np.log10(table["choice.c"]) + 3) + d * (is_q & ~is_y)
    table["accuracy"] += ab * (is_y & (table["choice.b"] == 3)) + rng.normal(0, noise, n)
    table = table.sort_values("accuracy", ascending=False, ignore_index=True)
    return Comparison(table.assign(trial=[f"{k:04d}" for k in range(n)], name=pd.NA), 10, 0, 0)


def test_planted_choice_is_first(rng: np.random.Generator) -> None:
    found = importances(planted(60, rng, a=0.04), CHOICES)
    assert found["choice"].iloc[0] == "a"
    assert is_first(found)
    assert found["share"].iloc[0] == pytest.approx(0.8, abs=0.12)  # 0.02 squared of 0.02 squared and 0.01 squared
    assert conclusion(found) == "Most important: a; no other choice's effect stands out from the noise."


def test_nothing_planted_is_inconclusive(rng: np.random.Generator) -> None:
    said = [conclusion(importances(planted(40, rng), CHOICES)) for _ in range(40)]
    assert sum(one.startswith("Inconclusive") for one in said) >= 34  # 95% of 40, three standard errors below


def test_unbiased_and_covered_shares(rng: np.random.Generator) -> None:
    """a explains 0.01 squared of 0.01 squared and 0.015 squared: 0.31."""
    found = [
        importances(planted(60, rng, a=0.02, noise=0.015), CHOICES).set_index("choice").loc["a"] for _ in range(80)
    ]
    assert np.mean([row["share"] for row in found]) == pytest.approx(0.31, abs=0.04)
    assert np.mean([row["low"] <= 0.31 <= row["high"] for row in found]) > 0.85


def test_conditional_choice_is_found(rng: np.random.Generator) -> None:
    found = importances(planted(80, rng, d=0.06), CHOICES)
    assert found["choice"].iloc[0] == "d"


def test_number_is_found(rng: np.random.Generator) -> None:
    assert is_first(importances(planted(60, rng, c=0.04), CHOICES))


def test_pair_is_found_and_none_invented(rng: np.random.Generator) -> None:
    strongest = pairs(planted(90, rng, ab=0.06), CHOICES).iloc[0]
    assert {strongest["choice"], strongest["other"]} == {"a", "b"}
    assert strongest["verdict"] == "matters"
    none = [(pairs(planted(60, rng, a=0.03), CHOICES)["verdict"] == "matters").any() for _ in range(30)]
    assert np.mean(none) < 0.2


def test_too_few_trials_say_so(rng: np.random.Generator) -> None:
    assert conclusion(importances(planted(3, rng), CHOICES)).startswith("Too few trials")
    assert importances(planted(8, rng), CHOICES)["share"].between(0, 1).all()


def test_equal_accuracies_do_not_divide_by_zero(rng: np.random.Generator) -> None:
    compared = planted(20, rng, noise=0)
    found = importances(compared, CHOICES)
    assert np.isfinite(found[["share", "low", "high", "p"]].to_numpy(float)).all()
    assert effects(compared, CHOICES)["p"].notna().all()


def test_effect_intervals_cover(rng: np.random.Generator) -> None:
    found = pd.concat([effects(planted(40, rng, a=0.02), CHOICES) for _ in range(150)])
    of_a = found[found["choice"] == "a"]
    assert of_a["difference"].mean() == pytest.approx(0.02, abs=0.001)
    assert np.mean((of_a["low"] <= 0.02) & (of_a["high"] >= 0.02)) == pytest.approx(0.95, abs=0.05)
    none = found[found["choice"] == "b"]
    assert np.mean((none["low"] <= 0) & (none["high"] >= 0)) == pytest.approx(0.95, abs=0.04)


def test_effects_are_taken_apart(rng: np.random.Generator) -> None:
    """A search that prefers y together with large c must not credit y with what c does."""
    compared = planted(200, rng, c=0.05)
    table = compared.trials
    keep = (table["choice.a"] == "y") == (table["choice.c"] > 1e-3)
    mixed = compared._replace(trials=table[keep | (rng.random(len(table)) < 0.2)].reset_index(drop=True))
    row = effects(mixed, CHOICES).set_index(["choice", "value"]).loc[("a", "y")]
    assert abs(row["difference"]) < 0.01
    raw = mixed.trials.groupby("choice.a")["accuracy"].mean()
    assert raw["y"] - raw["x"] > 0.02


def test_one_trial_cannot_tell_what_its_value_does(rng: np.random.Generator) -> None:
    compared = planted(60, rng, a=0.04)
    table = compared.trials.copy()
    table["choice.b"] = table["choice.b"].replace(3, 2)
    table.loc[0, ["choice.b", "accuracy"]] = 3, 0.9
    found = effects(compared._replace(trials=table), CHOICES).set_index(["choice", "value"])
    assert found.loc[("b", "3"), "p"] < 1e-6
    assert not found.loc[("b", "3"), "sure"]
    assert found.loc[("b", "3"), "verdict"] == "one trial cannot tell"
    assert found.loc[("a", "y"), "verdict"] != "one trial cannot tell"


def test_effects_in_words(rng: np.random.Generator) -> None:
    sure = effects(planted(60, rng, a=0.04), CHOICES).iloc[0]
    assert in_words(sure).startswith("a y instead of x: +")
    assert in_words(sure).endswith("better")
    few = effects(planted(12, rng, noise=0.03), CHOICES)
    assert "too few trials to tell" in set(few["verdict"])
    many = effects(planted(3000, rng), CHOICES)
    assert (many["verdict"] == "no difference of a point or more").mean() > 0.6


def test_values_are_compared_with_the_spaces_first(rng: np.random.Generator) -> None:
    compared = planted(60, rng)
    found = effects(compared, (Choice("b", "Choice", (2, 1, 3)),))
    assert found[["value", "against"]].to_numpy().tolist() == [["1", "2"], ["3", "2"]]
    assert level_of(compared.trials, Choice("b", "Choice", (2, 1, 3)))[0] == [1, 2, 3]


def test_many_whole_numbers_are_on_a_scale(rng: np.random.Generator) -> None:
    table = pd.DataFrame({"choice.n": pd.array(rng.integers(1, 100, 50), "Int64"), "accuracy": rng.random(50)})
    assert level_of(table, Choice("n", "Int"))[0] == []
    assert len(bins(table, Choice("n", "Int"))[0]) == 5


def test_emotions(tmp_path: Path) -> None:
    run = runs.write_random(tmp_path / "run", trials=40)
    trials, curves, info = report.load_trials(run), report.load_epochs(run), report.load_run(run)
    compared = at_epochs(trials, curves)
    found = effects(compared, varied(compared.trials, info.choices), curves)
    assert set(found["response"]) == {"accuracy", *(name.removeprefix("recall_") for name in runs.RECALLS)}
    strided = found[(found["value"] == "strided") & (found["response"] == "disgust")].iloc[0]
    assert strided["difference"] == pytest.approx(0.03, abs=0.015)


def test_benchmark_of_importance() -> None:
    """Of 10 planted cases, the planted choice is first or the answer is inconclusive in all but one."""
    import importance as benchmark

    found = []
    for seed in range(10):
        case = benchmark.make_case(seed, benchmark.CHOICES[seed % 7].name)
        found.append(benchmark.ours(case).rstrip("?") in (case.planted, "inconclusive"))
    assert sum(found) >= 9


def test_inconclusive_here_says_what_stands_out_at_another_budget() -> None:
    """Of a search whose longer trials are too few: the planted choice at 3 epochs; nothing where nothing is planted."""
    import importance as benchmark

    said = []
    for case in (benchmark.make_case(8, "cutout"), *(benchmark.make_case(1000 + k, None) for k in range(3))):
        info = RunInfo(path=Path(), choices=benchmark.CHOICES)
        analysis = RunAnalysis(info, case.trials.assign(name=None), case.curves)
        said.append(elsewhere(analysis, analysis.budget))
    assert "at 3 epochs, over 44 trials, cutout" in str(said[0])
    assert said[1:] == [None] * 3


def test_holm_known_answer() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_budget_compares_like_with_like(tmp_path: Path) -> None:
    run = runs.write_hyperband(tmp_path / "run")
    trials, curves = report.load_trials(run), report.load_epochs(run)
    assert common_epochs(trials, curves) == 1  # three designs of nine went on: too few to compare
    compared = at_epochs(trials, curves, 1)
    assert len(compared.trials) == 9
    first = curves[(curves["epoch"] == 1) & ~curves["inherited"]].set_index("trial")["val_accuracy"]
    assert compared.trials.set_index("trial")["accuracy"].to_dict() == pytest.approx(first.to_dict())
    assert at_epochs(trials, curves, 9).shorter == 8


def test_bins_of_numbers_are_equally_full(rng: np.random.Generator) -> None:
    table = planted(100, rng).trials
    names, places = bins(table, CHOICES[2])
    assert len(names) == 5
    assert np.bincount(places.astype(int)).tolist() == [20] * 5


def test_path_is_measured_where_it_can_be(tmp_path: Path) -> None:
    run = runs.write_random(tmp_path / "run", trials=12)
    info, trials, curves = report.load_run(run), report.load_trials(run), report.load_epochs(run)
    steps = path(at_epochs(trials, curves), info.choices, list(info.baselines), info.validation)
    assert [step.trials for step in steps] == [("0000",), ("0001",), ("0002",)]
    assert steps[1].change == "downsample strided, was max_pool"  # its pool_size goes with it
    few = path(
        at_epochs(trials[trials["trial"] != "0001"], curves), info.choices, list(info.baselines), info.validation
    )
    assert [step.trials for step in few] == [("0000",), (), ("0002",)]
    assert few[1].high - few[1].low > few[0].high - few[0].low


def test_promotions(tmp_path: Path) -> None:
    found = promotions(report.load_trials(runs.write_hyperband(tmp_path / "run")))
    assert found[["epochs", "trials", "promoted"]].to_numpy(int).tolist() == [[1, 9, 3], [3, 3, 1], [9, 1, 0]]
    assert promotions(report.load_trials(runs.write_random(tmp_path / "other"))).empty


def test_rank_correlation() -> None:
    a = np.array([1.0, 2, 3, 4, 5])
    assert rank_correlation(a, a**3) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    assert np.isnan(rank_correlation(a[:3], a[:3]))


def test_front() -> None:
    cost = np.array([1, 2, 2, 3, 4, np.nan])
    accuracy = np.array([0.5, 0.6, 0.7, 0.65, 0.8, 0.99])
    assert front(cost, accuracy).tolist() == [0, 2, 4]
    assert front(np.array([]), np.array([])).tolist() == []


def test_zone_of_chance_agrees_with_the_verdict(rng: np.random.Generator) -> None:
    """Beyond it, and only there, a choice matters; without any effect, few choices get beyond it."""
    beyond = 0
    for k in range(40):
        table = importances(planted(50, rng, **({"a": 0.02} if k % 2 else {})), CHOICES)
        assert ((table["share"] > table["chance"]) == (table["verdict"] == "matters")).all()
        beyond += 0 if k % 2 else int((table["share"] > table["chance"]).any())
    assert beyond <= 4


def test_bootstrap_draws_scatter_around_the_estimate(rng: np.random.Generator) -> None:
    """Without bias, with and without an effect: what noise explains is taken off as often as it comes in."""
    bias = []
    for _ in range(40):
        compared = planted(40, rng, a=0.02)
        found = fits(compared.trials, CHOICES, compared.trials[["accuracy"]].to_numpy(float))
        draws = importance._bootstrap(found[0][0], rng).mean(axis=1)
        bias.append(draws - [importance._share(fit, at) for fit, at in found])
    assert np.abs(np.mean(bias, axis=0)).max() < 0.012


def test_budget_is_the_one_that_a_third_of_the_designs_reached(tmp_path: Path) -> None:
    """Of 30 designs 10 trained 9 epochs and 20 trained 3."""
    run = runs.write_random(tmp_path / "run", trials=0)
    for k in range(30):
        curve = [0.5 + 0.001 * k] * (9 if k < 10 else 3)
        runs.write_trial(run, f"{k:04d}", runs.DEFAULTS | {"blocks": 1 + k % 3}, curve)
    runs.write_oracle(run, [f"{k:04d}" for k in range(30)])
    trials, curves = report.load_trials(run), report.load_epochs(run)
    assert common_epochs(trials, curves) == 9
    assert common_epochs(trials[trials["trial"] != "0009"], curves) == 3
