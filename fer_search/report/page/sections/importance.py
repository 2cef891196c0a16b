"""Which choices matter, and which pairs."""

from __future__ import annotations

import pandas as pd

from fer_search.report import formatting
from fer_search.report.figures.importance import plot_importances
from fer_search.report.formatting import rows
from fer_search.report.page.html import Chart, Section, by_budget, either, of_all
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.page.page_data import budget_name
from fer_search.report.page.sections.table import folded, note, table
from fer_search.report.statistics.budgets import varied
from fer_search.report.statistics.importance import conclusion, pairs
from fer_search.report.tables.analysis import RunAnalysis

MOST_PAIRS = 6


def section(analysis: RunAnalysis) -> Section:
    """The choices' importances at each budget, and the strongest pairs."""
    if len(analysis.varied) < 1:
        return Section("importance", "Importance", Markup())
    parts, charts = {}, []
    for budget in analysis.budgets:
        parts[budget_name(budget)], found = _at(analysis, budget)
        charts += found
    return Section("importance", "Importance", by_budget(parts, budget_name(analysis.budget)), charts)


def _at(analysis: RunAnalysis, budget: int | None) -> tuple[Markup, list[Chart]]:
    compared = analysis.compared(budget)
    choices = varied(compared.trials, analysis.info.choices)
    found = analysis.importances(budget)
    if found.empty:
        return join(tag("p", conclusion(found), class_="headline"), elsewhere(analysis, budget)), []
    headline = either(conclusion(found), "conclusion", "p", "headline")
    of = formatting.plural(len(compared.trials), "trial") + (
        f" at {formatting.plural(budget, 'epoch')}" if budget else ""
    )
    chart = Chart(f"importance-{budget_name(budget)}", plot_importances(found, of=of), "rows")
    text = note(
        "The share of the differences between these trials that each choice explains (functional ANOVA's main effects, "
        "what chance explains taken off); its 95% interval is a bootstrap over the trials. "
        "Grey: the inconclusive zone, what a choice without any effect may reach by chance (F test at 95%, Holm's "
        "correction). Filled dot: beyond it, it matters; hollow: inconclusive. A choice that is active in some trials "
        "only counts with those. ",
        either(_rest(found), "importances"),
    )
    both = pairs(compared, choices)
    beyond = either(_pairs(both) or "", "pairs", "div")
    return join(headline, of_all(elsewhere(analysis, budget)), text, chart.placeholder(), beyond), [chart]


def elsewhere(analysis: RunAnalysis, budget: int | None) -> Markup | None:
    """Where nothing stands out at this budget: what does at one that more trials reached."""
    if (analysis.importances(budget)["verdict"] == "matters").any():
        return None
    count = len(analysis.compared(budget).trials)
    others = [one for one in analysis.budgets if one is not None and len(analysis.compared(one).trials) > count]
    said = []
    for other in others:
        table = analysis.importances(other)
        sure = table["p"] < 0.05 / len(others)  # they have a chance each
        if sure.any():
            trials = formatting.plural(len(analysis.compared(other).trials), "trial")
            names = ", ".join(formatting.label(name) for name in table.loc[sure, "choice"])
            said.append(f"at {formatting.plural(other, 'epoch')}, over {trials}, {names}")
    return tag("p", f"What does stand out: {'; '.join(said)}.") if said else None


def _rest(found: pd.DataFrame) -> str:
    left = 1 - float(found["share"].sum())
    known = left > 0 and (found["verdict"] == "matters").any()
    return f"The rest, {left:.0%}, is seeds, noise and choices acting together." if known else ""


def _pairs(found: pd.DataFrame) -> Markup | None:
    if found.empty:
        return None
    sure = int((found["verdict"] == "matters").sum())
    names = [f"{formatting.label(row.choice)} with {formatting.label(row.other)}" for row in rows(found.head(sure))]
    said = (
        f"Beyond what each adds alone, these pairs matter: {'; '.join(names[:MOST_PAIRS])}."
        if sure
        else "No pair of choices adds anything that stands out beyond what each adds alone."
    )
    lines = [
        (formatting.label(row.choice), formatting.label(row.other), f"{row.share:.0%}", f"{row.p:.2g}", row.verdict)
        for row in rows(found.head(MOST_PAIRS))
    ]
    heads = ("choice", "with", "share explained together", "p, corrected", "verdict")
    return join(tag("p", said), folded("The strongest pairs", table(heads, lines, numbers=(2, 3))))
