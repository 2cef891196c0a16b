"""Accuracy against each choice, and what each value adds."""

from __future__ import annotations

import pandas as pd

from fer_search.report import formatting
from fer_search.report.figures.choice import draw_compared
from fer_search.report.figures.effects import plot_effects, plot_emotions
from fer_search.report.figures.theme import y_range
from fer_search.report.formatting import rows
from fer_search.report.page.html import Chart, Section, by_budget, either, of_all
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.page.page_data import budget_name
from fer_search.report.page.sections.table import folded, note, table
from fer_search.report.statistics.budgets import Comparison, levels, varied
from fer_search.report.statistics.effects import effects
from fer_search.report.tables.analysis import RunAnalysis


def section(analysis: RunAnalysis) -> Section:
    """One panel a choice, the most important first; then what each value adds, to the accuracy and to each emotion."""
    shown = analysis.by_importance
    if not shown:
        return Section("choices", "Accuracy against each choice", Markup())
    scored = analysis.trials[analysis.trials["accuracy"].notna()]
    every = Comparison(scored, None, 0, int((analysis.trials["status"] == "failed").sum()))
    ends = y_range(scored["accuracy"])
    charts = [Chart(f"choice-{k}", draw_compared(every, choice, ends), "small") for k, choice in enumerate(shown)]
    never = [formatting.label(c.name) for c in analysis.info.choices if c not in shown]
    rest = f" Not varied: {', '.join(never)}." if never else ""
    text = note(
        "A dot is a trial, the star the best of those shown; the diamond is the mean of a value or range, with its 95% "
        f"interval from three trials on. {_like_with_like(analysis)} Click a dot to follow its trial everywhere.{rest}"
    )
    panels = tag("div", *(chart.placeholder() for chart in charts), class_="charts")
    parts, more = {}, []
    for budget in analysis.budgets:
        parts[budget_name(budget)], found = _effects(analysis, budget)
        more += found
    added = by_budget(parts, budget_name(analysis.budget))
    return Section("choices", "Accuracy against each choice", join(text, panels, added), [*charts, *more])


def _like_with_like(analysis: RunAnalysis) -> str:
    if analysis.budget is None:
        return "Accuracies are final ones: epoch by epoch they are not recorded."
    return (
        "Like with like: each trial's best accuracy within the number of epochs chosen above; trials that stopped "
        f"before are left out. At first that is {formatting.plural(analysis.budget, 'epoch')}, the most that "
        "enough designs reached."
    )


def _effects(analysis: RunAnalysis, budget: int | None) -> tuple[Markup, list[Chart]]:
    compared, name = analysis.compared(budget), budget_name(budget)
    choices = varied(compared.trials, analysis.info.choices)
    found = effects(compared, choices, analysis.curves)
    accuracy, emotions = found[found["response"] == "accuracy"], found[found["response"] != "accuracy"]
    if accuracy.empty:
        few = f"Too few trials of equal budget ({len(compared.trials)}) to say what a value adds."
        return join(note(few), _levels(compared, choices)), []
    of = f"{formatting.plural(len(compared.trials), 'trial')}" + (
        f" at {formatting.plural(budget, 'epoch')}" if budget else ""
    )
    charts = [Chart(f"effects-{name}", plot_effects(found, of), "labelled")]
    if len(emotions):
        charts.append(Chart(f"emotions-{name}", plot_emotions(found, of), "labelled"))
    how = (
        f"{_how(accuracy)}, with its 95% interval: {formatting.plural(len(accuracy), 'comparison')} over these trials."
    )
    sure = " Coloured, or with a star: sure at 95% after Holm's correction for the number of comparisons."
    text = note(either(how, "effects"), sure)
    drawn = (chart.placeholder() for chart in charts)
    return join(
        tag("h3", "What each value adds"),
        text,
        *drawn,
        of_all(folded("The same as tables", _table(accuracy), _levels(compared, choices))),
    ), charts


def _how(accuracy: pd.DataFrame) -> str:
    if len(accuracy) > 1 and accuracy["alone"].all():
        return "What a value adds, each choice by itself because there are too few trials to take their effects apart"
    return "What a value adds with the other choices being the same (least squares)"


def _table(accuracy: pd.DataFrame) -> Markup:
    lines = [
        (
            formatting.label(row.choice),
            f"{row.value} instead of {row.against}",
            f"{row.n} and {row.n_against}",
            formatting.points(row.difference),
            f"{formatting.points(row.low)} to {formatting.points(row.high)}",
            row.verdict,
        )
        for row in rows(accuracy)
    ]
    heads = ("choice", "what", "trials", "adds, points", "95% interval", "verdict")
    return table(heads, lines, numbers=(2, 3, 4))


def _levels(compared: Comparison, shown: list) -> Markup | None:
    lines = []
    for choice in shown:
        for k, level in enumerate(levels(compared.trials, choice) or []):
            ends = formatting.interval(level.low, level.high)
            numbers = (
                str(len(level.accuracy)),
                formatting.percent(level.mean),
                ends,
                formatting.percent(level.accuracy.max()),
            )
            lines.append((formatting.label(choice.name) if k == 0 else None, formatting.value(level.value), *numbers))
    heads = ("choice", "value", "trials", "mean accuracy", "95% interval", "best")
    return table(heads, lines, numbers=(2, 3, 4, 5)) if lines else None
