"""Parallel coordinates: every design a line through its choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import BEST, GRID, MUTED, PAPER, TRIAL, style, text
from fer_search.report.formatting import label, short, value
from fer_search.report.statistics.budgets import level_of, on_scale
from fer_search.report.tables.trials import CHOICE
from fer_search.runfolder.choices import Choice

GOLDEN_RATIO = 0.6180339887
BANDS = (("best tenth", 0.1, BEST, 1.8), ("rest of the better half", 0.5, TRIAL, 1.1), ("lower half", 1.0, MUTED, 0.7))
MAX_LINES = 600  # drawn by default, the best ones


class _Axis(NamedTuple):
    name: str
    places: np.ndarray  # of each trial, from 0 to 1; NaN where the choice was not active
    ticks: list[tuple[float, str]]


def plot_parallel(trials: pd.DataFrame, choices: Sequence[Choice], max_lines: int | None = MAX_LINES) -> go.Figure:
    """Plot every design as a line through its choices to its accuracy; as SVG, because WebGL is often missing.

    The lines through one value are spread a little; numbers are on the space's scale. A line has no dot on an axis
    whose choice was not active. The colour is the rank.

    Args:
        trials: designs, best first.
        choices: the axes, from ``budgets.varied``.
        max_lines: maximum number of lines, the best ones; None for all.
    """
    shown = trials.head(max_lines) if max_lines else trials
    axes = [_axis(shown, choice) for choice in choices]
    figure = style(go.Figure(), "Every design through its choices", "", "", f"{len(shown)} designs; colour: rank")
    accuracy = shown["accuracy"].to_numpy(float)
    low, high = (float(accuracy.min()), float(accuracy.max())) if len(shown) else (0.0, 1.0)
    places = np.array([*(axis.places for axis in axes), (accuracy - low) / (high - low or 1.0)]).T
    rank = (np.arange(len(shown)) + 1) / max(len(shown), 1)
    for index, (name, end, colour, width) in reversed(list(enumerate(BANDS))):
        start = BANDS[index - 1][1] if index else 0.0
        inside = np.flatnonzero((rank > start) & (rank <= end))
        meta = {"role": "lines", "from": start, "to": end}
        _add_lines(figure, places[inside], shown["trial"].iloc[inside].tolist(), name, (colour, width), meta)
    for index, axis in enumerate([*axes, _Axis("accuracy", np.array([]), [(0, f"{low:.1%}"), (1, f"{high:.1%}")])]):
        _add_axis(figure, index, axis)
    figure.update_layout(dragmode="select", margin={"l": 30, "r": 40, "b": 20}, height=460)
    figure.update_yaxes(visible=False, range=[-0.14, 1.08], fixedrange=True)
    return figure.update_xaxes(visible=False, range=[-0.3, len(axes) + 0.3], fixedrange=True)


def _axis(trials: pd.DataFrame, choice: Choice) -> _Axis:
    values, places = level_of(trials, choice)
    if values:
        spread = 0.09 * ((np.arange(len(trials)) * GOLDEN_RATIO) % 1 - 0.5) * min(1, 6 / len(values))
        ends = max(len(values) - 1, 1)
        ticks = [(k / ends, value(one)) for k, one in enumerate(values)]
        return _Axis(choice.name, places / ends + spread, ticks)
    numbers, log = on_scale(trials[CHOICE + choice.name], choice)
    low, high = np.nanmin(numbers), np.nanmax(numbers)
    ticks = [(0.0, short(10**low if log else low)), (1.0, short(10**high if log else high))]
    return _Axis(choice.name, (numbers - low) / (high - low or 1.0), ticks)


def _add_lines(
    figure: go.Figure, places: np.ndarray, trials: list[str], name: str, look: tuple[str, float], meta: dict[str, Any]
) -> None:
    size = places.shape[1] if len(places) else 0
    gap = np.concatenate([places, np.full((len(places), 1), np.nan)], axis=1) if len(places) else places
    figure.add_scatter(
        x=np.tile([*range(size), np.nan], len(trials)),
        y=gap.ravel().round(4),
        customdata=np.repeat(np.array(trials, str), size + 1),
        meta=meta,
        mode="lines+markers",
        marker={"size": 3, "color": look[0]},
        line={"color": look[0], "width": look[1]},
        opacity=0.55,
        hoverinfo="none",
        name=name,
    )


def _add_axis(figure: go.Figure, index: int, axis: _Axis) -> None:
    figure.add_shape(
        type="line", x0=index, x1=index, y0=-0.04, y1=1.04, line={"color": GRID, "width": 2}, layer="below"
    )
    common = {"showarrow": False, "x": index, "font": {"size": 11}}
    figure.add_annotation(text=f"<b>{text(label(axis.name), 15)}</b>", y=-0.13, textangle=0, **common)
    for place, tick in axis.ticks:
        name = ("high" if place else "low") if axis.name == "accuracy" else None
        figure.add_annotation(
            text=text(tick, 12), y=place, bgcolor=PAPER, opacity=0.85, xshift=5, xanchor="left", name=name, **common
        )
