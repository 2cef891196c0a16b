"""Accuracy against cost."""

from __future__ import annotations

from fer_search.report.figures.cost import plot_cost, with_costs
from fer_search.report.page.html import Chart, Section
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.page.sections.table import note
from fer_search.report.tables.analysis import RunAnalysis


def section(analysis: RunAnalysis) -> Section:
    """The Pareto fronts over parameters, FLOPs and seconds an epoch."""
    title = "Accuracy against cost"
    trials = with_costs(analysis.trials[analysis.trials["accuracy"].notna()], analysis.curves)
    costs = [cost for cost in ("parameters", "flops", "seconds_per_epoch") if trials[cost].nunique() > 1]
    charts = [Chart(f"cost-{cost}", plot_cost(trials, cost), "small") for cost in costs]
    if not charts:
        return Section("cost", title, Markup())
    text = note(
        "The line joins the trials that no other beats in both: look for the knee. Compared at the epochs above."
    )
    panels = tag("div", *(chart.placeholder() for chart in charts), class_="charts")
    return Section("cost", title, join(text, panels), charts)
