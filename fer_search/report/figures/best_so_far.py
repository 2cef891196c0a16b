"""Progress of the search: the best accuracy so far against trials, epochs or time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import (
    BEST,
    SEQUENCE,
    TRIAL,
    add_majority,
    add_references,
    hover,
    style,
    text,
)
from fer_search.report.formatting import plural

AXES = {"trials": "trials started", "epochs": "epochs trained", "hours": "hours of training"}
MAX_HOVER_TEXTS = 200  # dots with a hover text; the page's script writes its own


class _Info(NamedTuple):
    trial: list[str]
    x: list[float]
    accuracy: list[float]
    best: list[float]
    hover: list[str]
    failed: int


def plot_best_so_far(
    trials: pd.DataFrame,
    references: Mapping[str, float] | None = None,
    against: str = "epochs",
    majority: tuple[str, float] | None = None,
    labels: bool = True,
) -> go.Figure:
    """Plot every trial's accuracy in the order in which they were started, and the best so far as a line.

    Args:
        trials: from ``load_trials``; those without an accuracy are counted in the title.
        references: name -> accuracy published elsewhere, from 0 to 1; drawn as lines.
        against: "trials", "epochs" (trained by all trials together) or "hours" (of training).
        majority: name and fraction of the most frequent class; drawn as a line.
        labels: whether the references are named.
    """
    figure = _draw(_gather(trials, against), against)
    add_references(figure, references or {}, trials["accuracy"].astype(float), labels)
    add_majority(figure, majority)
    return figure


def plot_runs_so_far(runs: Mapping[str, pd.DataFrame], against: str = "trials") -> go.Figure:
    """Plot the best accuracy so far of several runs.

    Args:
        runs: name -> its table of ``load_trials``.
        against: as in ``plot_best_so_far``.
    """
    title = f"Best so far, against {AXES[against]}"
    figure = style(go.Figure(), title, AXES[against], "validation accuracy", plural(len(runs), "run"))
    for index, (name, trials) in enumerate(runs.items()):
        info = _gather(trials, against)
        dash = ("solid", "dash", "dot")[index // len(SEQUENCE) % 3]
        line = {"color": SEQUENCE[index % len(SEQUENCE)], "width": 2.5, "shape": "hv", "dash": dash}
        figure.add_scatter(x=info.x, y=info.best, mode="lines", line=line, name=text(name, 30))
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    return figure.update_layout(showlegend=True, legend=legend).update_xaxes(rangemode="tozero")


def _gather(trials: pd.DataFrame, against: str) -> _Info:
    ordered = trials.sort_values("order")
    ordered = ordered.assign(spent=_spent(ordered, against))
    scored = ordered[ordered["accuracy"].notna()]
    accuracy = scored["accuracy"].astype(float).round(5)
    texts = [hover(row) for _, row in scored.head(MAX_HOVER_TEXTS).iterrows()]
    failed = int((trials["status"] == "failed").sum())
    x = scored["spent"].astype(float).round(4).tolist()
    return _Info(scored["trial"].tolist(), x, accuracy.tolist(), accuracy.cummax().tolist(), texts, failed)


def _spent(ordered: pd.DataFrame, against: str) -> pd.Series:
    """Return what had been spent when each trial ended."""
    if against == "trials":
        return ordered["order"].astype(float)
    if against == "hours":
        return ordered["seconds"].fillna(0).astype(float).cumsum() / 3600
    before = ordered["parent"].map(ordered.set_index("trial")["epochs"]).fillna(0).astype(float)
    return (ordered["epochs"].fillna(0).astype(float) - before).cumsum()


def _draw(info: _Info, against: str) -> go.Figure:
    failed = f"; {info.failed} failed" if info.failed else ""
    figure = style(
        go.Figure(),
        f"Best so far, against {AXES[against]}",
        AXES[against],
        "validation accuracy",
        plural(len(info.x), "training") + failed,
    )
    figure.add_scatter(
        x=np.array(info.x),
        y=np.array(info.accuracy),
        customdata=np.array(info.trial, str),
        text=info.hover,
        meta={"role": "trainings"},
        mode="markers",
        marker={"color": TRIAL, "size": 8, "opacity": 0.65},
        hovertemplate="%{text}<extra></extra>",
    )
    figure.add_scatter(
        x=np.array(info.x),
        y=np.array(info.best),
        meta={"role": "best"},
        mode="lines",
        line={"color": BEST, "width": 2.5, "shape": "hv"},
        hovertemplate="best so far %{y:.1%}<extra></extra>",
    )
    last = max(info.x, default=1)
    if against != "trials":
        return figure.update_xaxes(range=[0, 1.02 * last])
    return figure.update_xaxes(tickformat="d", range=[0.5, last + 0.5], **({"dtick": 1} if last <= 12 else {}))
