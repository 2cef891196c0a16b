"""The best designs on images that no search saw."""

from __future__ import annotations

from fer_search.report.page.html import Section
from fer_search.report.page.markup import Markup, join
from fer_search.report.page.sections.table import note, table
from fer_search.report.tables.analysis import RunAnalysis
from fer_search.report.tables.confirmed import HEADS, confirmed_lines, notes


def section(analysis: RunAnalysis) -> Section:
    """What ``fer-search confirm`` found; how to run it where it was not."""
    title, found = "Tested once", analysis.confirmed
    nothing = found.empty and not (analysis.trials["status"] == "completed").any()
    if nothing or analysis.info.protocol != "holdout":
        return Section("confirmed", title, Markup())
    if found.empty:
        text = (
            "Not yet. The accuracies above chose the designs, so the best ones are too high. fer-search confirm trains "
            f"the best again with several seeds and tests them once on images that no trial saw: fer-search confirm "
            f"{analysis.info.path}"
        )
        return Section("confirmed", title, note(text))
    body = table(HEADS, confirmed_lines(found), numbers=range(1, len(HEADS)))
    return Section("confirmed", title, join(*(note(text) for text in notes(analysis.info.path)), body))
