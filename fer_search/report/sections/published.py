"""The space's baselines and references beside what was measured here."""

from __future__ import annotations

import pandas as pd

from fer_search.report import words
from fer_search.report.frame import Section
from fer_search.report.markup import Markup, join
from fer_search.report.published import PublishedRow, difference_interval, not_alike, published_rows
from fer_search.report.sections.table import note, table
from fer_search.report.view import View


def section(view: View) -> Section:
    """Each baseline and reference: published, ours, the difference with its interval, and what is not alike."""
    title, rows = "The published table, again", published_rows(view.info, view.trials)
    if not rows:
        return Section("published", title, Markup())
    ways = not_alike(view.info)
    text = (
        f"Not like for like: here, {ways}." if ways else "The same protocol, width and images as the course report's."
    )
    heads = (
        "baseline or reference",
        "published",
        "here (95% interval)",
        "difference, points (95% interval)",
        "epochs here",
    )
    body = table(heads, [_row(view, row) for row in rows], numbers=range(1, 5))
    return Section("published", title, join(note(text), body))


def _row(view: View, row: PublishedRow) -> tuple[str, str, str, str, str]:
    here = epochs = words.NONE
    if row.trial is not None:
        here = row.trial["status"] if pd.isna(row.trial["accuracy"]) else words.with_interval(row.trial)
        epochs = words.value(row.trial["epochs"])
    difference = words.NONE
    if not view.info.toy and row.difference is not None:
        low, high = difference_interval(view.info, row)
        ends = f" ({words.points(low)} to {words.points(high)})" if low == low else ""
        difference = words.points(row.difference) + ends
    published = words.NONE if row.published is None else words.percent(row.published)
    return row.name, published, here, difference, epochs
