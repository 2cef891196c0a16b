"""The search itself: how it got on, who was promoted, where the time went, and what failed."""

from __future__ import annotations

from fer_search.report import formatting
from fer_search.report.figures.best_so_far import AXES, plot_best_so_far
from fer_search.report.figures.promotions import plot_promotions
from fer_search.report.figures.time import plot_time
from fer_search.report.formatting import rows
from fer_search.report.page.html import Chart, Section
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.page.sections.curves import dotted
from fer_search.report.page.sections.table import note, table
from fer_search.report.statistics.promotions import promotions
from fer_search.report.tables.analysis import RunAnalysis

MOST_LISTED = 20  # trials named for each reason


def section(analysis: RunAnalysis) -> Section:
    """Best so far against trials, epochs and time; Hyperband's rungs; time by choice; failures by reason."""
    if analysis.trials.empty and not analysis.info.skipped:
        return Section("search", "The search", Markup())
    charts: list[Chart] = []
    parts: list[Markup | None] = []
    if analysis.trials["accuracy"].notna().sum() > 1:
        spent = analysis.trials["seconds"].notna().any()
        axes = [name for name in AXES if spent or name != "hours"]
        so_far = [
            Chart(f"so-far-{name}", plot_best_so_far(analysis.trials, analysis.info.drawn_references(), name), "small")
            for name in (axes if analysis.curves["epoch"].notna().any() else axes[:1])
        ]
        charts += so_far
        text = f"A dot is a trial, with its best epoch's accuracy, whatever the number of epochs.{dotted(analysis)}"
        parts += [note(text), tag("div", *(chart.placeholder() for chart in so_far), class_="charts")]
    rungs, more = _promotions(analysis)
    parts.append(rungs)
    charts += more
    if analysis.varied and analysis.trials["seconds"].fillna(0).sum() > 0:
        charts.append(Chart("time", plot_time(analysis.trials, analysis.varied), "rows"))
        parts.append(charts[-1].placeholder())
    return Section("search", "The search", join(*parts, _failures(analysis)), charts)


def _promotions(analysis: RunAnalysis) -> tuple[Markup | None, list[Chart]]:
    found = promotions(analysis.trials)
    if found.empty:
        return None, []
    brackets = [int(b) for b in dict.fromkeys(found["bracket"]) if (found["bracket"] == b).sum() > 1]
    charts = [Chart(f"bracket-{b}", plot_promotions(analysis.trials, b), "small") for b in brackets]
    lines = [
        (
            f"{row.bracket}, rung {row.round}",
            *(str(value) for value in (row.epochs, row.trials, row.promoted)),
            formatting.NONE if row.correlation != row.correlation else formatting.signed(row.correlation),
            formatting.percent(row.best),
        )
        for row in rows(found)
    ]
    heads = ("bracket", "epochs", "trials", "went on", "rank correlation with the next rung", "best")
    text = note(
        "Hyperband trains many trials a little and lets the best go on. Vermilion: those that went on. Where ranks at "
        "a rung agree little with the next one's, it stops the wrong trials: raise the epochs of the first "
        "rung. (Of those that went on alone, from four on: over all trials the agreement would be higher.) "
        "The table and the words below the charts are of all trials, whatever is filtered above."
    )
    panels = tag("div", *(chart.placeholder() for chart in charts), class_="charts")
    return join(tag("h3", "Promotions"), text, panels, table(heads, lines, numbers=range(1, 6))), charts


def _failures(analysis: RunAnalysis) -> Markup:
    failed = analysis.trials[analysis.trials["status"] == "failed"]
    parts: list[Markup] = []
    for reason, group in failed.groupby(failed["message"].map(formatting.reason), sort=False):
        trials = ", ".join(formatting.trial(row) for _, row in group.head(MOST_LISTED).iterrows())
        trials += f" and {len(group) - MOST_LISTED:,} more" if len(group) > MOST_LISTED else ""
        message = group["message"].iloc[0]
        longer = isinstance(message, str) and message.strip() != reason
        more = tag("details", tag("summary", "The whole message"), tag("pre", message)) if longer else None
        parts.append(
            tag("li", tag("strong", str(reason)), f" ({formatting.plural(len(group), 'trial')}: {trials})", more)
        )
    listed = tag("ul", *parts) if parts else tag("p", "No trial failed.")
    skipped = [tag("li", tag("strong", s.get("what", "?")), f": {s.get('why', '')}") for s in analysis.info.skipped]
    could_not = join(tag("h3", "What could not be searched"), tag("ul", *skipped)) if skipped else None
    return join(tag("h3", "Failures"), listed, could_not)
