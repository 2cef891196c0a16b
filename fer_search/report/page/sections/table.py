"""Small tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fer_search.report.page.markup import Child, Markup, tag


def table(heads: Sequence[str], rows: Iterable[Sequence[Child]], numbers: Sequence[int] = ()) -> Markup:
    """Return a table that scrolls sideways where it must.

    Args:
        heads: of the columns.
        rows: cells; the first one is the row's heading.
        numbers: columns that hold numbers.
    """

    def kind(at: int) -> str | None:
        return "n" if at in numbers else None

    head = tag("tr", *(tag("th", name, scope="col", class_=kind(at)) for at, name in enumerate(heads)))
    body = (
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", c, class_=kind(at)) for at, c in enumerate(row[1:], 1)))
        for row in rows
    )
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="scroll")


def note(*text: Child) -> Markup:
    """Return an explanation in small print."""
    return tag("p", *text, class_="note")


def folded(summary: str, *content: Child) -> Markup:
    """Return content that opens on demand."""
    return tag("details", tag("summary", summary), *content)
