"""Accuracy against each choice, what each value adds, and how choices act together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fer_search.report import formatting
from fer_search.report.figures.choice import plot_choice
from fer_search.report.figures.effects import plot_recall_effects
from fer_search.report.figures.pair import plot_pair
from fer_search.report.figures.parallel import plot_parallel
from fer_search.report.figures.theme import y_range
from fer_search.report.formatting import rows
from fer_search.report.page.filters import select
from fer_search.report.page.html import Chart, Section
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.page.sections.table import folded, note, table
from fer_search.report.statistics.budgets import Comparison, levels
from fer_search.report.statistics.effects import effects, recall_effects
from fer_search.report.statistics.importance import MATTERS
from fer_search.report.statistics.interactions import pair_interactions
from fer_search.report.tables.analysis import RunAnalysis

OPEN_PANELS = 3
MAX_AXES = 12
MAX_UNTRIED = 40  # pairs of values that are listed
MAX_PAIRS = 6


def section(analysis: RunAnalysis, choices: list[dict[str, Any]]) -> Section:
    """Return one panel a choice, those that matter open; then values, emotions and pairs on demand.

    Args:
        analysis: the run.
        choices: of ``page_data.page_table``.
    """
    shown = analysis.by_importance
    if not shown:
        return Section("choices", "Each choice", Markup())
    scored = analysis.designs[analysis.designs["accuracy"].notna()]
    every = Comparison(scored, None, 0, int((analysis.designs["status"] == "failed").sum()))
    limits = y_range(scored["accuracy"])
    panels = [
        Chart(f"choice-{index}", plot_choice(every, choice, limits, analysis.majority, None), "small")
        for index, choice in enumerate(shown)
    ]
    significant = int((analysis.importances["verdict"] == MATTERS).sum())
    open_panels = min(max(significant, 0), OPEN_PANELS)
    text = note(
        "A dot is a design, the star the best; diamonds are means with 95% intervals, at the epochs chosen above."
    )
    first = (
        tag("div", *(chart.placeholder() for chart in panels[:open_panels]), class_="charts") if open_panels else None
    )
    rest = panels[open_panels:]
    label = formatting.plural(len(rest), "more choice" if open_panels else "choice")
    more = (
        folded(f"Accuracy against {label}", tag("div", *(c.placeholder() for c in rest), class_="charts"), key="panels")
        if rest
        else None
    )
    values, value_charts = _values(analysis)
    together, charts = _together(analysis, choices, scored)
    body = join(text if open_panels else None, first, more, values, together)
    return Section("choices", "Each choice", body, [*panels, *value_charts, *charts])


def _values(analysis: RunAnalysis) -> tuple[Markup | None, list[Chart]]:
    """Return what each value adds, to the accuracy and to each emotion's recall."""
    measured = analysis.compared(analysis.budget)
    means = _levels(measured, analysis)
    if analysis.fit is None:
        return (folded("Mean accuracy of each value", means) if means else None), []
    text = note(
        "Least squares over all designs and budgets, other choices held equal; intervals of single comparisons, so "
        "some exclude zero by chance."
    )
    parts, charts = [text, _effects_table(analysis)], []
    recalls = recall_effects(analysis.trials, analysis.curves, analysis.varied)
    if len(recalls):
        of = f"{formatting.plural(len(analysis.measurements.designs), 'design')}; *: significant (95%, Holm)"
        charts.append(Chart("emotions", plot_recall_effects(recalls, of), "labelled"))
        parts.append(charts[0].placeholder())
    return folded("What each value adds", *parts, means), charts


def _effects_table(analysis: RunAnalysis) -> Markup:
    verdicts = dict(zip(analysis.importances["choice"], analysis.importances["verdict"], strict=True))
    lines = [
        (
            formatting.label(row.choice),
            f"{row.value} instead of {row.against}",
            f"{row.designs} and {row.designs_against}",
            formatting.signed_points(row.difference),
            formatting.points_interval(row.low, row.high),
            verdicts[row.choice],
        )
        for row in rows(effects(analysis.fit))
    ]
    heads = ("choice", "comparison", "designs", "adds, points", "95% interval", "the choice")
    return table(heads, lines, numbers=(2, 3, 4))


