"""Figures match the tables; metrics of the best network; exported figures; comparison of several runs."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import runs

from fer_search import report
from fer_search.errors import UserError
from fer_search.report import figures
from fer_search.report.figures.export import figure_names
from fer_search.report.figures.theme import epoch_ticks, group_references
from fer_search.report.page.comparison import write_comparison
from fer_search.report.statistics.ablation_path import Step
from fer_search.report.statistics.budgets import levels
from fer_search.report.tables.analysis import RunAnalysis, load_analysis
from fer_search.report.tables.predictions import calibration, confusion, per_class
from fer_search.runfolder.predictions import Predictions, load_predictions


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> RunAnalysis:
    """Of a run of 30 trials with predictions. Do not write to it."""
    run = runs.write_random(tmp_path_factory.mktemp("figures") / "run", trials=30)
    runs.write_predictions(run, report.load_trials(run)["trial"].iloc[0])
    return load_analysis(run)


@pytest.fixture
def own_run(analysis: RunAnalysis, tmp_path: Path) -> Path:
    """A copy of its run."""
    return shutil.copytree(analysis.info.path, tmp_path / "run")


def test_choice_figure_matches_the_table(analysis: RunAnalysis) -> None:
    choice = next(choice for choice in analysis.varied if choice.name == "downsample")
    compared = analysis.compared(analysis.budget)
    figure = figures.plot_choice(compared, choice, majority=("happy", 0.25))
    dots, star, means = figure.data
    assert sorted(dots.y) == pytest.approx(sorted(compared.trials["accuracy"]), abs=1e-5)
    assert list(star.y) == pytest.approx([compared.trials["accuracy"].iloc[0]], abs=1e-5)
    assert list(means.y) == pytest.approx([level.mean for level in levels(compared.trials, choice) or []], abs=1e-5)
    assert figure.layout.xaxis.ticktext[0].startswith("max_pool<br>n = ")
    with pytest.raises(KeyError):
        figures.plot_choice(compared, choice.__class__("none"))


def test_numeric_choice_is_drawn_on_the_spaces_scale(analysis: RunAnalysis) -> None:
    choice = next(choice for choice in analysis.varied if choice.name == "rate")
    figure = figures.plot_choice(analysis.compared(analysis.budget), choice)
    assert figure.layout.xaxis.type == "log"
    assert 3 <= len(figure.data[2].x) <= 5  # trend over ranges of values


def test_curves_figure_matches_the_epoch_table(analysis: RunAnalysis) -> None:
    figure = figures.plot_learning_curves(analysis.designs, analysis.curves)
    best = analysis.curves[analysis.curves["trial"] == analysis.designs["trial"].iloc[0]]
    assert list(figure.data[-1].y) == pytest.approx(best["val_accuracy"].tolist(), abs=1e-5)
    assert sum(x is None for x in figure.data[0].x) == (analysis.designs["status"] == "completed").sum() - 1


def test_a_promoted_design_is_one_curve(tmp_path: Path) -> None:
    analysis = load_analysis(runs.write_hyperband(tmp_path / "run"))
    assert len(analysis.designs) == 9
    assert analysis.counts == (9, 13)
    others, _, best = figures.plot_learning_curves(analysis.designs, analysis.curves).data
    assert sum(x is None for x in others.x) == 8
    assert list(best.x) == list(range(1, 10))  # all epochs over three rungs
    assert list(best.x) != []
    row = analysis.designs.iloc[0]
    assert len(row["trials"]) == 3
    assert row["seconds"] == pytest.approx(9 * 12.5)


@pytest.mark.parametrize(("last", "step"), [(3, 1), (9, 1), (12, 2), (50, 5)])
def test_epoch_ticks_are_whole_epochs(last: int, step: int) -> None:
    assert epoch_ticks(last)["dtick"] == step


def test_majority_baseline_is_a_line_or_in_the_subtitle(analysis: RunAnalysis) -> None:
    """Accuracies are about 60%: a baseline near them is drawn as a line, a distant one would flatten the figure."""
    near = figures.plot_learning_curves(analysis.designs, analysis.curves, majority=("happy", 0.5))
    assert any(shape.name == "majority" for shape in near.layout.shapes)
    far = figures.plot_choice(analysis.compared(9), analysis.varied[0], majority=("happy", 0.05))
    assert not far.layout.shapes
    assert "below the plot: always happy 5.0%" in far.layout.title.subtitle.text


def test_importance_figure_marks_significant_choices(analysis: RunAnalysis) -> None:
    figure = figures.plot_importances(analysis.importances)
    table = analysis.importances.iloc[::-1]
    assert figure.data[0].x == pytest.approx((100 * table["difference"]).tolist(), abs=1e-3)
    symbols = ["circle" if verdict == "matters" else "circle-open" for verdict in table["verdict"]]
    assert list(figure.data[0].marker.symbol) == symbols


def test_an_unknown_effect_does_not_shrink_the_others(analysis: RunAnalysis) -> None:
    table = analysis.importances.copy()
    table.loc[table.index[-1], ["low", "high"]] = -1.0, 1.0
    known = 100 * table[["low", "high"]].iloc[:-1].abs().to_numpy().max()
    assert known < figures.plot_importances(table).layout.xaxis.range[1] < 3 * known


def test_an_unknown_accuracy_on_the_path_does_not_shrink_the_others() -> None:
    steps = [Step("plain", 0.5, 0.48, 0.52, ("0",)), Step("flip yes", 0.51, 0.0, 1.0), Step("cut", 0.55, 0.53, 0.57)]
    assert figures.plot_path(steps).layout.xaxis.range == pytest.approx((0.47, 0.58))
    assert figures.plot_path([steps[0], steps[2]]).layout.xaxis.range is None


@pytest.mark.parametrize("against", ["trials", "epochs", "hours"])
def test_best_so_far_never_decreases(analysis: RunAnalysis, against: str) -> None:
    dots, line = figures.plot_best_so_far(analysis.trials, against=against).data
    assert (np.diff(line.y) >= 0).all()
    assert (np.diff(dots.x) > 0).all()
    assert line.y[-1] == pytest.approx(max(dots.y))


def test_every_figure_can_be_drawn(analysis: RunAnalysis) -> None:
    made = {name: make() for name, make in figure_names(analysis).items()}
    assert {"importance", "emotions", "curves", "confusion", "path", "cost:flops", "choice:rate"} <= set(made)
    for name, figure in made.items():
        assert isinstance(figure, go.Figure), name
        assert figure.layout.title.text, name
        assert figure.layout.showlegend is not None, name


def test_overlapping_references_share_a_label() -> None:
    groups = group_references({"a": 0.68, "b": 0.679, "c": 0.6}, 0.01)
    assert [[name for name, _ in group] for group in groups] == [["a", "b"], ["c"]]


def test_confusion_matrix_and_per_class_metrics(analysis: RunAnalysis) -> None:
    predictions = load_predictions(analysis.info.path)
    assert predictions is not None
    counts = confusion(predictions)
    assert counts.sum() == len(predictions.labels)
    assert np.diag(counts).sum() == (predictions.predicted == predictions.labels).sum()
    table = per_class(counts, predictions.classes)
    assert table["recall"].to_numpy() == pytest.approx(np.diag(counts) / counts.sum(axis=1))
    for name in ("precision", "recall", "f1"):
        assert (table[f"{name}_low"] <= table[name]).all()
        assert (table[name] <= table[f"{name}_high"]).all()


def test_calibration_of_a_calibrated_network(rng: np.random.Generator) -> None:

    probabilities = rng.dirichlet(np.ones(7), 20_000)
    labels = np.array([rng.choice(7, p=row) for row in probabilities])
    predictions = Predictions("0000", labels, probabilities, np.array([], int), np.zeros((0, 48, 48)))
    bins, error = calibration(predictions)
    assert error < 0.015
    assert len(bins) == 10
    assert sum(calibration_bin.images for calibration_bin in bins) == 20_000


def test_broken_predictions_are_reported(own_run: Path) -> None:
    file = own_run / "predictions.npz"
    for content in (b"", b"PK\x03\x04 torn", b"nothing"):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"predictions\.npz"):
            load_predictions(own_run)


def test_page_shows_the_best_network(own_run: Path) -> None:
    text = report.write_report(own_run).read_text()
    assert "data:image/png;base64," in text
    assert "Worst mistakes" in text
    assert "were not saved" not in text


def test_predictions_of_an_earlier_best_trial_are_not_shown(analysis: RunAnalysis, own_run: Path) -> None:
    runs.write_predictions(own_run, analysis.trials["trial"].iloc[1])
    assert "has no saved predictions" in report.write_report(own_run).read_text()


def test_predictions_have_the_arrays_that_a_search_writes(analysis: RunAnalysis) -> None:
    """The array names are those used by the search's writer."""
    written = (Path(report.__file__).parents[1] / "runfolder" / "predictions.py").read_text()
    with np.load(analysis.info.path / "predictions.npz") as arrays:
        assert all(f'"{name}"' in written for name in arrays)


