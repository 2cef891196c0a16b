"""Budgets, the ablation path, promotions and the Pareto front."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import runs

from fer_search import report
from fer_search.report.statistics.ablation_path import ablation_path
from fer_search.report.statistics.budgets import at_epochs, common_epochs
from fer_search.report.statistics.pareto import front
from fer_search.report.statistics.promotions import promotions, rank_correlation
from fer_search.report.tables.analysis import load_analysis


def test_designs_are_compared_at_a_common_budget(tmp_path: Path) -> None:
    run = runs.write_hyperband(tmp_path / "run")
    designs, curves = report.load_designs(run), report.load_epochs(run)
    assert common_epochs(designs, curves) == 3  # which three designs of nine reached: one epoch says little
    assert len(at_epochs(designs, curves).trials) == 3
    compared = at_epochs(designs, curves, 1)
    assert len(compared.trials) == 9
    first = curves[(curves["epoch"] == 1)].set_index("trial")["val_accuracy"].loc[compared.trials["trial"].tolist()]
    assert compared.trials["accuracy"].tolist() == pytest.approx(first.tolist())
    assert at_epochs(designs, curves, 9).shorter == 8


def test_the_budget_is_reached_by_a_third_of_the_designs(tmp_path: Path) -> None:
    """Of 30 designs 10 trained 9 epochs and 20 trained 3."""
    run = runs.write_random(tmp_path / "run", trials=0)
    for k in range(30):
        curve = [0.5 + 0.001 * k] * (9 if k < 10 else 3)
        runs.write_trial(run, f"{k:04d}", runs.DEFAULTS | {"rate": 1e-3 + 1e-5 * k}, curve)
    runs.write_oracle(run, [f"{k:04d}" for k in range(30)])
    designs, curves = report.load_designs(run), report.load_epochs(run)
    assert common_epochs(designs, curves) == 9
    assert common_epochs(designs[designs["trial"] != "0009"], curves) == 3


def test_an_unfinished_trial_does_not_set_the_budget(tmp_path: Path) -> None:
    """Of 30 designs 9 trained 9 epochs and 20 trained 3; one was in its fifth epoch when the search was stopped."""
    run = runs.write_random(tmp_path / "run", trials=0, state="interrupted")
    for k in range(30):
        curve = [0.5 + 0.001 * k] * (9 if k < 9 else 4 if k == 29 else 3)
        values, status = runs.DEFAULTS | {"rate": 1e-3 + 1e-5 * k}, "RUNNING" if k == 29 else "COMPLETED"
        runs.write_trial(run, f"{k:04d}", values, curve, status=status)
    runs.write_oracle(run, [f"{k:04d}" for k in range(30)])
    designs, curves = report.load_designs(run), report.load_epochs(run)
    assert common_epochs(designs, curves) == 3
    nothing_ended = designs[designs["trial"] == "0029"]
    assert common_epochs(nothing_ended, curves) == 4


def test_the_ablation_path_uses_measured_steps_where_possible(tmp_path: Path) -> None:
    run = runs.write_random(tmp_path / "run", trials=12)
    analysis = load_analysis(run)
    info, curves, fit = analysis.info, analysis.curves, analysis.fit
    steps = ablation_path(at_epochs(analysis.designs, curves), fit, info.choices, list(info.baselines), info.validation)
    assert [step.trials for step in steps] == [("0000",), ("0001",), ("0002",)]
    assert steps[1].change == "downsample strided, was max_pool"  # pool_size becomes inactive with it
    without = analysis.designs[analysis.designs["trial"] != "0001"]
    few = ablation_path(at_epochs(without, curves), fit, info.choices, list(info.baselines), info.validation)
    assert [step.trials for step in few] == [("0000",), (), ("0002",)]


def test_promotions_are_followed(tmp_path: Path) -> None:
    table = promotions(report.load_trials(runs.write_hyperband(tmp_path / "run")))
    assert table[["epochs", "trials", "promoted"]].to_numpy(int).tolist() == [[1, 9, 3], [3, 3, 1], [9, 1, 0]]
    assert promotions(report.load_trials(runs.write_random(tmp_path / "other"))).empty


def test_rank_correlation_known_answer() -> None:
    a = np.array([1.0, 2, 3, 4, 5])
    assert rank_correlation(a, a**3) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    assert np.isnan(rank_correlation(a[:3], a[:3]))


def test_pareto_front_known_answer() -> None:
    cost = np.array([1, 2, 2, 3, 4, np.nan])
    accuracy = np.array([0.5, 0.6, 0.7, 0.65, 0.8, 0.99])
    assert front(cost, accuracy).tolist() == [0, 2, 4]
    assert front(np.array([]), np.array([])).tolist() == []
