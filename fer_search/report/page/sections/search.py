"""Progress and cost of the search; promotions, time and failures on demand."""

from __future__ import annotations

from fer_search.report import formatting
from fer_search.report.figures.best_so_far import plot_best_so_far
from fer_search.report.figures.cost import COSTS, plot_cost, with_costs
from fer_search.report.figures.promotions import plot_promotions
from fer_search.report.figures.time import plot_time
from fer_search.report.formatting import rows
from fer_search.report.page.html import Chart, Section
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.page.sections.table import folded, note, table
from fer_search.report.statistics.promotions import promotions
from fer_search.report.tables.analysis import RunAnalysis

MAX_LISTED = 20  # trials named for each reason


def section(analysis: RunAnalysis) -> Section:
    """Return best so far and cost, failures, and on demand Hyperband's rungs and the time by choice."""
    if analysis.trials.empty and not analysis.info.skipped:
        return Section("search", "Progress and cost", Markup())
    charts = [*_progress(analysis), *_cost(analysis)]
    panels = tag("div", *(chart.placeholder() for chart in charts), class_="charts") if charts else None
    rungs, rung_charts = _promotions(analysis)
    time: list[Chart] = []
    if analysis.varied and analysis.designs["seconds"].fillna(0).sum() > 0:
        time = [Chart("time", plot_time(analysis.designs, analysis.varied), "rows")]
    spent = folded("Training time by choice", time[0].placeholder()) if time else None
    body = join(panels, _failures(analysis), rungs, spent)
    return Section("search", "Progress and cost", body, [*charts, *rung_charts, *time])


def _progress(analysis: RunAnalysis) -> list[Chart]:
    if analysis.trials["accuracy"].notna().sum() < 2:
        return []
    axis = "epochs" if analysis.curves["epoch"].notna().any() else "trials"
    figure = plot_best_so_far(analysis.trials, analysis.info.drawn_references(), axis, analysis.majority, False)
    return [Chart("so-far", figure, "small")]


def _cost(analysis: RunAnalysis) -> list[Chart]:
    designs = with_costs(analysis.designs[analysis.designs["accuracy"].notna()], analysis.curves)
    costs = [cost for cost in ("flops", "parameters", "seconds_per_epoch") if designs[cost].nunique() > 1]
    return [Chart("cost", plot_cost(designs, costs[0], analysis.majority), "small")] if costs and COSTS else []


def _promotions(analysis: RunAnalysis) -> tuple[Markup | None, list[Chart]]:
    summary = promotions(analysis.trials)
    if not summary.duplicated("bracket").any():  # no bracket has a second rung
        return None, []
    brackets = [int(b) for b in dict.fromkeys(summary["bracket"]) if (summary["bracket"] == b).sum() > 1]
    charts = [
        Chart(f"bracket-{bracket}", plot_promotions(analysis.trials, bracket, analysis.majority), "small")
        for bracket in brackets
    ]
    correlated = summary["correlation"].notna().any()
    lines = []
    for row in rows(summary):
        cells = [f"{row.bracket}, rung {row.round}", str(row.epochs), str(row.trials), str(row.promoted)]
        if correlated:
            cells.append(formatting.DASH if row.correlation != row.correlation else formatting.signed(row.correlation))
        lines.append((*cells, formatting.percent(row.best)))
    heads = ["bracket", "epochs", "trials", "promoted"]
    heads += ["rank correlation with the next rung", "best"] if correlated else ["best"]
    text = "Vermilion: promoted to the next rung."
    if correlated:
        text += (
            " Where a rung's ranks correlate little with the next one's, the search stops the wrong trials: raise the "
            "epochs of the first rung. The correlation is over at least four promoted trials."
        )
    panels = tag("div", *(chart.placeholder() for chart in charts), class_="charts")
    return folded("Rungs and promotions", note(text), panels, table(heads, lines, range(1, len(heads)))), charts


def _failures(analysis: RunAnalysis) -> Markup | None:
    failed = analysis.trials[analysis.trials["status"] == "failed"]
    items: list[Markup] = []
    for reason, group in failed.groupby(failed["message"].map(formatting.reason), sort=False):
        trials = ", ".join(formatting.trial(row) for _, row in group.head(MAX_LISTED).iterrows())
        trials += f" and {len(group) - MAX_LISTED:,} more" if len(group) > MAX_LISTED else ""
        message = group["message"].iloc[0]
        longer = isinstance(message, str) and message.strip() != reason
        more = folded("Full message", tag("pre", message)) if longer else None
        count = f" ({formatting.plural(len(group), 'trial')}: {trials})"
        items.append(tag("li", tag("strong", str(reason)), count, more))
    skipped = [tag("li", tag("strong", s.get("what", "?")), f": {s.get('why', '')}") for s in analysis.info.skipped]
    failures = folded(f"{formatting.plural(len(failed), 'failed trial')}", tag("ul", *items)) if items else None
    missing = folded("Not searched here", tag("ul", *skipped)) if skipped else None
    return join(failures, missing) if failures or missing else None
