"""The filter bar: a form whose state the page's script keeps in the URL's hash."""

from __future__ import annotations

from typing import Any

from fer_search.report import formatting
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.page.page_data import budget_name
from fer_search.report.tables.analysis import RunAnalysis
from fer_search.report.tables.outcomes import WITHOUT_END

TOP = {"100": "all", "50": "best half", "25": "best quarter", "10": "best tenth", "5": "best twentieth"}


def filter_bar(analysis: RunAnalysis, table: dict[str, Any]) -> Markup | None:
    """Return the filter bar; None where there is nothing to choose from.

    Args:
        analysis: the run.
        table: from ``page_data.page_table``.
    """
    designs, choices = analysis.designs, table["choices"]
    if designs.empty:
        return None
    words = set(analysis.outcomes.values())
    without_end = ", ".join(word for word in WITHOUT_END if word in words)
    names = {"completed": "completed", "running": without_end, "failed": "failed"}
    statuses = {status: name for status, name in names.items() if (designs["status"] == status).any()}
    tags = sorted({tag for tags in table["tags"] for tag in tags})
    known = [budget for budget in analysis.budgets if budget]
    named = (formatting.budget(budget, analysis.equal_time).removeprefix("the ") for budget in known)
    budgets = dict(zip(map(budget_name, known), named, strict=True))
    controls = [
        select("Compared at", "b", budgets | {"any": "any epochs"}, budget_name(analysis.budget)),
        select("Designs", "top", TOP, "100"),
        select("Status", "s", {"": "any", **statuses}, "") if len(statuses) > 1 else None,
        select("Tag", "tag", {"": "any", **{name: name for name in tags}}, "") if tags else None,
        select("Colour", "colour", {"": "one", **{str(k): choice["label"] for k, choice in enumerate(choices)}}, ""),
        _choices(choices) if choices else None,
        tag("button", "Reset", type="reset"),
        tag("output", formatting.plural(len(designs), "design"), id="count"),
        tag("input", type="hidden", name="t"),
        tag("input", type="hidden", name="sort"),
    ]
    legend = tag("p", id="legend", class_="legend")
    form = tag("form", *controls, legend, id="filters", aria_label="Filter", hidden=True)
    return tag("div", form, class_="bar-of-filters")


def select(label: str, name: str, options: dict[str, str], chosen: str, form: str | None = None) -> Markup:
    """Return a labelled drop-down list.

    Args:
        label: text before it.
        name: of the control.
        options: value -> text.
        chosen: the value that is selected at first.
        form: id of the form that it belongs to, where it stands outside of it.
    """
    items = (tag("option", text, value=value, selected=value == chosen) for value, text in options.items())
    return tag("label", label, " ", tag("select", *items, name=name, form=form))


def _choices(choices: list[dict[str, Any]]) -> Markup:
    groups = []
    for index, choice in enumerate(choices):
        boxes = (
            tag("label", tag("input", type="checkbox", name=f"c{index}", value=place), " ", group)
            for place, group in enumerate(choice["groups"])
        )
        groups.append(tag("fieldset", tag("legend", choice["label"]), *boxes))
    note = tag("p", "Nothing ticked: all values.", class_="note")
    return tag("details", tag("summary", "Choices"), tag("div", note, join(*groups), class_="boxes"), class_="pick")
