"""Accuracy against one choice."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import BLUE, ORANGE, style
from fer_search.report.load import CHOICE
from fer_search.report.statistics import mean_interval
from fer_search.report.words import design, label, title, value

GOLDEN = 0.6180339887  # multiples of it spread evenly: a jitter that is the same in every drawing


class _Level(NamedTuple):
    """The trials that have one value of the choice."""

    value: str
    accuracy: list[float]
    hover: list[str]
    mean: float
    low: float
    high: float


class _Info(NamedTuple):
    name: str
    levels: list[_Level]
    x: list[float]  # the values as numbers, for a choice that is drawn on a scale; else empty
    log: bool
    without: int  # trials that were active but have no accuracy


def plot_choice(trials: pd.DataFrame, choice: str, config: dict | None = None, compared: str = "") -> go.Figure:
    """Plot accuracy against one choice, over the trials in which it was active.

    Few values: a jittered strip for each, with its mean, the mean's 95% interval and the number of trials. Many numbers:
    a scatter, on a log axis where the space is log.

    Args:
        trials: from ``load_trials``.
        choice: the choice's name.
        config: Keras Tuner's configuration of it, from ``load_run(...).choices``.
        compared: what accuracies are compared, for the axis; "" for the best epoch's.

    Raises:
        KeyError: the table has no such choice.
    """
    return _draw(_gather(trials, choice, config or {}), compared or "validation accuracy")


def _gather(trials: pd.DataFrame, choice: str, config: dict) -> _Info:
    column = CHOICE + choice
    active = trials[trials[column].notna()]
    scored = active[active["accuracy"].notna()]
    order = sorted(scored[column].unique(), key=lambda v: (isinstance(v, str), v))
    levels = []
    for one in order:
        rows = scored[scored[column] == one]
        hover = [f"{escape(title(row))}: {100 * row['accuracy']:.1f}%<br>{_wrapped(design(row))}" for _, row in rows.iterrows()]
        accuracies = rows["accuracy"].astype(float).tolist()
        levels.append(_Level(value(one), accuracies, hover, *mean_interval(np.array(accuracies))))
    numbers = len(order) > 6 and not any(isinstance(v, (str, bool)) for v in order)
    x = [float(v) for v in order] if numbers else []
    return _Info(choice, levels, x, config.get("sampling") in ("log", "reverse_log"), len(active) - len(scored))


def _draw(info: _Info, compared: str) -> go.Figure:
    figure = go.Figure()
    for k, level in enumerate(info.levels):
        at = np.arange(len(level.accuracy))
        x = np.full(len(at), info.x[k]) if info.x else k + 0.5 * ((at * GOLDEN) % 1 - 0.5)
        marker = {"color": BLUE, "size": 8, "opacity": 0.7, "line": {"width": 0}}
        points = {"x": x.tolist(), "y": level.accuracy, "text": level.hover, "hovertemplate": "%{text}<extra></extra>"}
        figure.add_scatter(mode="markers", marker=marker, **points)
        if not info.x:
            _add_mean(figure, k, level)
    note = f" ({info.without} without a result left out)" if info.without else ""
    style(figure, escape(label(info.name)) + note, escape(label(info.name)), compared, height=340)
    figure.update_layout(title_text=None, margin_t=16)
    accuracies = [a for level in info.levels for a in level.accuracy]
    if accuracies:
        room = max(0.15 * (max(accuracies) - min(accuracies)), 0.005)
        figure.update_yaxes(range=[max(0.0, min(accuracies) - room), min(1.0, max(accuracies) + room)])
    if info.x:
        figure.update_xaxes(type="log" if info.log else "linear")
    else:
        ticks = [f"{escape(level.value)}<br>n = {len(level.accuracy)}" for level in info.levels]
        figure.update_xaxes(tickvals=list(range(len(ticks))), ticktext=ticks, range=[-0.6, len(ticks) - 0.4])
    return figure


def _add_mean(figure: go.Figure, k: int, level: _Level) -> None:
    hover = f"{escape(level.value)}: mean {100 * level.mean:.1f}%"
    error = None
    if len(level.accuracy) >= 3:  # two points make an interval as wide as the plot
        hover += f", 95% interval {100 * level.low:.1f} to {100 * level.high:.1f}"
        error = {"type": "data", "array": [level.high - level.mean], "color": ORANGE, "thickness": 2, "width": 8}
    marker = {"color": ORANGE, "size": 14, "symbol": "line-ew", "line": {"width": 3, "color": ORANGE}}
    figure.add_scatter(
        x=[k], y=[level.mean], error_y=error, mode="markers", marker=marker, text=[hover], hovertemplate="%{text}<extra></extra>"
    )


def _wrapped(text: str, width: int = 60) -> str:
    lines, line = [], ""
    for part in text.split(", "):
        if line and len(line) + len(part) > width:
            lines.append(line)
            line = part
        else:
            line = f"{line}, {part}" if line else part
    return "<br>".join(escape(one) for one in [*lines, line])
