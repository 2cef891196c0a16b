"""Baselines trained with several seeds, compared with published results and with each other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import runs

from fer_search import report
from fer_search.report.statistics.ablation_path import ablation_path
from fer_search.report.statistics.inference import (
    difference_of_means,
    repeated_interval,
    replication_interval,
    selection_bias,
)
from fer_search.report.statistics.published import baseline_pairs, pairs_note, protocol_differences, published_rows
from fer_search.report.statistics.verdict import verdict
from fer_search.report.tables.analysis import load_analysis

ACCURACIES = {
    "figure_1": (0.60, 0.61, 0.62),
    "strided_conv": (0.605, 0.615, 0.625),
    "mixup_strided": (0.70, 0.71, 0.72),
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with three seeds of each baseline and one failed trial."""
    path = runs.write_random(tmp_path / "run", trials=0)
    trial = 0
    for name, accuracies in ACCURACIES.items():
        for accuracy in accuracies:
            values = runs.DEFAULTS | runs.BASELINES[name] | {"classes": 7}
            runs.write_trial(path, f"{trial:04d}", values, [0.3, accuracy], name=name)
            trial += 1
    runs.write_trial(path, f"{trial:04d}", runs.DEFAULTS, status="FAILED", message="no memory", name="figure_1")
    runs.write_oracle(path, [f"{k:04d}" for k in range(trial + 1)])
    return path


def test_rows_are_means_over_seeds(run: Path) -> None:
    rows = {row.name: row for row in published_rows(report.load_run(run), report.load_trials(run))}
    row = rows["figure_1"]
    assert row.seeds == 3
    assert row.epochs == "2"
    assert row.mean[0] == pytest.approx(0.61)
    half = np.hypot(4.3027 * 0.01 / np.sqrt(3), 1.96 * np.sqrt(0.61 * 0.39 / 2871))
    assert row.mean[2] - row.mean[0] == pytest.approx(half, rel=1e-3)
    assert row.difference[0] == pytest.approx(0.61 - 0.6779)
    notebook = rows["Kaggle notebook, CNN"]
    assert notebook.seeds == 0
    assert np.isnan(notebook.difference[0])


def test_baselines_are_compared_with_the_first(run: Path) -> None:
    pairs = baseline_pairs(published_rows(report.load_run(run), report.load_trials(run)))
    assert [(pair.name, pair.against, pair.seeds) for pair in pairs] == [
        ("strided_conv", "figure_1", 3),
        ("mixup_strided", "figure_1", 3),
    ]
    assert pairs[0].result.difference == pytest.approx(0.005)
    assert pairs[0].verdict == "not significantly different"
    assert pairs[1].verdict == "significantly better"


def test_one_seed_per_baseline_is_inconclusive(tmp_path: Path) -> None:
    path = runs.write_random(tmp_path / "run", trials=3)
    pairs = baseline_pairs(published_rows(report.load_run(path), report.load_trials(path)))
    assert {pair.verdict for pair in pairs} == {"inconclusive: one seed each"}
    assert "With one seed each" in pairs_note(pairs)


def test_a_single_comparison_is_not_called_corrected(run: Path) -> None:
    pairs = baseline_pairs(published_rows(report.load_run(run), report.load_trials(run)))
    assert "corrected for 2 comparisons" in pairs_note(pairs)
    assert "corrected" not in pairs_note(pairs[:1])


def test_every_comparison_says_what_it_covers(run: Path, tmp_path: Path) -> None:
    details = " ".join(verdict(load_analysis(run)).details)
    assert "(95%, Bonferroni, 2,871 validation images and the seeds)" in details
    page = report.write_report(run, tmp_path / "page.html", plotly="cdn").read_text()
    assert "averaged over the seeds, 95% interval over images and seeds. ≈" in page
    assert "Wilson" not in page
    assert "on these images: the ranking's test also covers other images." in page.replace("&#x27;", "'")


