"""Accuracy against what a network costs, with the Pareto front."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from fer_search.report import formatting
from fer_search.report.figures.theme import BEST, TRIAL, hover, log_ticks, style
from fer_search.report.statistics.pareto import front

COSTS = {  # column -> its name with its unit
    "parameters": "parameters",
    "flops": "FLOP an image",
    "seconds_per_epoch": "seconds an epoch",
}


def with_costs(trials: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Return the table of trials with the column ``seconds_per_epoch``: the median over the epochs of its own."""
    own = curves[~curves["inherited"].astype(bool)]
    seconds = own.groupby("trial")["seconds"].median()
    return trials.assign(seconds_per_epoch=trials["trial"].astype(object).map(seconds).astype(float))


def plot_cost(trials: pd.DataFrame, cost: str = "parameters") -> go.Figure:
    """Plot accuracy against a cost on a log axis; the line joins the trials that no other beats in both.

    Args:
        trials: those to compare, best first, from ``compare.at_epochs``; with ``with_costs`` for seconds an epoch.
        cost: a key of ``COSTS``.

    Raises:
        KeyError: the table has no such column.
    """
    known = trials[trials[cost].notna() & (trials[cost] > 0) & trials["accuracy"].notna()]
    x, y = known[cost].to_numpy(float), known["accuracy"].to_numpy(float)
    at = front(x, y)
    name = COSTS.get(cost, cost)
    title = f"Accuracy against {name}"
    figure = style(
        go.Figure(), title, f"{name} (log scale)", "validation accuracy", formatting.plural(len(known), "trial")
    )
    figure.add_scatter(
        x=x,
        y=y.round(5),
        customdata=known["trial"].to_numpy(str),
        text=[hover(row) for _, row in known.head(200).iterrows()],
        meta={"role": "dots"},
        mode="markers",
        marker={"color": TRIAL, "size": 8, "opacity": 0.7},
        hovertemplate="%{text}<extra></extra>",
    )
    figure.add_scatter(
        x=x[at],
        y=y[at].round(5),
        meta={"role": "front"},
        mode="lines+markers",
        line={"color": BEST, "width": 2, "shape": "hv"},
        marker={"size": 5},
        hoverinfo="skip",
    )
    ticks = log_ticks(x)
    return figure.update_xaxes(type="log", showgrid=True, tickvals=ticks, ticktext=[formatting.count(t) for t in ticks])
