"""Several runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fer_search.errors import UserError
from fer_search.report import formatting
from fer_search.report.figures.best_so_far import AXES, plot_runs_so_far
from fer_search.report.figures.importance import plot_importances
from fer_search.report.page.html import Chart, Page, Section, whole_page
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.page.page import write_page
from fer_search.report.page.sections.table import note, table
from fer_search.report.statistics.importance import conclusion
from fer_search.report.statistics.published import protocol_differences
from fer_search.report.statistics.verdict import completed
from fer_search.report.tables.analysis import RunAnalysis, load_analysis


def write_comparison(runs: Sequence[str | Path], out: str | Path, plotly: str = "inline") -> Path:
    """Write one page that compares runs: their best designs, how they got there, and what mattered in each.

    Args:
        runs: run folders, at least two.
        out: the HTML file. Its folder is made.
        plotly: "inline" or "cdn", as in ``write_report``.

    Returns:
        The file.

    Raises:
        UserError: a folder is missing or no run, a file in it is broken, or the page cannot be written.
        ValueError: fewer than two runs, or ``plotly`` is something else.
    """
    if plotly not in ("inline", "cdn"):
        raise ValueError(f"plotly must be inline or cdn, not {plotly!r}")
    if len(runs) < 2:
        raise ValueError("a comparison needs at least two runs")
    views = _named([load_analysis(run) for run in runs])
    sections = [_table(views), _so_far(views), _importances(views)]
    page = Page("Comparison of runs", " · ".join(views), _cautions(views), sections)
    return write_page(whole_page(page, plotly), Path(out))


def _named(views: Sequence[RunAnalysis]) -> dict[str, RunAnalysis]:
    """Return the runs by name; by path where two have the same."""
    names = [analysis.info.name for analysis in views]
    found = {
        name if names.count(name) == 1 else str(analysis.info.path): analysis
        for name, analysis in zip(names, views, strict=True)
    }
    if len(found) < len(views):
        raise UserError("a run is given twice; give each run folder once")
    return found


def _cautions(views: dict[str, RunAnalysis]) -> list[str]:
    said = {name: analysis.info.cautions() for name, analysis in views.items()}
    every = list(dict.fromkeys(line for lines in said.values() for line in lines))
    shared = [line for line in every if all(line in lines for lines in said.values())]
    lines = [*shared, *(f"{name}: {line}" for name, own in said.items() for line in own if line not in shared)]
    if len({analysis.info.data.get("fingerprint") for analysis in views.values()}) > 1:
        lines.insert(0, "These runs saw different data: their accuracies cannot be compared.")
    if len({analysis.info.protocol for analysis in views.values()}) > 1:
        lines.insert(0, "These runs were validated by different protocols: their accuracies cannot be compared.")
    return lines


def _table(views: dict[str, RunAnalysis]) -> Section:
    lines = [_row(name, analysis) for name, analysis in views.items()]
    heads = ("run", "best accuracy (95% interval)", "trial", "design", "trials", "epochs", "time", "differs in")
    return Section("verdict", "The best of each", table(heads, lines, numbers=(1, 4, 5, 6)))


def _row(name: str, analysis: RunAnalysis) -> tuple[str, ...]:
    scored, info = completed(analysis.trials), analysis.info
    own = analysis.curves[~analysis.curves["inherited"].astype(bool)]
    amounts = (f"{len(analysis.trials):,}", f"{len(own):,}", formatting.duration(info.seconds))
    if scored.empty:
        return (name, formatting.NONE, "", "no trial completed", *amounts, protocol_differences(info))
    best = scored.iloc[0]
    accuracy = formatting.value(best["score"]) if pd.isna(best["accuracy"]) else formatting.with_interval(best)
    return (name, accuracy, formatting.trial(best), formatting.design(best), *amounts, protocol_differences(info))


def _so_far(views: dict[str, RunAnalysis]) -> Section:
    scored = {name: analysis.trials for name, analysis in views.items() if analysis.trials["accuracy"].notna().any()}
    if not scored:
        return Section("search", "How they got there", Markup())
    charts = [Chart(f"so-far-{axis}", plot_runs_so_far(scored, axis), "small") for axis in AXES]
    panels = tag("div", *(chart.placeholder() for chart in charts), class_="charts")
    text = note("The best accuracy so far; a line that rises earlier found good designs sooner.")
    return Section("search", "How they got there", join(text, panels), charts)


def _importances(views: dict[str, RunAnalysis]) -> Section:
    charts, parts = [], []
    for at, (name, analysis) in enumerate(views.items()):
        found = analysis.importances(analysis.budget)
        parts.append(tag("p", tag("b", name), f": {conclusion(found)}"))
        if len(found):
            of = formatting.plural(analysis.budget, "epoch") if analysis.budget else "final accuracies"
            charts.append(Chart(f"importance-{at}", plot_importances(found, name, of)))
    panels = tag("div", *(chart.placeholder() for chart in charts), class_="charts")
    return Section("importance", "What mattered in each", join(*parts, panels), charts)
