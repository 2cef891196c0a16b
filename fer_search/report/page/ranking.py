"""The ranked table of designs."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fer_search.report import formatting
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.tables.analysis import RunAnalysis
from fer_search.report.tables.trials import CHOICE

MAX_ROWS = 300  # in the page itself; its script adds the others
MAX_SHOWN_CHOICES = 5  # with more, the columns of the choices are hidden at first
CHOICE_GROUP = "choice"


class Column(NamedTuple):
    """A column of the ranking.

    Attributes:
        name: of the column in the table of designs.
        heading: shown to the reader.
        kind: class of its cells: "n" for numbers, "head" for the row's heading.
        cells: markup of every design's cell.
        values: values to sort by.
        group: "choice" for the columns that a reader may show or hide.
    """

    name: str
    heading: str
    kind: str
    cells: list[Markup]
    values: pd.Series
    group: str = ""


def columns(analysis: RunAnalysis) -> list[Column]:
    """Return the columns of the ranking, with the cells of all designs."""
    info, designs = analysis.info, analysis.designs
    rank = pd.Series(np.arange(1, len(designs) + 1), dtype="Int64").where(designs["status"] == "completed")
    titles = [Markup(tag("button", formatting.trial(row), type="button")) for row in _records(designs, "trial", "name")]
    shown = [_column("rank", "rank", "n", rank, formatting.value)]
    shown.append(Column("order", "trial", "head", titles, designs["order"]))
    if designs["accuracy"].notna().any():
        shown.append(Column("accuracy", "validation accuracy", "accuracy", _accuracies(analysis), designs["accuracy"]))
    else:
        shown.append(_column("score", "score", "n", designs["score"], formatting.value))
    metrics = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1"}
    metrics |= {"clean_accuracy": "clean accuracy"} if info.protocol == "report" else {}
    for name, heading in metrics.items():
        if designs[name].notna().any():
            shown.append(_column(name, heading, "n", designs[name], formatting.percent))
    if (designs["seeds"] > 1).any():
        shown.append(_column("seeds", "seeds", "n", designs["seeds"], formatting.value))
    shown.append(_column("epochs", "epochs", "n", designs["epochs"], formatting.value))
    for choice in analysis.varied:
        name = CHOICE + choice.name
        kind = "n" if _numeric(designs[name]) else ""
        column = _column(name, formatting.label(choice.name), kind, designs[name], _choice)
        shown.append(column._replace(group=CHOICE_GROUP))
    costs: list[tuple[str, str, Callable[[Any], str]]] = [("parameters", "parameters", formatting.count)]
    costs += [("flops", "GFLOPs", formatting.gigaflops), ("seconds", "time", formatting.duration)]
    shown += [
        _column(name, head, "n", designs[name], show) for name, head, show in costs if designs[name].notna().any()
    ]
    return [*shown, *_remarks(analysis)]


def ranking(analysis: RunAnalysis, shown: list[Column]) -> Markup:
    """Return the ranked table; empty markup where there is no design.

    Args:
        analysis: the run.
        shown: from ``columns``.
    """
    if analysis.designs.empty:
        return Markup()
    heads = (tag("th", c.heading, scope="col", class_=_classes("n" if c.kind == "n" else "", c.group)) for c in shown)
    rows = [_row(index, kind, shown) for index, kind in enumerate(kinds(analysis.designs.head(MAX_ROWS)))]
    many = sum(column.group == CHOICE_GROUP for column in shown) > MAX_SHOWN_CHOICES
    table = tag(
        "table",
        tag("thead", tag("tr", *heads)),
        tag("tbody", *rows),
        id="trials",
        class_="ranking narrow" if many else "ranking",
    )
    region = tag("div", table, class_="scroll tall", tabindex=0, role="region", aria_label="Ranking of the designs")
    return join(region, tag("p", _caption(analysis), class_="note"))


def kinds(designs: pd.DataFrame) -> list[str]:
    """Return the class of each row: its status, or "equal" where it is not significantly different from the best."""
    return designs["status"].where(~designs["indistinguishable_from_best"], "equal").tolist()


def _row(index: int, kind: str, shown: list[Column]) -> Markup:
    cells = (
        tag("th", c.cells[index], scope="row")
        if c.kind == "head"
        else tag("td", c.cells[index], class_=_classes(c.kind, c.group))
        for c in shown
    )
    return tag("tr", *cells, class_=kind)


def _classes(*names: str) -> str | None:
    return " ".join(filter(None, names)) or None


def _column(name: str, heading: str, kind: str, values: pd.Series, show: Callable[[Any], str]) -> Column:
    known: dict[tuple[type, str], Markup] = {}  # most columns have few different values
    cells = []
    for value in values.tolist():
        key = (type(value), str(value))
        if key not in known:
            known[key] = join(show(value))
        cells.append(known[key])
    return Column(name, heading, kind, cells, values)


def _records(designs: pd.DataFrame, *names: str) -> list[dict[Hashable, Any]]:
    return designs[list(names)].to_dict("records")


def _numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _choice(value: object) -> Markup | str:
    text = formatting.value(value)
    return tag("span", text, title="not active in this design") if text == formatting.DASH else text


def _accuracies(analysis: RunAnalysis) -> list[Markup]:
    """Return each accuracy, its interval, and a bar that shows both on the scale of the whole table."""
    designs = analysis.designs
    low, high = designs["low"].fillna(designs["accuracy"]), designs["high"].fillna(designs["accuracy"])
    start, length = low.min(), max(high.max() - low.min(), 1e-9)
    positions = [((limit - start) / length * 100).tolist() for limit in (low, high, designs["accuracy"])]
    weak = analysis.no_better_than_majority
    records = _records(designs, "accuracy", "low", "high", "indistinguishable_from_best")
    name = analysis.majority.name if analysis.majority else ""
    return [
        _accuracy(row, tuple(column[index] for column in positions), name if weak[index] else "")
        for index, row in enumerate(records)
    ]


def _accuracy(row: dict[Hashable, Any], positions: tuple[float, ...], majority: str) -> Markup:
    if pd.isna(row["accuracy"]):
        return Markup(formatting.DASH)
    number = Markup(f"<b>{formatting.percent(row['accuracy'])}</b>")
    if pd.isna(row["low"]):
        return number
    left, right, middle = positions
    equal = row["indistinguishable_from_best"]
    mark = Markup(' <span class="mark" title="not significantly different from the best">≈</span>' if equal else "")
    chance = (
        tag("span", "chance", class_="chance", title=f"no better than always predicting {majority}")
        if majority
        else None
    )
    style = f"--low:{left:.1f}%;--high:{right:.1f}%;--mid:{middle:.1f}%"
    bar = Markup(f'<span class="bar" style="{style}" aria-hidden="true"></span>')
    interval = Markup(f' <span class="ends">({formatting.interval(row["low"], row["high"])})</span>')
    return join(number, interval, mark, " " if chance else None, chance, bar)


def _remarks(analysis: RunAnalysis) -> list[Column]:
    """Return the column of failures, running designs, notes and tags; none where there is nothing to say."""
    designs = analysis.designs
    cells = [_remark(row, analysis) for row in _records(designs, "status", "message", "trials")]
    return [Column("status", "remarks", "status", cells, designs["status"])] if any(cells) else []


def _remark(row: dict[Hashable, Any], analysis: RunAnalysis) -> Markup:
    parts: list[str | None] = []
    if row["status"] == "failed":
        parts += [tag("b", "failed"), f": {formatting.reason(row['message'])}"]
    elif row["status"] == "running":
        parts.append(analysis.outcome(row["status"], row["trials"]))
    for trial in row["trials"]:
        if note := analysis.notes.get(trial):
            parts += [tag("span", one, class_="tag") for one in note.tags]
            parts += [tag("span", text, class_="user-note") for text in note.texts]
    return join(*parts)


def _caption(analysis: RunAnalysis) -> str:
    designs, trials = analysis.counts
    count = f"{formatting.plural(designs, 'design')}, {formatting.plural(trials, 'trial')}. "
    if not analysis.designs["accuracy"].notna().any():
        return f"{count}Ranked by the tuner's own score."
    repeated = bool((analysis.designs["seeds"] > 1).any())
    text = f"{count}Accuracy of the best epoch{', averaged over the seeds' if repeated else ''}"
    if analysis.info.validation:
        interval = "95% interval over images and seeds" if repeated else "95% Wilson interval"
        text += f", {interval}. ≈: not significantly different from the best (95%, Bonferroni)"
    if analysis.no_better_than_majority.any() and analysis.majority:
        text += f"; chance: no better than always predicting {analysis.majority.name}"
    return text + "."
