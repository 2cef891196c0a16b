"""Learning curves."""

from __future__ import annotations

from fer_search.report.figures.curves import plot_learning_curves
from fer_search.report.figures.trial import plot_trial
from fer_search.report.page.html import Chart, Section
from fer_search.report.page.markup import Markup, join
from fer_search.report.page.sections.table import note
from fer_search.report.tables.analysis import RunAnalysis

SOME = 100


def section(analysis: RunAnalysis) -> Section:
    """Every trial's curve, and one trial's: training beside validation, and its learning rate."""
    if analysis.curves["val_accuracy"].isna().all():
        return Section("curves", "Learning curves", Markup())
    known = analysis.trials[analysis.trials["epochs"].notna() & analysis.trials["accuracy"].notna()]
    some = known.iloc[:: max(1, len(known) // SOME)]  # the script draws the others
    curves = analysis.curves[analysis.curves["trial"].astype(object).isin(set(some["trial"]))]
    charts = [Chart("curves-chart", plot_learning_curves(some, curves, analysis.info.drawn_references()))]
    if len(known):
        charts.append(Chart("trial-chart", plot_trial(some.iloc[0], curves)))
    text = note(
        "Thick: the best trial, or the one that you select; thin: the other trials that the filter lets through, the "
        f"best 300 at most.{dotted(analysis)}"
    )
    return Section("curves", "Learning curves", join(text, *(chart.placeholder() for chart in charts)), charts)


def dotted(analysis: RunAnalysis) -> str:
    """Return what the dotted lines are, in words."""
    if not analysis.info.references:
        return ""
    return (
        " Published accuracies are of real faces, and not drawn."
        if analysis.info.toy
        else " Dotted: published accuracies."
    )
