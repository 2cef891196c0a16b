"""How the search got on: the best accuracy so far against trials."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import BLUE, GREY, add_references, style
from fer_search.report.words import design, title


class _Info(NamedTuple):
    trial: list[int]
    accuracy: list[float]
    best: list[float]
    text: list[str]


def plot_best_so_far(trials: pd.DataFrame, references: dict[str, float] | None = None) -> go.Figure:
    """Plot every trial's accuracy in the order of the trials, and the best so far as a line.

    Args:
        trials: from ``load_trials``.
        references: published accuracies, drawn as lines.
    """
    return _draw(_gather(trials), references or {})


def _gather(trials: pd.DataFrame) -> _Info:
    scored = trials[trials["accuracy"].notna()].sort_values("trial")
    accuracy = scored["accuracy"].astype(float)
    text = [f"{escape(title(row))}<br>{escape(design(row))}" for _, row in scored.iterrows()]
    return _Info(scored["trial"].tolist(), accuracy.tolist(), accuracy.cummax().tolist(), text)


def _draw(info: _Info, references: dict[str, float]) -> go.Figure:
    figure = go.Figure()
    marker = {"color": GREY, "size": 8, "opacity": 0.7}
    hover = "%{y:.1%}, %{text}<extra></extra>"
    figure.add_scatter(x=info.trial, y=info.accuracy, text=info.text, mode="markers", marker=marker, hovertemplate=hover)
    line = {"color": BLUE, "width": 3, "shape": "hv"}
    figure.add_scatter(x=info.trial, y=info.best, mode="lines", line=line, hovertemplate="best so far %{y:.1%}<extra></extra>")
    style(figure, "", "trial", "validation accuracy", height=360)
    add_references(figure, references, info.accuracy)
    figure.update_xaxes(tickformat="d", **({"dtick": 1} if len(info.trial) <= 15 else {}))
    return figure.update_layout(title_text=None, margin_t=16)
