"""Hyperband's brackets: each trial's accuracy from rung to rung."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import BEST, MUTED, add_majority, hover, style, y_range
from fer_search.report.formatting import plural, rows
from fer_search.report.statistics.promotions import promotions

MAX_HOVER_TEXTS = 400  # dots of a rung with a hover text


def plot_promotions(
    trials: pd.DataFrame, bracket: int | None = None, majority: tuple[str, float] | None = None
) -> go.Figure:
    """Plot a bracket of Hyperband: a column of dots for each rung, and a line for each promotion.

    Args:
        trials: from ``load_trials``.
        bracket: its number; the one with the most rungs by default.
        majority: name and fraction of the most frequent class; drawn as a line.
    """
    table = promotions(trials)
    bracket = int(table["bracket"].max()) if bracket is None else bracket
    rungs = table[table["bracket"] == bracket]
    shown = trials[(trials["bracket"] == bracket).fillna(False) & trials["accuracy"].notna()]
    place = {rung: index for index, rung in enumerate(rungs["round"])}
    figure = style(go.Figure(), f"Bracket {bracket}", "", "validation accuracy", plural(len(shown), "training"))
    _add_lines(figure, shown, place)
    for promoted, colour in ((False, MUTED), (True, BEST)):
        dots = shown[shown["went_on_as"].notna() == promoted]
        figure.add_scatter(
            x=np.array([place[int(rung)] for rung in dots["round"]]),
            y=dots["accuracy"].round(5).to_numpy(float),
            customdata=dots["trial"].to_numpy(str),
            text=[hover(row) for _, row in dots.head(MAX_HOVER_TEXTS).iterrows()],
            meta={"role": "trainings"},
            mode="markers",
            marker={"color": colour, "size": 8, "opacity": 0.85},
            hovertemplate="%{text}<extra></extra>",
        )
    figure.update_yaxes(range=y_range(shown["accuracy"]))
    add_majority(figure, majority)
    ticks = [
        f"rung {row.round}<br>{plural(row.epochs, 'epoch')}<br>{row.promoted} of {row.trials} promoted"
        for row in rows(rungs)
    ]
    return figure.update_xaxes(tickvals=list(place.values()), ticktext=ticks, range=[-0.4, len(place) - 0.6])


def _add_lines(figure: go.Figure, shown: pd.DataFrame, place: dict[int, int]) -> None:
    ends = shown.set_index("trial")[["round", "accuracy"]]
    x: list[int | None] = []
    y: list[float | None] = []
    trials: list[str] = []
    for row in rows(shown[shown["parent"].notna()]):
        if row.parent in ends.index:
            start = ends.loc[row.parent]
            x += [place[int(start["round"])], place[int(row.round)], None]
            y += [round(float(start["accuracy"]), 5), round(float(row.accuracy), 5), None]
            trials += [row.parent, row.trial, row.trial]
    figure.add_scatter(
        x=np.array(x, float),
        y=np.array(y, float),
        customdata=np.array(trials, str),
        meta={"role": "flow"},
        mode="lines",
        line={"color": BEST, "width": 1},
        opacity=0.5,
        hoverinfo="skip",
    )
