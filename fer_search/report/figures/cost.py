"""Accuracy against the cost of a network, with the Pareto front."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from fer_search.report import formatting
from fer_search.report.figures.theme import BEST, TRIAL, add_majority, hover, log_ticks, style, y_range
from fer_search.report.statistics.pareto import front

COSTS = {  # column -> name with unit
    "parameters": "parameters",
    "flops": "FLOPs per image",
    "seconds_per_epoch": "seconds per epoch",
}


def with_costs(trials: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Return the table with a column ``seconds_per_epoch``, the median over the epochs of the design."""
    seconds = curves.groupby("trial")["seconds"].median()
    return trials.assign(seconds_per_epoch=trials["trial"].astype(object).map(seconds).astype(float))


def plot_cost(trials: pd.DataFrame, cost: str = "parameters", majority: tuple[str, float] | None = None) -> go.Figure:
    """Plot accuracy against a cost on a log axis; the line is the Pareto front.

    Args:
        trials: designs, best first; from ``with_costs`` for seconds per epoch.
        cost: a key of ``COSTS``.
        majority: name and fraction of the most frequent class; drawn as a line.

    Raises:
        KeyError: the table has no such column.
    """
    known = trials[trials[cost].notna() & (trials[cost] > 0) & trials["accuracy"].notna()]
    x, y = known[cost].to_numpy(float), known["accuracy"].to_numpy(float)
    on_front = front(x, y)
    name = COSTS.get(cost, cost)
    title = f"Accuracy against {name}"
    figure = style(
        go.Figure(), title, f"{name} (log scale)", "validation accuracy", formatting.plural(len(known), "design")
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
        x=x[on_front],
        y=y[on_front].round(5),
        meta={"role": "front"},
        mode="lines+markers",
        line={"color": BEST, "width": 2, "shape": "hv"},
        marker={"size": 5},
        hoverinfo="skip",
    )
    figure.update_yaxes(range=y_range(y))
    add_majority(figure, majority)
    ticks = log_ticks(x)
    return figure.update_xaxes(type="log", showgrid=True, tickvals=ticks, ticktext=[formatting.count(t) for t in ticks])
