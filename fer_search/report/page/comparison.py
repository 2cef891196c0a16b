"""Several runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fer_search.errors import UserError
from fer_search.report import formatting
from fer_search.report.figures.best_so_far import plot_runs_so_far
from fer_search.report.figures.importance import plot_importances
from fer_search.report.page.html import Chart, Page, Section, whole_page
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.page.page import PLOTLY, write_page
from fer_search.report.page.sections.table import note, table
from fer_search.report.statistics.importance import conclusion
from fer_search.report.statistics.inference import difference_of_runs
from fer_search.report.statistics.published import protocol_differences
from fer_search.report.statistics.verdict import completed
from fer_search.report.tables.analysis import RunAnalysis, load_analysis
from fer_search.report.tables.confirmed import tested_rows

HEADS = (
    *("run", "best validation accuracy (95% interval)", "difference from the first, points (95% interval)"),
    *("balanced accuracy", "macro F1", "test accuracy (95% interval)", "trial", "design"),
    *("designs", "epochs", "time", "data", "differs from the published protocol"),
)


def write_comparison(runs: Sequence[str | Path], out: str | Path, plotly: str = "inline") -> Path:
    """Write one page that compares runs: their best designs, their progress, and which choices matter in each.

    Args:
        runs: run folders, at least two; the others are compared with the first.
        out: the HTML file. Its folder is made.
        plotly: "inline" or "cdn", as in ``write_report``.

    Returns:
        The file.

    Raises:
        UserError: a folder is missing or not a run, a file in it is broken, or the page cannot be written.
        ValueError: fewer than two runs, or ``plotly`` is something else.
    """
    if plotly not in PLOTLY:
        raise ValueError(f"plotly must be inline or cdn, not {plotly!r}")
    if len(runs) < 2:
        raise ValueError("a comparison needs at least two runs")
    analyses = _named([load_analysis(run) for run in runs])
    sections = [_table(analyses), _so_far(analyses), _importances(analyses)]
    page = Page("Comparison of runs", " · ".join(analyses), _cautions(analyses), sections)
    return write_page(whole_page(page, plotly), Path(out))


def _named(analyses: Sequence[RunAnalysis]) -> dict[str, RunAnalysis]:
    """Return the runs by name; by path where two have the same."""
    names = [analysis.info.name for analysis in analyses]
    named = {
        name if names.count(name) == 1 else str(analysis.info.path): analysis
        for name, analysis in zip(names, analyses, strict=True)
    }
    if len(named) < len(analyses):
        raise UserError("a run is given twice; give each run folder once")
    return named


def _cautions(analyses: dict[str, RunAnalysis]) -> list[str]:
    cautions = {name: analysis.info.cautions() for name, analysis in analyses.items()}
    every = list(dict.fromkeys(line for lines in cautions.values() for line in lines))
    shared = [line for line in every if all(line in lines for lines in cautions.values())]
    lines = [*shared, *(f"{name}: {line}" for name, own in cautions.items() for line in own if line not in shared)]
    for what, key in (("different data", _data), ("different validation protocols", lambda one: one.info.protocol)):
        if len({key(analysis) for analysis in analyses.values()}) > 1:
            lines.insert(0, f"These runs have {what}: their accuracies are not comparable.")
    return lines


def _data(analysis: RunAnalysis) -> str:
    return str(analysis.info.data.get("fingerprint"))


def _table(analyses: dict[str, RunAnalysis]) -> Section:
    first = next(iter(analyses.values()))
    lines = [_row(name, analysis, first) for name, analysis in analyses.items()]
    used = [index for index in range(len(HEADS)) if any(line[index] not in ("", formatting.DASH) for line in lines)]
    heads, cells = [HEADS[index] for index in used], [[line[index] for index in used] for line in lines]
    numbers = [index for index, head in enumerate(heads) if head not in ("run", "trial", "design", "data", HEADS[-1])]
    text = note(
        "The difference is of the best validation accuracies (two proportions); each best is selected, so the run with "
        "more designs is favoured. Test accuracies (fer-search confirm) do not have this bias."
    )
    return Section("verdict", "The best of each", join(table(heads, cells, numbers), text))


def _row(name: str, analysis: RunAnalysis, first: RunAnalysis) -> tuple[str, ...]:
    scored, info = completed(analysis.designs), analysis.info
    own = analysis.curves[~analysis.curves["inherited"].astype(bool)]
    images = f"{info.data['train']:,} images" if info.data.get("train") else ""
    data = ", ".join(filter(None, (str(info.data.get("name") or ""), images)))
    totals = (f"{len(analysis.designs):,}", f"{len(own):,}", formatting.duration(info.seconds), data)
    if scored.empty:
        return (name, "no trial completed", *("",) * 6, *totals, protocol_differences(info))
    best = scored.iloc[0]
    accuracy = formatting.value(best["score"]) if pd.isna(best["accuracy"]) else formatting.with_interval(best)
    metrics = (formatting.percent(best["balanced_accuracy"]), formatting.percent(best["macro_f1"]))
    about = (formatting.trial(best), formatting.design(best))
    result = (accuracy, _difference(analysis, first), *metrics, _tested(analysis), *about)
    return (name, *result, *totals, protocol_differences(info))


def _difference(analysis: RunAnalysis, first: RunAnalysis) -> str:
    """Return the difference of the bests with its interval as text; a dash where it is unknown or meaningless."""
    bests = [completed(one.designs) for one in (analysis, first)]
    images = [one.info.validation for one in (analysis, first)]
    known = all(len(best) and not pd.isna(best.iloc[0]["accuracy"]) for best in bests) and all(images)
    if analysis is first or not known or _data(analysis) != _data(first):
        return formatting.DASH
    accuracies = np.array([float(best.iloc[0]["accuracy"]) for best in bests])
    difference, low, high = difference_of_runs(accuracies, np.array(images, float))
    return f"{formatting.signed_points(difference)} ({formatting.points_interval(low, high)})"


def _tested(analysis: RunAnalysis) -> str:
    rows = tested_rows(analysis.confirmed)
    parts = [f"{formatting.with_interval(row)} {row['part'].replace('_', ' ')}" for _, row in rows.iterrows()]
    return "; ".join(parts) or formatting.DASH


def _so_far(analyses: dict[str, RunAnalysis]) -> Section:
    scored = {name: one.trials for name, one in analyses.items() if one.trials["accuracy"].notna().any()}
    if not scored:
        return Section("search", "Progress", Markup())
    charts = [Chart(f"so-far-{axis}", plot_runs_so_far(scored, axis), "small") for axis in ("epochs", "hours")]
    panels = tag("div", *(chart.placeholder() for chart in charts), class_="charts")
    return Section("search", "Progress", join(note("Best validation accuracy so far."), panels), charts)


def _importances(analyses: dict[str, RunAnalysis]) -> Section:
    charts, parts = [], []
    for index, (name, analysis) in enumerate(analyses.items()):
        importances, designs = analysis.importances, len(analysis.measurements.designs)
        parts.append(tag("p", tag("b", name), f": {conclusion(importances, designs)}"))
        if len(importances):
            figure = plot_importances(importances, name, formatting.plural(designs, "design"))
            charts.append(Chart(f"importance-{index}", figure, "rows"))
    panels = tag("div", *(chart.placeholder() for chart in charts), class_="charts")
    return Section("importance", "Which choices matter in each", join(*parts, panels), charts)
