"""One figure of the report as a file of its own."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import plotly.graph_objects as go

from fer_search.errors import UserError
from fer_search.files import write_atomic
from fer_search.report import figures
from fer_search.report.figures.cost import COSTS, with_costs
from fer_search.report.statistics.ablation_path import path
from fer_search.report.statistics.budgets import varied
from fer_search.report.statistics.effects import effects
from fer_search.report.statistics.promotions import promotions
from fer_search.report.statistics.verdict import completed
from fer_search.report.tables.analysis import RunAnalysis, load_analysis
from fer_search.report.tables.predictions import calibration, confusion
from fer_search.runfolder.predictions import load_predictions

IMAGES = (".png", ".svg", ".pdf", ".jpg", ".webp")


def figure_names(analysis: RunAnalysis) -> dict[str, Callable[[], go.Figure]]:
    """Return what ``--figure`` may name in this run, each with the function that makes it.

    Args:
        analysis: the run.
    """
    compared = analysis.compared(analysis.budget)
    found: dict[str, Callable[[], go.Figure]] = {}
    if analysis.trials["accuracy"].notna().any():
        references = analysis.info.drawn_references()
        found["best-so-far"] = lambda: figures.plot_best_so_far(analysis.trials, references)
        if analysis.curves["val_accuracy"].notna().any():
            found["curves"] = lambda: figures.plot_learning_curves(analysis.trials, analysis.curves, references)
            found["trial"] = lambda: figures.plot_trial(analysis.trials.iloc[0], analysis.curves)
    choices = varied(compared.trials, analysis.info.choices)
    for choice in choices:
        found[f"choice:{choice.name}"] = partial(
            figures.plot_choice, analysis.trials, choice, analysis.curves, analysis.budget
        )
    if choices:
        found["importance"] = lambda: figures.plot_importances(analysis.importances(analysis.budget))
        found["effects"] = lambda: figures.plot_effects(effects(compared, choices))
        found["parallel"] = lambda: figures.plot_parallel(compared.trials, choices)
    if len(choices) > 1 and analysis.curves["val_accuracy"].notna().any():
        found["emotions"] = lambda: figures.plot_emotions(effects(compared, choices, analysis.curves))
    costed = with_costs(compared.trials, analysis.curves)
    for cost in (cost for cost in COSTS if costed[cost].notna().any()):
        found[f"cost:{cost}"] = partial(figures.plot_cost, costed, cost)
    if len(promotions(analysis.trials)):
        found["promotions"] = lambda: figures.plot_promotions(analysis.trials)
    return found | _of_the_best(analysis)


def _of_the_best(analysis: RunAnalysis) -> dict[str, Callable[[], go.Figure]]:
    found: dict[str, Callable[[], go.Figure]] = {}
    steps = path(
        analysis.compared(analysis.budget),
        analysis.info.choices,
        list(analysis.info.baselines),
        analysis.info.validation,
    )
    if steps:
        found["path"] = lambda: figures.plot_path(steps)
    scored = completed(analysis.trials)
    predictions = load_predictions(analysis.info.path) if len(scored) else None
    if predictions is not None:
        found["confusion"] = lambda: figures.plot_confusion(confusion(predictions), predictions.classes)
        found["calibration"] = lambda: figures.plot_calibration(*calibration(predictions))
    return found


def write_figure(run: str | Path, name: str, out: str | Path) -> Path:
    """Write one figure of a run's report.

    Args:
        run: the run folder.
        name: a key of ``figure_names``: "importance", "effects", "curves", "choice:NAME" and so on.
        out: the file; its suffix says what it is: .html (with plotly.js inside), .json, or, with kaleido installed,
            .png, .svg, .pdf, .jpg or .webp.

    Returns:
        The file.

    Raises:
        UserError: there is no such figure, the suffix is unknown, kaleido is missing, or the file cannot be written.
    """
    analysis, file = load_analysis(run), Path(out)
    known = figure_names(analysis)
    if name not in known:
        listed = ", ".join(known) or "none: no trial has a result"
        raise UserError(f"--figure {name}: this run has no such figure; it has {listed}")
    figure = known[name]().update_layout(paper_bgcolor="#ffffff", plot_bgcolor="#ffffff")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, lambda beside: _write(figure, beside, file.suffix.lower()))
    except OSError as error:
        raise UserError(f"cannot write {file} ({error.strerror or error}); give another file with --out") from error
    return file


def _write(figure: go.Figure, file: Path, suffix: str) -> None:
    if suffix == ".html":
        from fer_search.report.page.html import CONFIG

        figure.write_html(file, config=CONFIG)
    elif suffix == ".json":
        figure.write_json(file)
    elif suffix in IMAGES:
        _write_image(figure, file, suffix)
    else:
        known = ", ".join((".html", ".json", *IMAGES))
        raise UserError(f"--out: a figure cannot be written as {suffix or 'a file without suffix'}; use one of {known}")


def _write_image(figure: go.Figure, file: Path, suffix: str) -> None:
    try:
        importlib.import_module("kaleido")
    except ImportError as error:
        way = "pip install 'fer-search[images]', or give --out a name that ends in .html"
        raise UserError(f"a {suffix[1:]} file needs kaleido, which is not installed; {way}") from error
    try:
        figure.write_image(file, format=suffix[1:], width=1000, height=figure.layout.height or 560, scale=2)
    except Exception as error:  # kaleido raises what its browser raises
        first = (str(error).splitlines() or [type(error).__name__])[0]
        way = "it needs Chrome or Chromium (plotly_get_chrome gets one), or give --out a name that ends in .html"
        raise UserError(f"kaleido could not write the picture ({first}); {way}") from error
