"""From the baseline to the best, one change at a time."""

from __future__ import annotations

from fer_search.report import formatting
from fer_search.report.figures.path import plot_path
from fer_search.report.page.html import Chart, Section
from fer_search.report.page.markup import Markup, join
from fer_search.report.page.sections.table import folded, note, table
from fer_search.report.statistics.ablation_path import Step, path
from fer_search.report.tables.analysis import RunAnalysis


def section(analysis: RunAnalysis) -> Section:
    """The ablation path; nothing where no baseline was measured at the default budget, or it is the best."""
    title, compared = "From the baseline to the best", analysis.compared(analysis.budget)
    steps = path(compared, analysis.info.choices, list(analysis.info.baselines), analysis.info.validation)
    if len(steps) < 2:
        return Section("path", title, Markup())
    chart = Chart("path-chart", plot_path(steps), "rows")
    at = (
        f" Compared at {formatting.plural(analysis.budget, 'epoch')}, whatever is chosen above."
        if analysis.budget
        else ""
    )
    text = note(
        "One change at a time, the one with the largest estimated gain first. Filled: measured, a trial had this very "
        f"design. Hollow: estimated from all trials.{at} To measure a step, add it to the space's baselines. The last "
        "one was picked because it was best, by luck too: its gain is likely a little smaller."
    )
    rows = [_row(k, steps) for k in range(len(steps))]
    heads = ("change", "accuracy (95% interval)", "adds, points", "how it is known")
    body = join(text, chart.placeholder(), folded("The same as a table", table(heads, rows, numbers=(1, 2))))
    return Section("path", title, body, [chart])


def _row(k: int, steps: list[Step]) -> tuple[str, str, str, str]:
    step = steps[k]
    ends = formatting.interval(step.low, step.high)
    gain = formatting.points(step.accuracy - steps[k - 1].accuracy) if k else ""
    return step.change, formatting.percent(step.accuracy) + (f" ({ends})" if ends else ""), gain, step.known
