"""The ranked table of trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from fer_search.report import formatting
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.tables.trials import CHOICE
from fer_search.runfolder.run_json import RunInfo

MOST_ROWS = 300  # in the page itself; its script brings the others


class Column(NamedTuple):
    """A column of the ranking.

    Attributes:
        name: of the table's column.
        heading: in words.
        kind: class of its cells: "n" for numbers, "head" for the row's heading.
        cells: markup of every trial's cell.
        values: what it is sorted by.
    """

    name: str
    heading: str
    kind: str
    cells: list[Markup]
    values: pd.Series


def columns(info: RunInfo, trials: pd.DataFrame) -> list[Column]:
    """Return the columns of the ranking, with the cells of all trials.

    Args:
        info: from ``load_run``.
        trials: from ``load_trials``.
    """
    place = pd.Series(np.arange(1, len(trials) + 1), dtype="Int64").where(trials["status"] == "completed")
    found = [_column("rank", "rank", "n", place, _words)]
    titles = [Markup(tag("button", formatting.trial(row), type="button")) for row in _records(trials, "trial", "name")]
    found.append(Column("order", "trial", "head", titles, trials["order"]))
    if trials["accuracy"].notna().any():
        cells = _accuracies(trials)
        found.append(Column("accuracy", "validation accuracy", "accuracy", cells, trials["accuracy"]))
    else:
        found.append(_column("score", "score", "n", trials["score"], _words))
    if info.protocol == "report":
        found.append(_column("clean_accuracy", "clean accuracy", "n", trials["clean_accuracy"], formatting.percent))
    found.append(_column("epochs", "epochs", "n", trials["epochs"], _words))
    fixed = {CHOICE + choice.name for choice in info.choices if choice.kind == "Fixed"}
    for name in (c for c in trials.columns if c.startswith(CHOICE) and c not in fixed):
        found.append(
            _column(name, formatting.label(name), "n" if _numeric(trials[name]) else "", trials[name], _choice)
        )
    if trials["bracket"].notna().any():
        found.append(_column("bracket", "bracket", "n", trials["bracket"], _words))
        found.append(_column("round", "rung", "n", trials["round"], _words))
    costs: list[tuple[str, str, Callable]] = [("parameters", "parameters", formatting.count)]
    costs += [("flops", "GFLOP", formatting.gigaflops), ("seconds", "time", formatting.duration)]
    found += [_column(name, head, "n", trials[name], say) for name, head, say in costs if trials[name].notna().any()]
    rows = _records(trials, "status", "message", "went_on_as")
    return [*found, Column("status", "status", "status", [_status(row) for row in rows], trials["status"])]


def ranking(info: RunInfo, trials: pd.DataFrame, shown: list[Column]) -> Markup:
    """Return the ranked table; empty markup where there is no trial.

    Args:
        info: from ``load_run``.
        trials: from ``load_trials``.
        shown: from ``columns``.
    """
    if trials.empty:
        return Markup()
    heads = (tag("th", c.heading, scope="col", class_="n" if c.kind == "n" else None) for c in shown)
    rows = [_row(at, kind, shown) for at, kind in enumerate(kinds(trials.head(MOST_ROWS)))]
    table = tag(
        "table",
        tag("caption", _caption(info, trials)),
        tag("thead", tag("tr", *heads)),
        tag("tbody", *rows),
        id="trials",
        class_="ranking",
    )
    return tag("div", table, class_="scroll tall", tabindex=0, role="region", aria_label="Ranking of the trials")


def kinds(trials: pd.DataFrame) -> list[str]:
    """Return the class of each trial's row: its status, or "equal" where it cannot be told apart from the best."""
    return trials["status"].where(~trials["indistinguishable_from_best"], "equal").tolist()


def _row(at: int, kind: str, shown: list[Column]) -> Markup:
    cells = (
        tag("th", c.cells[at], scope="row") if c.kind == "head" else tag("td", c.cells[at], class_=c.kind or None)
        for c in shown
    )
    return tag("tr", *cells, class_=kind)


def _column(name: str, heading: str, kind: str, values: pd.Series, say: Callable) -> Column:
    said: dict = {}  # most columns have few different values
    cells = []
    for value in values.tolist():
        key = (type(value), str(value))
        if key not in said:
            said[key] = join(say(value))
        cells.append(said[key])
    return Column(name, heading, kind, cells, values)


def _records(trials: pd.DataFrame, *names: str) -> list[dict]:
    return trials[list(names)].to_dict("records")


def _numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _words(value: object) -> str:
    return formatting.value(value)


def _choice(value: object) -> Markup | str:
    text = formatting.value(value)
    return tag("span", text, title="not active in this trial") if text == formatting.NONE else text


def _accuracies(trials: pd.DataFrame) -> list[Markup]:
    """Each accuracy, its interval, and a bar that shows both on the scale of the whole table."""
    low, high = trials["low"].fillna(trials["accuracy"]), trials["high"].fillna(trials["accuracy"])
    start, length = low.min(), max(high.max() - low.min(), 1e-9)
    ends = ((end - start) / length * 100 for end in (low, high, trials["accuracy"]))
    rows = zip(
        trials["accuracy"], trials["low"], trials["high"], trials["indistinguishable_from_best"], *ends, strict=True
    )
    return [_accuracy(*row) for row in rows]


def _accuracy(accuracy: float, low: float, high: float, equal: bool, left: float, right: float, mid: float) -> Markup:
    if pd.isna(accuracy):
        return Markup(formatting.NONE)
    number = Markup(f"<b>{formatting.percent(accuracy)}</b>")
    if pd.isna(low):
        return number
    mark = Markup(' <span class="mark" title="not to be told apart from the best">≈</span>' if equal else "")
    bar = f'<span class="bar" style="--low:{left:.1f}%;--high:{right:.1f}%;--mid:{mid:.1f}%" aria-hidden="true"></span>'
    return join(number, Markup(f' <span class="ends">({formatting.interval(low, high)})</span>'), mark, Markup(bar))


def _status(row: dict) -> Markup:
    if row["status"] == "failed":
        return join(tag("b", "failed"), f": {formatting.reason(row['message'])}")
    went_on = f", went on as {int(row['went_on_as'])}" if str(row["went_on_as"]).isdigit() else ""
    return join(row["status"], ", so far" if row["status"] == "running" else went_on)


def _caption(info: RunInfo, trials: pd.DataFrame) -> Markup:
    if not trials["accuracy"].notna().any():
        return join("By the tuner's own score, the best first.")
    parts = ["Accuracy of the best epoch over the validation images"]
    if info.validation:
        parts.append(
            f", with its 95% interval (Wilson's, {info.validation:,} images). "
            "≈ marks trials that cannot be told apart from the best at 95%: two-proportion tests with Bonferroni's "
            "correction, conservative because all trials see the same images"
        )
    left = len(trials) - MOST_ROWS
    rest = f" Without JavaScript, the first {MOST_ROWS:,} of {len(trials):,} alone." if left > 0 else ""
    return join("".join(parts) + "." + rest)
