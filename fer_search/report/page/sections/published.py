"""The space's baselines and references beside this run's accuracies, and the baselines compared with each other."""

from __future__ import annotations

from fer_search.report.page.html import Section
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.page.sections.table import note, table
from fer_search.report.statistics.published import (
    HEADS,
    PAIR_HEADS,
    BaselinePair,
    PublishedRow,
    baseline_pairs,
    columns_shown,
    pair_line,
    pairs_note,
    protocol_differences,
    published_line,
    published_rows,
)
from fer_search.report.tables.analysis import RunAnalysis


def section(analysis: RunAnalysis) -> Section:
    """Return each baseline and reference: published, this run, the difference with its interval, and comparability."""
    rows = published_rows(analysis.info, analysis.trials)
    shown = columns_shown(rows)
    all_columns = len(shown) == len(HEADS)
    title = "Published accuracies" if all_columns else "Baselines"
    if not rows:
        return Section("published", title, Markup())
    differences = protocol_differences(analysis.info)
    lines = [published_line(row, analysis.info.toy, differences) for row in rows]
    heads, cells = [HEADS[index] for index in shown], [[line[index] for index in shown] for line in lines]
    body = table(heads, cells, range(1, 6 if all_columns else 4))
    how = _explanation(rows, differences if all_columns else None)
    content = join(note(how), body, _pairs(baseline_pairs(rows)))
    return Section("published", title, content, folded=True, link="Published" if all_columns else "")


def _explanation(rows: list[PublishedRow], differences: str | None) -> str:
    """Return what the numbers are; ``differences`` is None where nothing was published."""
    same = "The protocol, width and images are those of the course report. "
    comparable = "" if differences is None else f"Not comparable: {differences}. " if differences else same
    seeds = max(row.seeds for row in rows)
    if seeds == 0:
        return comparable.strip()
    if seeds == 1:
        return (
            f"{comparable}One seed each: the intervals cover the sampling of images, not the variation between seeds "
            "(--repeats 5 measures it)."
        )
    return (
        f"{comparable}This run: mean over the seeds; its interval covers seeds (Student's t) and the sampling of "
        "images, that of the difference also the single seed of the published network."
    )


def _pairs(pairs: list[BaselinePair]) -> Markup | None:
    if not pairs:
        return None
    heading = tag("h3", f"Each baseline against {pairs[0].against}")
    return join(
        heading, note(pairs_note(pairs)), table(PAIR_HEADS, [pair_line(pair) for pair in pairs], numbers=(1, 2))
    )
