"""Learning curves."""

from __future__ import annotations

from fer_search.report.figures.curves import plot_learning_curves
from fer_search.report.figures.trial import plot_trial
from fer_search.report.page.html import Chart, Section
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.page.sections.table import note
from fer_search.report.tables.analysis import RunAnalysis

SAMPLE = 100  # designs in the figure that Python makes; the script draws the others


def section(analysis: RunAnalysis) -> Section:
    """Return every design's learning curve, and the chart of a selected one, which the script moves into its card."""
    if analysis.curves["val_accuracy"].isna().all():
        return Section("curves", "Learning curves", Markup())
    known = analysis.designs[analysis.designs["epochs"].notna() & analysis.designs["accuracy"].notna()]
    some = known.iloc[:: max(1, len(known) // SAMPLE)]
    curves = analysis.curves[analysis.curves["trial"].astype(object).isin(set(some["trial"]))]
    figure = plot_learning_curves(some, curves, analysis.info.drawn_references(), analysis.majority)
    charts = [Chart("curves-chart", figure)]
    single = None
    if len(known):
        charts.append(Chart("trial-chart", plot_trial(some.iloc[0], curves), "small"))
        single = tag("div", charts[1].placeholder(), id="trial-figure", hidden=True)
    running = ", blue: running" if (known["status"] == "running").any() else ""
    text = note(f"Thick: the best design, or the one that you select{running}.{dotted(analysis)}")
    return Section("curves", "Learning curves", join(text, charts[0].placeholder(), single), charts)


def dotted(analysis: RunAnalysis) -> str:
    """Return what the dotted lines are, as text."""
    if not analysis.info.references:
        return ""
    if analysis.info.toy:
        return " Published accuracies are of real faces, and not drawn."
    return " Dotted: published accuracies."
