"""Accuracy against one choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import BEST, TEXT, TRIAL, add_majority, hover, log_ticks, style, text, y_range
from fer_search.report.formatting import interval, label, percent, plural, short
from fer_search.report.statistics.budgets import Comparison, bins, level_of
from fer_search.report.statistics.inference import mean_interval
from fer_search.report.tables.trials import CHOICE
from fer_search.runfolder.choices import Choice

GOLDEN_RATIO = 0.6180339887  # its multiples modulo 1 are evenly spread: a deterministic jitter
MAX_DOTS = 400  # drawn; of more, evenly spaced ones by rank, while means and n are of all


class _Group(NamedTuple):
    """The designs with one value, or in one range: name, n, position on the axis, and mean with its 95% interval."""

    name: str
    n: int
    x: float
    mean: float
    low: float
    high: float


class _Info(NamedTuple):
    name: str
    trial: list[str]
    x: list[float]  # of the dots: the value, or the strip's place with its jitter
    accuracy: list[float]
    hover: list[str]
    best: int | None  # the dot of the best trial of all
    groups: list[_Group]
    strips: bool  # whether the groups are values side by side, or ranges on a scale
    log: bool
    compared: str  # what the dots are, as text


def plot_choice(
    compared: Comparison,
    choice: Choice,
    limits: Sequence[float] | None = None,
    majority: tuple[str, float] | None = None,
    max_dots: int | None = MAX_DOTS,
) -> go.Figure:
    """Plot accuracy against one choice, over the designs in which it was active.

    Few values: a jittered strip for each. Many numbers: a scatter plot, on a log axis where the space samples so, with
    up to five equally filled ranges as its trend. Each strip or range has its mean, the mean's 95% interval (Student's
    t, from three designs on) and its number of designs.

    Args:
        compared: designs at an equal budget, from ``budgets.at_epochs``; the title counts those left out.
        choice: the choice, from ``load_run(...).choices``; ``Choice(name)`` is enough.
        limits: of the accuracy axis; by default those of these designs.
        majority: name and fraction of the most frequent class, drawn as a line.
        max_dots: maximum number of dots, chosen evenly by rank; None draws all, without hover texts.

    Raises:
        KeyError: the table has no such choice.
    """
    if CHOICE + choice.name not in compared.trials:
        raise KeyError(f"no choice {choice.name!r} in the table of designs")
    figure = _draw(_gather(compared, choice, max_dots), limits)
    add_majority(figure, majority)
    return figure


def _gather(compared: Comparison, choice: Choice, max_dots: int | None) -> _Info:
    rows = compared.trials[compared.trials[CHOICE + choice.name].notna()]
    best = compared.trials["trial"].iloc[0] if len(compared.trials) else None
    strips = bool(level_of(rows, choice)[0]) or rows.empty
    names, places = bins(rows, choice)
    accuracy = rows["accuracy"].to_numpy(float)
    x = _strip_places(places) if strips else rows[CHOICE + choice.name].astype("Float64").to_numpy(float)
    groups = [_group(names[k], k if strips else x[places == k], accuracy[places == k]) for k in range(len(names))]
    drawn = np.arange(len(rows)) if max_dots is None else _thinned(len(rows), max_dots)
    trials = rows["trial"].iloc[drawn].tolist()
    texts = [] if max_dots is None else [hover(row) for _, row in rows.iloc[drawn].iterrows()]
    shown = [float(f"{value:.5g}") for value in x[drawn]]
    star = trials.index(best) if best in trials else None
    log = choice.log and not strips
    return _Info(
        *(choice.name, trials, shown, accuracy[drawn].round(5).tolist(), texts, star),
        *([group for group in groups if group.n], strips, log, _compared(compared, len(rows))),
    )


def _group(name: str, x: float | np.ndarray, accuracy: np.ndarray) -> _Group:
    if not len(accuracy):
        return _Group(name, 0, 0.0, *(float("nan"),) * 3)
    return _Group(name, len(accuracy), float(np.median(x)), *mean_interval(accuracy))


def _strip_places(places: np.ndarray) -> np.ndarray:
    """Spread the dots of each strip by their rank in it."""
    rank = pd.Series(places).groupby(places).cumcount().to_numpy()
    spread: np.ndarray = np.round(places + 0.44 * ((rank * GOLDEN_RATIO + 0.5) % 1 - 0.5), 4)
    return spread


def _thinned(count: int, max_dots: int) -> np.ndarray:
    """Return the indices of the ranked designs that are drawn: all, or evenly spaced ones including the first."""
    return np.unique(np.linspace(0, count - 1, min(count, max_dots)).astype(int)) if count else np.array([], int)


def _draw(info: _Info, limits: Sequence[float] | None) -> go.Figure:
    name = label(info.name)
    figure = style(go.Figure(), name[:1].upper() + name[1:], name, "validation accuracy", info.compared)
    figure.add_scatter(
        x=np.array(info.x),
        y=np.array(info.accuracy),
        customdata=np.array(info.trial, str),
        text=info.hover or None,
        meta={"role": "dots"},
        mode="markers",
        marker={"color": TRIAL, "size": 8, "opacity": 0.7},
        hovertemplate="%{text}<extra></extra>",
    )
    star = [] if info.best is None else [info.best]
    figure.add_scatter(
        x=[info.x[index] for index in star],
        y=[info.accuracy[index] for index in star],
        meta={"role": "star"},
        mode="markers",
        marker={"color": BEST, "size": 13, "symbol": "star"},
        hoverinfo="skip",
    )
    _add_means(figure, info)
    if info.strips:
        ticks = [f"{text(group.name, 18)}<br>n = {group.n}" for group in info.groups]
        place = {"tickvals": [group.x for group in info.groups], "ticktext": ticks}
        figure.update_xaxes(**place, range=[-0.55, max((g.x for g in info.groups), default=0) + 0.55], title_text=None)
    else:
        figure.update_xaxes(type="log" if info.log else "linear", showgrid=True)
        if info.log and min(info.x, default=0) > 0:
            round_ones = log_ticks(np.array(info.x))
            figure.update_xaxes(tickvals=round_ones, ticktext=[short(tick) for tick in round_ones])
        figure.update_xaxes(title_text=text(name + (" (log scale)" if info.log else "")))
    return figure.update_yaxes(range=list(limits or y_range(info.accuracy)))


def _compared(compared: Comparison, count: int) -> str:
    """Return what the dots are, as text."""
    budget = f" at {compared.at}" if compared.at else ""
    left = [f"{compared.shorter} shorter"] if compared.shorter else []
    left += [f"{compared.failed} failed"] if compared.failed else []
    return plural(count, "design") + budget + (f"; not drawn: {', '.join(left)}" if left else "")


def _add_means(figure: go.Figure, info: _Info) -> None:
    groups = info.groups
    texts = [
        f"<b>{text(group.name)}</b><br>mean of {plural(group.n, 'design')} {percent(group.mean)}"
        + (f"<br>95% interval {interval(group.low, group.high)}" if group.low == group.low else "")
        for group in groups
    ]
    half = [round(group.high - group.mean, 5) if group.high == group.high else 0.0 for group in groups]
    figure.add_scatter(
        x=[group.x + (0.33 if info.strips else 0) for group in groups],
        y=[round(group.mean, 5) for group in groups],
        error_y={"type": "data", "array": half, "color": TEXT, "thickness": 1.8, "width": 5},
        meta={"role": "means", "choice": info.name, "strips": info.strips},
        mode="markers" if info.strips else "lines+markers",
        line={"color": TEXT, "width": 1, "dash": "dot"},
        marker={"color": TEXT, "size": 10, "symbol": "diamond"},
        text=texts,
        hovertemplate="%{text}<extra></extra>",
    )
