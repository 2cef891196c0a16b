"""How the training time splits over the values of each choice."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import SEQUENCE, style, text
from fer_search.report.formatting import duration, label, plural
from fer_search.report.statistics.budgets import bins
from fer_search.runfolder.choices import Choice


def plot_time(trials: pd.DataFrame, choices: Sequence[Choice]) -> go.Figure:
    """Plot how the training time splits over the values of each choice.

    Args:
        trials: from ``load_designs``.
        choices: the choices that varied, from ``budgets.varied``.
    """
    known = trials[trials["seconds"].notna()]
    seconds = known["seconds"].to_numpy(float)
    figure = style(
        go.Figure(),
        "Training time by choice",
        "share of the training time",
        "",
        f"{duration(seconds.sum())} of training",
    )
    names = [text(label(choice.name), 24) for choice in choices]
    groups = [bins(known, choice) for choice in choices]
    for k in range(max((len(values) for values, _ in groups), default=0)):
        cells = [(values[k], seconds[places == k]) if k < len(values) else None for values, places in groups]
        figure.add_bar(
            y=names,
            x=[cell[1].sum() / seconds.sum() if cell else None for cell in cells],
            text=[text(cell[0], 28) if cell else "" for cell in cells],
            customdata=[
                text(f"{cell[0]}: {duration(cell[1].sum())} in {plural(len(cell[1]), 'design')}") if cell else ""
                for cell in cells
            ],
            orientation="h",
            meta={"role": "time", "place": k},
            marker={"color": SEQUENCE[k % len(SEQUENCE)]},
            hovertemplate="%{y}<br>%{customdata}<extra></extra>",
            textposition="inside",
            insidetextanchor="start",
        )
    figure.update_layout(
        uniformtext={"minsize": 10, "mode": "hide"}, barmode="stack", height=90 + 30 * max(len(names), 2), bargap=0.25
    )
    figure.update_xaxes(tickformat=".0%", range=[0, 1.005])
    return figure.update_yaxes(tickformat=None, type="category", autorange="reversed")
