"""Hyperband's brackets: each trial's accuracy from rung to rung."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import BEST, MUTED, hover, style
from fer_search.report.formatting import plural, rows
from fer_search.report.statistics.promotions import promotions

MOST = 400  # dots of a rung


def plot_promotions(trials: pd.DataFrame, bracket: int | None = None) -> go.Figure:
    """Plot a bracket of Hyperband: a column of dots a rung, and a line from each promoted trial to where it went.

    Args:
        trials: from ``load_trials``.
        bracket: which; the one with the most rungs by default.
    """
    table = promotions(trials)
    bracket = int(table["bracket"].max()) if bracket is None else bracket
    rungs = table[table["bracket"] == bracket]
    shown = trials[(trials["bracket"] == bracket).fillna(False) & trials["accuracy"].notna()]
    place = {rung: at for at, rung in enumerate(rungs["round"])}
    figure = style(go.Figure(), f"Bracket {bracket}", "", "validation accuracy", f"{len(shown)} trials of Hyperband")
    _add_lines(figure, shown, place)
    for promoted, colour in ((False, MUTED), (True, BEST)):
        dots = shown[shown["went_on_as"].notna() == promoted]
        figure.add_scatter(
            x=np.array([place[int(rung)] for rung in dots["round"]]),
            y=dots["accuracy"].round(5).to_numpy(float),
            customdata=dots["trial"].to_numpy(str),
            text=[hover(row) for _, row in dots.head(MOST).iterrows()],
            meta={"role": "dots", "y": "own"},
            mode="markers",
            marker={"color": colour, "size": 8, "opacity": 0.85},
            hovertemplate="%{text}<extra></extra>",
        )
    ticks = [
        f"rung {r.round}<br>{plural(r.epochs, 'epoch')}<br>{r.promoted} of {r.trials} went on" for r in rows(rungs)
    ]
    return figure.update_xaxes(tickvals=list(place.values()), ticktext=ticks, range=[-0.4, len(place) - 0.6])


def _add_lines(figure: go.Figure, shown: pd.DataFrame, place: dict[int, int]) -> None:
    ends = shown.set_index("trial")[["round", "accuracy"]]
    x: list = []
    y: list = []
    ends_of: list[str] = []
    for row in rows(shown[shown["parent"].notna()]):
        if row.parent in ends.index:
            start = ends.loc[row.parent]
            x += [place[int(start["round"])], place[int(row.round)], None]
            y += [round(float(start["accuracy"]), 5), round(float(row.accuracy), 5), None]
            ends_of += [row.parent, row.trial, row.trial]
    gaps = np.array(x, float), np.array(y, float)
    figure.add_scatter(
        x=gaps[0],
        y=gaps[1],
        customdata=np.array(ends_of, str),
        meta={"role": "flow"},
        mode="lines",
        line={"color": BEST, "width": 1},
        opacity=0.5,
        hoverinfo="skip",
    )