def test_figures_are_written_to_files(analysis: RunAnalysis, tmp_path: Path) -> None:
    html = report.write_figure(analysis.info.path, "importance", tmp_path / "figures" / "importance.html")
    assert "plotly" in html.read_text()
    content = json.loads(report.write_figure(analysis.info.path, "choice:rate", tmp_path / "rate.json").read_text())
    assert content["data"]
    with pytest.raises(UserError, match="importance"):
        report.write_figure(analysis.info.path, "none", tmp_path / "none.html")
    with pytest.raises(UserError, match=r"\.html"):
        report.write_figure(analysis.info.path, "curves", tmp_path / "curves.txt")


def test_an_image_file_without_kaleido_is_an_error(
    analysis: RunAnalysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    import_module = importlib.import_module

    def missing(name: str, package: str | None = None) -> Any:
        if name == "kaleido":
            raise ImportError(name)
        return import_module(name, package)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UserError, match="kaleido"):
        report.write_figure(analysis.info.path, "curves", tmp_path / "curves.png")
    assert not list(tmp_path.glob("*.png"))


def test_comparison_of_several_runs(tmp_path: Path) -> None:
    first = runs.write_random(tmp_path / "first")
    second = runs.write_hyperband(tmp_path / "second")
    failed = runs.write_failed(tmp_path / "failed")
    text = write_comparison([first, second, failed], tmp_path / "both.html").read_text()
    assert "62.6%" in text
    assert "no trial completed" in text
    difference = re.search(r"\N{MINUS SIGN}1\.8 \(\N{MINUS SIGN}4\.\d to \+0\.\d\)", text)
    assert difference  # best minus best in points, with the interval of two proportions on 2,871 images
    with pytest.raises(ValueError, match="two runs"):
        write_comparison([first], tmp_path / "one.html")
    with pytest.raises(UserError, match="twice"):
        write_comparison([first, first], tmp_path / "one.html")


def test_a_comparison_reports_different_data(tmp_path: Path) -> None:
    first = runs.write_random(tmp_path / "first")
    other = runs.run_json("second")["data"] | {"fingerprint": "other"}
    second = runs.write_random(tmp_path / "second", data=other)
    text = write_comparison([first, second], tmp_path / "both.html", plotly="cdn").read_text()
    assert "have different data" in text