def test_every_output_contains_the_comparison(run: Path) -> None:
    markdown, content = report.to_markdown(run), json.loads(report.to_json(run))
    page = report.write_report(run, plotly="cdn").read_text()
    for text in (markdown, page):
        assert "strided_conv minus figure_1" in text.replace("\\_", "_")
        assert "not significantly different" in text
        assert "The verdicts are corrected for 2 comparisons (Holm), the intervals are not." in text
    row = next(baseline for baseline in content["baselines"] if baseline["name"] == "figure_1")
    assert (row["seeds"], len(row["trials"])) == (3, 3)
    assert row["low"] < row["accuracy"] < row["high"]
    assert content["baseline_pairs"][0]["verdict"] == "not significantly different"


def test_differences_from_the_reports_protocol_are_listed(tmp_path: Path) -> None:
    def differences(**changes: object) -> str:
        settings = {"width": 1, "limit_train": None, "batch_size": 256, "labels": "fer2013"} | changes
        tuner = {"name": "hyperband", "max_epochs": changes.get("epochs", 50)}
        path = tmp_path / str(len(list(tmp_path.iterdir())))
        return protocol_differences(
            report.load_run(runs.write_random(path, trials=0, protocol="report", settings=settings, tuner=tuner))
        )

    assert differences() == ""
    assert differences(epochs=10) == "at most 10 epochs instead of 50"
    assert differences(batch_size=64) == "batch size 64 instead of 256"
    assert differences(labels="ferplus") == "ferplus labels"
    assert differences(width=0.125) == "width 0.125"
    assert differences(limit_train=4000) == "4,000 training images"
    assert differences(drop_duplicates=True) == "without duplicate training images"


def measured(rng: np.random.Generator, truth: np.ndarray, images: int, seeds: int, spread: float) -> np.ndarray:
    """Return simulated accuracies (len(truth), seeds) on one sample of images of shared difficulty."""
    hard = rng.normal(0, 1, images)
    limit = np.log(truth / (1 - truth)) * np.sqrt(1 + np.pi / 8)
    chance = 1 / (1 + np.exp(-(limit[:, None, None] + rng.normal(0, spread, (len(truth), seeds, 1)) + hard)))
    return (rng.random((len(truth), seeds, images)) < chance).mean(axis=2)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_repeated_interval_covers(seeds: int, rng: np.random.Generator) -> None:
    """The true accuracy varies between seeds; the images are equally hard for all networks."""
    true = measured(rng, np.array([0.65]), 200_000, 40, 0.05).mean()
    ends = np.array([repeated_interval(measured(rng, np.array([0.65]), 700, seeds, 0.05)[0], 700) for _ in range(600)])
    assert np.mean((ends[:, 1] <= true) & (true <= ends[:, 2])) >= 0.94
    assert np.median(ends[:, 2] - ends[:, 1]) < {2: 0.3, 3: 0.14, 5: 0.1}[seeds]


def test_equal_baselines_rarely_differ_significantly(rng: np.random.Generator) -> None:
    significant = [
        difference_of_means(*measured(rng, np.array([0.65, 0.65]), 700, 4, 0.05), images=700).p < 0.05
        for _ in range(600)
    ]
    assert np.mean(significant) == pytest.approx(0.05, abs=0.03)


def test_pair_known_answer() -> None:
    """Student's t test of (3, 4, 5) against (1, 2, 3) percent: 2 points, t = 2.449, p = 0.0705."""
    result = difference_of_means(np.array([0.03, 0.04, 0.05]), np.array([0.01, 0.02, 0.03]), 1000)
    assert (result.difference, result.p, result.dof) == (pytest.approx(0.02), pytest.approx(0.0705, abs=1e-4), 4)
    alone = difference_of_means(np.array([0.04]), np.array([0.01, 0.02, 0.03]), 1000)
    assert alone.dof == 2


