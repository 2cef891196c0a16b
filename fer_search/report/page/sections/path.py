"""From the baseline to the best design, one change at a time."""

from __future__ import annotations

from fer_search.report import formatting
from fer_search.report.figures.path import plot_path
from fer_search.report.page.html import Chart, Section
from fer_search.report.page.markup import Markup, join
from fer_search.report.page.sections.table import folded, note, table
from fer_search.report.statistics.ablation_path import Step, ablation_path
from fer_search.report.tables.analysis import RunAnalysis


def section(analysis: RunAnalysis) -> Section:
    """Return the ablation path; nothing where no baseline was measured at the default budget, or it is the best."""
    title, compared, info = "From the baseline to the best", analysis.compared(analysis.budget), analysis.info
    steps = ablation_path(compared, analysis.fit, info.choices, list(info.baselines), info.validation)
    if len(steps) < 2:
        return Section("path", title, Markup())
    chart = Chart("path-chart", plot_path(steps), "rows")
    epochs = f" At {compared.at}." if compared.at else ""
    text = note(
        "One change at a time, the one with the largest estimated gain first. Filled: measured; hollow: estimated from "
        f"all designs.{epochs} The best design was selected, so its gain is probably too large."
    )
    rows = [_row(index, steps) for index in range(len(steps))]
    heads = ("change", "accuracy (95% interval)", "adds, points", "source")
    body = join(text, chart.placeholder(), folded("As a table", table(heads, rows, numbers=(1, 2))))
    return Section("path", title, body, [chart], folded=True, link="Path")


def _row(index: int, steps: list[Step]) -> tuple[str, str, str, str]:
    step = steps[index]
    interval = formatting.interval(step.low, step.high)
    gain = formatting.signed_points(step.accuracy - steps[index - 1].accuracy) if index else ""
    return step.change, formatting.percent(step.accuracy) + (f" ({interval})" if interval else ""), gain, step.source
