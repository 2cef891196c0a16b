"""The joint model, compared with statsmodels and with known answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.stats.anova import anova_lm

from fer_search.report.statistics.effects import effects
from fer_search.report.statistics.importance import importances_of
from fer_search.report.statistics.joint_model import Measurements, fit_joint_model
from fer_search.runfolder.choices import Choice

CHOICES = (Choice("a", "Choice", ("x", "y")), Choice("b", "Choice", (1, 2, 3)), Choice("c", "Float", log=True))


def measured(rng: np.random.Generator, designs: int, budgets: list[int], a: float = 0.0) -> Measurements:
    """Simulate designs with unbalanced, confounded values; the lower half stops at each budget."""
    first = rng.random(designs) < 0.7
    second = np.where(first & (rng.random(designs) < 0.6), 1, rng.choice([1, 2, 3], designs))
    table = pd.DataFrame({"choice.a": np.where(first, "x", "y"), "choice.b": second})
    table["choice.c"] = 10 ** rng.uniform(-4, -2, designs)
    level = 0.5 + a * ~first + rng.normal(0, 0.01, designs)
    kept, rows = np.arange(designs), []
    for index in range(len(budgets)):
        accuracy = level[kept] + 0.05 * index + rng.normal(0, 0.007, len(kept))
        rows += list(zip(kept, [index] * len(kept), accuracy, strict=True))
        kept = kept[np.argsort(-accuracy)][: max(len(kept) // 2, 4)]
    design, budget, accuracy = (np.array(column) for column in zip(*rows, strict=True))
    return Measurements(table, design.astype(int), budget.astype(int), accuracy.astype(float), list(budgets))


def frame(measurements: Measurements) -> pd.DataFrame:
    """Return the measurements as a table for statsmodels."""
    table = measurements.designs.rename(columns=lambda name: name.removeprefix("choice.")).loc[measurements.design]
    table = table.assign(c=np.log10(table["c"]), y=measurements.accuracy, budget=measurements.budget)
    return table.assign(design=measurements.design).reset_index(drop=True)


@pytest.mark.parametrize("seed", range(4))
def test_one_budget_matches_statsmodels_anova(seed: int) -> None:
    """Type II F tests, effects and standard errors for unbalanced designs."""
    measurements = measured(np.random.default_rng(seed), 40, [10], a=0.01)
    fit = fit_joint_model(measurements, CHOICES)
    assert fit is not None
    model = smf.ols("y ~ C(a) + C(b) + c + I(c ** 2)", frame(measurements)).fit()
    restricted = smf.ols("y ~ C(a) + C(b)", frame(measurements)).fit()
    expected = anova_lm(model, typ=2)
    table = importances_of(fit).set_index("choice")
    assert fit.dof == model.df_resid
    assert table.loc["a", "p"] == pytest.approx(expected.loc["C(a)", "PR(>F)"], rel=1e-5)
    assert table.loc["b", "p"] == pytest.approx(expected.loc["C(b)", "PR(>F)"], rel=1e-5)
    assert table.loc["c", "p"] == pytest.approx(anova_lm(restricted, model).loc[1, "Pr(>F)"], rel=1e-5)
    difference, error = fit.contrast(0, np.array([1.0]))
    assert difference == pytest.approx(model.params["C(a)[T.y]"], rel=1e-5)
    assert error == pytest.approx(model.bse["C(a)[T.y]"], rel=1e-5)


@pytest.mark.filterwarnings("ignore:The MLE may be on the boundary")
def test_several_budgets_match_statsmodels_mixed_model() -> None:
    """REML estimates and correlation, with the same scale at all budgets."""
    measurements = measured(np.random.default_rng(5), 80, [1, 3, 9], a=0.02)
    fit = fit_joint_model(measurements, CHOICES)
    assert fit is not None
    model = smf.mixedlm("y ~ C(budget) + C(a) + C(b) + c + I(c ** 2)", frame(measurements), groups="design").fit()
    between = float(model.cov_re.iloc[0, 0])
    assert fit.contrast(0, np.array([1.0]))[0] == pytest.approx(model.params["C(a)[T.y]"], rel=0.15)
    assert fit.correlation == pytest.approx(between / (between + model.scale), abs=0.12)
    assert fit.scales == pytest.approx(np.ones(3), abs=0.35)


def test_effects_refer_to_the_largest_budget() -> None:
    """A difference that is small after one epoch and full after nine is reported as that after nine."""
    rng = np.random.default_rng(0)
    simulated = measured(rng, 200, [1, 9], a=0.0)
    a = (simulated.designs["choice.a"] == "y").to_numpy()[simulated.design]
    level = rng.normal(0, 0.01, 200)[simulated.design] + 0.04 * a
    accuracy = 0.5 + np.where(simulated.budget == 0, 0.25, 1.0) * (level + rng.normal(0, 0.005, len(a)))
    fit = fit_joint_model(simulated._replace(accuracy=accuracy), CHOICES)
    assert fit is not None
    assert fit.scales[0] == pytest.approx(0.25, abs=0.08)
    assert fit.contrast(0, np.array([1.0]))[0] == pytest.approx(0.04, abs=0.006)


def test_repeated_measurements_of_a_design_are_not_independent() -> None:
    """Without effects, designs measured at five budgets give p < 0.05 in 5% of cases."""
    p = []
    for seed in range(200):
        fit = fit_joint_model(measured(np.random.default_rng(seed), 16, [1, 2, 4, 8, 16]), CHOICES[:1])
        if fit is not None:  # None if all designs have the same value
            p.append(float(importances_of(fit)["p"].iloc[0]))
    assert len(p) > 190
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.045)


def test_too_few_designs_cannot_be_separated() -> None:
    rng = np.random.default_rng(0)
    assert fit_joint_model(measured(rng, 7, [1]), CHOICES) is None
    assert fit_joint_model(measured(rng, 12, [1]), CHOICES) is not None


def test_equal_accuracies_do_not_divide_by_zero() -> None:
    measurements = measured(np.random.default_rng(0), 30, [1, 3])
    fit = fit_joint_model(measurements._replace(accuracy=np.full(len(measurements.accuracy), 0.5)), CHOICES)
    assert fit is not None
    table = importances_of(fit)
    assert np.isfinite(table[["share", "share_low", "share_high", "p", "difference"]].to_numpy(float)).all()
    assert (table["verdict"] != "matters").all()


def test_choices_that_varied_together_have_intervals_of_all_accuracies() -> None:
    """Their effects cannot be separated: no interval is wider than a difference of accuracies can be."""
    measurements = measured(np.random.default_rng(0), 40, [10])
    together = measurements.designs.assign(**{"choice.d": measurements.designs["choice.a"]})
    choices = (*CHOICES, Choice("d", "Choice", ("x", "y")))
    fit = fit_joint_model(measurements._replace(designs=together), choices)
    assert fit is not None
    for table in (effects(fit), importances_of(fit)):
        ends = table.set_index("choice").loc[["a", "d"], ["low", "high"]].to_numpy(float)
        assert ends.tolist() == [[-1.0, 1.0]] * 2
        assert table.set_index("choice").loc["c", "high"].max() < 0.5