def test_no_interval_has_width_zero() -> None:
    for accuracies in (np.ones(3), np.zeros(3)):
        _, low, high = repeated_interval(accuracies, 100)
        assert 0.01 < high - low < 0.06
    for a, b in ((0.9, 0.89), (1.0, 1.0), (0.3, 0.1 + 0.2)):
        result = difference_of_means(np.full(2, a), np.full(2, b), 100)
        assert result.high - result.low > 0.01
        assert result.p > 0.05
    one = difference_of_means(np.ones(1), np.ones(1), 100)
    assert one.high - one.low > 0.05


def test_a_difference_includes_other_images_if_their_spread_is_known(rng: np.random.Generator) -> None:
    """Coverage of the true difference over seeds and images."""
    covered = []
    for _ in range(300):
        chance = np.clip(rng.normal([[0.65], [0.65]], 0.01, (2, 4)), 0, 1)
        easy = rng.random(800) < 0.5  # both are right there
        hits = (rng.random((2, 4, 800)) < (chance[:, :, None] * 2 - 1)) | easy
        spread = float(np.std(hits[0].mean(axis=0) - hits[1].mean(axis=0)))
        result = difference_of_means(hits[0].mean(axis=1), hits[1].mean(axis=1), 800, spread=spread)
        covered.append(result.low <= 0 <= result.high)
    assert np.mean(covered) >= 0.94


def test_replication_interval_is_wider_than_the_means(rng: np.random.Generator) -> None:
    here = np.array([0.66, 0.67, 0.68, 0.69])
    _, low, high = repeated_interval(here, 7178)
    _, below, above = replication_interval(here, 7178, 0.6779, 7178)
    assert above - below > 1.5 * (high - low)


def test_selection_bias_matches_a_simulation(rng: np.random.Generator) -> None:
    best = rng.binomial(2871, 0.6, (4000, 20)).max(axis=1).mean() / 2871
    assert selection_bias(0.6, 2871, 20) == pytest.approx(best - 0.6, rel=0.03)
    assert selection_bias(0.6, 2871, 1) == 0


def test_verdict_and_ablation_path_use_the_mean_over_seeds(run: Path) -> None:
    analysis = load_analysis(run)
    statement = verdict(analysis)
    assert "71.0%" in statement.headline
    assert any("Selection bias" in line for line in statement.details)
    info, compared = analysis.info, analysis.compared(analysis.budget)
    steps = ablation_path(compared, analysis.fit, info.choices, list(info.baselines), info.validation)
    assert steps[0].accuracy == pytest.approx(0.61)
    for budget in (1, analysis.budget):  # intervals are of the accuracy at the budget
        for _, row in analysis.compared(budget).trials.query("seeds > 1").iterrows():
            assert row["low"] < row["accuracy"] < row["high"]
    assert steps[-1].source == "measured, mean of 3 seeds"


@pytest.mark.parametrize("protocol", ["holdout", "report"])
def test_confirm_is_suggested_only_for_holdout_runs(run: Path, protocol: str) -> None:
    analysis = load_analysis(run)
    analysis.info = replace(analysis.info, protocol=protocol)
    assert ("fer-search confirm" in " ".join(verdict(analysis).details)) == (protocol == "holdout")


def test_the_network_with_predictions_is_that_of_the_best_single_training(tmp_path: Path) -> None:
    path = runs.write_random(tmp_path / "run", trials=0)
    for trial, (name, accuracy) in enumerate([("figure_1", 0.6), ("figure_1", 0.7), ("strided_conv", 0.71)]):
        values = runs.DEFAULTS | runs.BASELINES[name] | {"classes": 7}
        runs.write_trial(path, f"{trial:04d}", values, [0.3, accuracy], name=name)
    runs.write_trial(
        path, "0003", runs.DEFAULTS | runs.BASELINES["strided_conv"] | {"classes": 7}, [0.3, 0.5], name=name
    )
    runs.write_oracle(path, [f"{trial:04d}" for trial in range(4)])
    runs.write_predictions(path, "0002")
    text = report.write_report(path, tmp_path / "page.html", plotly="cdn").read_text()
    sentence = "Trial 2 (strided_conv) has the highest accuracy of a single training; that of the best design, trial 1"
    assert f"{sentence} (figure_1), is a mean over its seeds." in text