def _levels(compared: Comparison, analysis: RunAnalysis) -> Markup | None:
    lines = []
    for choice in analysis.by_importance:
        for index, level in enumerate(levels(compared.trials, choice) or []):
            if not len(level.accuracy):
                continue
            numbers = [str(len(level.accuracy)), formatting.percent(level.mean)]
            numbers += [formatting.interval(level.low, level.high), formatting.percent(level.accuracy.max())]
            name = formatting.label(choice.name) if index == 0 else None
            lines.append((name, formatting.value(level.value), *numbers))
    budget = f" at {compared.at}" if compared.at else ""
    heads = ("choice", "value", "designs", f"mean accuracy{budget}", "95% interval", "best")
    return table(heads, lines, numbers=(2, 3, 4, 5)) if lines else None


def _together(
    analysis: RunAnalysis, choices: list[dict[str, Any]], scored: pd.DataFrame
) -> tuple[Markup | None, list[Chart]]:
    """Return parallel coordinates, the means of any two choices' values, interactions, and what was never tried."""
    shown = analysis.by_importance
    if len(shown) < 2:
        return None, []
    along = shown[:MAX_AXES]
    lines = Chart("parallel", plot_parallel(scored, along, None), "labelled", axes=[choice.name for choice in along])
    pair = Chart("pair", plot_pair(scored, shown[0], shown[1]))
    names = {str(index): choice["label"] for index, choice in enumerate(choices)}
    position = {choice["name"]: str(index) for index, choice in enumerate(choices)}
    controls = [
        select("x axis", "x", names, position[shown[0].name], "filters"),
        select("y axis", "y", names, position[shown[1].name], "filters"),
    ]
    text = note(
        "Every line is a design: vermilion the best tenth, blue the rest of the better half, grey the others. Drag "
        "along an axis to keep the designs that pass there."
    )
    body = folded(
        "Choices together",
        *(text, lines.placeholder(), tag("p", *controls, class_="controls"), pair.placeholder()),
        *(_interactions(analysis), _untried(choices, analysis.designs["accuracy"].notna().to_numpy())),
    )
    return body, [lines, pair]


def _interactions(analysis: RunAnalysis) -> Markup | None:
    pairs = pair_interactions(analysis.fit)
    if pairs.empty:
        return None
    count = int((pairs["verdict"] == MATTERS).sum())
    names = [f"{formatting.label(row.choice)} with {formatting.label(row.other)}" for row in rows(pairs.head(count))]
    if not names:
        return tag("p", "No two choices have a significant interaction (95%, Holm).")
    lines = [
        (formatting.label(row.choice), formatting.label(row.other), f"{row.share:.0%}", f"{row.p:.2g}")
        for row in rows(pairs.head(count)[:MAX_PAIRS])
    ]
    heads = ("choice", "with", "share of the variance", "p (Holm)")
    return join(tag("p", f"Significant interactions: {'; '.join(names[:MAX_PAIRS])}."), table(heads, lines, (2, 3)))


def _untried(choices: list[dict[str, Any]], scored: np.ndarray) -> Markup | None:
    """Return the pairs of values that no design with a result (``scored``, bool) had, without ranges of numbers."""
    known = [choice for choice in choices if not choice["ordered"]]
    missing = []
    for index, first in enumerate(known):
        for second in known[index + 1 :]:
            x, y = np.array(first["place"]), np.array(second["place"])
            both = scored & (x >= 0) & (y >= 0)
            tried = set(zip(x[both].tolist(), y[both].tolist(), strict=True))
            missing += [
                f"{first['label']} {left} with {second['label']} {right}"
                for i, left in enumerate(first["groups"])
                for j, right in enumerate(second["groups"])
                if (i, j) not in tried
            ]
    if not missing:
        return None
    items = [tag("li", pair) for pair in missing[:MAX_UNTRIED]]
    more = [tag("li", f"and {len(missing) - MAX_UNTRIED} more")] if len(missing) > MAX_UNTRIED else []
    return folded(
        f"Never tried together: {formatting.plural(len(missing), 'pair')} of values", tag("ul", *items, *more)
    )
