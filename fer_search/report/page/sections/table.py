"""Small tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fer_search.report.page.markup import Child, Markup, tag


def table(heads: Sequence[str], rows: Iterable[Sequence[Child]], numbers: Sequence[int] = ()) -> Markup:
    """Return a table that scrolls sideways where it is too wide.

    Args:
        heads: headings of the columns.
        rows: cells; the first one is the row's heading.
        numbers: indices of the columns that hold numbers.
    """

    def kind(index: int) -> str | None:
        return "n" if index in numbers else None

    head = tag("tr", *(tag("th", name, scope="col", class_=kind(index)) for index, name in enumerate(heads)))
    body = (
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(tag("td", cell, class_=kind(i)) for i, cell in enumerate(row[1:], 1)),
        )
        for row in rows
    )
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="scroll")


def note(*text: Child) -> Markup:
    """Return an explanation in small print."""
    return tag("p", *text, class_="note")


def folded(summary: str, *content: Child, key: str | None = None) -> Markup:
    """Return content that opens on demand.

    Args:
        summary: shown while it is closed.
        content: shown when it is open.
        key: identifies it when a live page changes, where the words of the summary may change.
    """
    return tag("details", tag("summary", summary), *content, data_key=key)
