"""One figure of the report as a file."""

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
from fer_search.report.statistics.ablation_path import ablation_path
from fer_search.report.statistics.budgets import varied
from fer_search.report.statistics.effects import recall_effects
from fer_search.report.statistics.promotions import promotions
from fer_search.report.statistics.verdict import completed
from fer_search.report.tables.analysis import RunAnalysis, load_analysis
from fer_search.report.tables.predictions import calibration, confusion

IMAGES = (".png", ".svg", ".pdf", ".jpg", ".webp")


def figure_names(analysis: RunAnalysis) -> dict[str, Callable[[], go.Figure]]:
    """Return the names that ``--figure`` accepts for this run, each with the function that makes the figure.

    Args:
        analysis: the run.
    """
    designs, curves, majority = analysis.designs, analysis.curves, analysis.majority
    compared = analysis.compared(analysis.budget)
    makers: dict[str, Callable[[], go.Figure]] = {}
    if designs["accuracy"].notna().any():
        references = analysis.info.drawn_references()
        makers["best-so-far"] = lambda: figures.plot_best_so_far(analysis.trials, references, majority=majority)
        if curves["val_accuracy"].notna().any():
            makers["curves"] = lambda: figures.plot_learning_curves(designs, curves, references, majority)
            makers["trial"] = lambda: figures.plot_trial(designs.iloc[0], curves)
    choices = varied(compared.trials, analysis.info.choices)
    for choice in choices:
        makers[f"choice:{choice.name}"] = partial(figures.plot_choice, compared, choice, majority=majority)
    if choices:
        makers["importance"] = lambda: figures.plot_importances(analysis.importances)
        makers["parallel"] = lambda: figures.plot_parallel(compared.trials, choices)
    if analysis.fit is not None and curves["val_accuracy"].notna().any():
        makers["emotions"] = lambda: figures.plot_recall_effects(
            recall_effects(analysis.trials, curves, analysis.varied)
        )
    costed = with_costs(compared.trials, curves)
    for cost in (cost for cost in COSTS if costed[cost].notna().any()):
        makers[f"cost:{cost}"] = partial(figures.plot_cost, costed, cost, majority)
    if len(promotions(analysis.trials)):
        makers["promotions"] = lambda: figures.plot_promotions(analysis.trials, majority=majority)
    return makers | _best_network(analysis)


def _best_network(analysis: RunAnalysis) -> dict[str, Callable[[], go.Figure]]:
    makers: dict[str, Callable[[], go.Figure]] = {}
    info = analysis.info
    compared = analysis.compared(analysis.budget)
    steps = ablation_path(compared, analysis.fit, info.choices, list(info.baselines), info.validation)
    if steps:
        makers["path"] = lambda: figures.plot_path(steps)
    predictions = analysis.predictions if len(completed(analysis.designs)) else None
    if predictions is not None:
        makers["confusion"] = lambda: figures.plot_confusion(confusion(predictions), predictions.classes)
        makers["calibration"] = lambda: figures.plot_calibration(*calibration(predictions))
    return makers


def write_figure(run: str | Path, name: str, out: str | Path) -> Path:
    """Write one figure of a run's report.

    Args:
        run: the run folder.
        name: a key of ``figure_names``: "importance", "curves", "choice:NAME" and so on.
        out: the file; its suffix gives the format: .html (with plotly.js inside), .json, or, with kaleido installed,
            .png, .svg, .pdf, .jpg or .webp.

    Returns:
        The file.

    Raises:
        UserError: there is no such figure, the suffix is unknown, kaleido is missing, or the file cannot be written.
    """
    analysis, file = load_analysis(run), Path(out)
    makers = figure_names(analysis)
    if name not in makers:
        listed = ", ".join(makers) or "none, because no trial has a result"
        raise UserError(f"--figure {name}: this run has no such figure; available: {listed}")
    figure = makers[name]().update_layout(paper_bgcolor="#ffffff", plot_bgcolor="#ffffff")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, lambda beside: _write(figure, beside, file.suffix.lower()))
    except OSError as error:
        raise UserError(f"cannot write {file} ({error.strerror or error}); choose another file with --out") from error
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
        raise UserError(f"--out: unknown figure format {suffix or '(no suffix)'}; use one of {known}")


def _write_image(figure: go.Figure, file: Path, suffix: str) -> None:
    try:
        importlib.import_module("kaleido")
    except ImportError as error:
        hint = "pip install '.[images]', or use --out with a name that ends in .html"
        raise UserError(f"a {suffix[1:]} file needs kaleido, which is not installed; {hint}") from error
    try:
        figure.write_image(file, format=suffix[1:], width=1000, height=figure.layout.height or 560, scale=2)
    except Exception as error:  # kaleido raises what its browser raises
        first = (str(error).splitlines() or [type(error).__name__])[0]
        hint = (
            "it needs Chrome or Chromium (plotly_get_chrome installs one); or use --out with a name that ends in .html"
        )
        raise UserError(f"kaleido could not write the image ({first}); {hint}") from error
