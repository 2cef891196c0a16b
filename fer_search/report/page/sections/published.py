"""The space's baselines and references beside what was measured here, and the baselines beside each other."""

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
    protocol_differences,
    published_line,
    published_rows,
)
from fer_search.report.tables.analysis import RunAnalysis


def section(analysis: RunAnalysis) -> Section:
    """Each baseline and reference: published, ours, the difference with its interval, and what is not alike."""
    found = published_rows(analysis.info, analysis.trials)
    shown = columns_shown(found)
    title = "The report's table, again" if len(shown) == len(HEADS) else "The baselines"
    if not found:
        return Section("published", title, Markup())
    ways = protocol_differences(analysis.info)
    lines = [published_line(row, analysis.info.toy, ways) for row in found]
    body = table(
        [HEADS[k] for k in shown],
        [[line[k] for k in shown] for line in lines],
        range(1, 6 if len(shown) == len(HEADS) else 4),
    )
    how = _how(found, ways if len(shown) == len(HEADS) else None)
    return Section("published", title, join(note(how), body, _pairs(baseline_pairs(found))))


def _how(found: list[PublishedRow], ways: str | None) -> str:
    """What the numbers are; ``ways`` is None where nothing is published to be like."""
    alike = f"Not like for like: here, {ways}. " if ways else "The same protocol, width and images as the report's. "
    alike = "" if ways is None else alike
    most = max(row.seeds for row in found)
    if most == 0:
        return alike.strip()
    if most == 1:
        return (
            f"{alike}One seed each: the intervals are of which images were drawn; training again would move each "
            "accuracy too, by an unknown amount (--repeats 5 measures it)."
        )
    return (
        f"{alike}Here: the mean over the seeds. Its interval holds what another seed would change (Student's t) and "
        "which images were drawn; that of the difference also that the published network is one seed alone."
    )


def _pairs(found: list[BaselinePair]) -> Markup | None:
    if not found:
        return None
    repeated = any(pair.found.dof for pair in found)
    text = (
        "Over the seeds of both (Student's t, Holm's correction for the number of comparisons), on these images."
        if repeated
        else "With one seed each, the interval is of the images alone, and no difference can be trusted: see --repeats."
    )
    heading = tag("h3", f"Each baseline against {found[0].against}")
    return join(heading, note(text), table(PAIR_HEADS, [pair_line(pair) for pair in found], numbers=(1, 2)))
