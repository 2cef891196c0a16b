"""The best designs on test images."""

from __future__ import annotations

from fer_search.report.page.html import Section
from fer_search.report.page.markup import Markup, join
from fer_search.report.page.sections.table import note, table
from fer_search.report.tables.analysis import RunAnalysis
from fer_search.report.tables.confirmed import HEADS, confirmed_lines, notes


def section(analysis: RunAnalysis) -> Section:
    """Return the table of what ``fer-search confirm`` found; nothing where the run was not confirmed."""
    confirmed = analysis.confirmed
    if confirmed.empty:
        return Section("confirmed", "Test results", Markup())
    body = table(HEADS, confirmed_lines(confirmed), numbers=range(1, len(HEADS)))
    text = (note(line) for line in notes(analysis.info.path))
    return Section("confirmed", "Test results", join(*text, body), folded=True)
