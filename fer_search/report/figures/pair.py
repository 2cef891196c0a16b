"""Mean accuracy for the values of two choices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import SEQUENTIAL, style, text
from fer_search.report.formatting import label
from fer_search.report.statistics.budgets import bins
from fer_search.runfolder.choices import Choice


def plot_pair(trials: pd.DataFrame, first: Choice, second: Choice) -> go.Figure:
    """Plot the mean accuracy of each combination of values, with the number of designs; untried cells stay blank.

    Args:
        trials: designs at an equal budget, from ``budgets.at_epochs(...).trials``.
        first: on the x axis; a number in up to five ranges.
        second: on the y axis.
    """
    (across, at_x), (upwards, at_y) = bins(trials, first), bins(trials, second)
    title = f"{label(first.name)} and {label(second.name)}"
    figure = style(go.Figure(), title[:1].upper() + title[1:], label(first.name), label(second.name))
    means, texts = _cells(trials["accuracy"].to_numpy(float), (at_x, len(across)), (at_y, len(upwards)))
    figure.add_heatmap(
        x=[text(one, 18) for one in across],
        y=[text(one, 18) for one in upwards],
        z=means,
        text=texts,
        meta={"role": "cells", "x": first.name, "y": second.name},
        texttemplate="%{text}",
        hovertemplate="%{x}, %{y}<br>%{text}<extra></extra>",
        hoverongaps=False,
        colorscale=SEQUENTIAL,
        showscale=False,
        xgap=2,
        ygap=2,
    )
    figure.update_xaxes(type="category", showline=False)
    return figure.update_yaxes(type="category", tickformat=None, showgrid=False)


def _cells(
    accuracy: np.ndarray, x: tuple[np.ndarray, int], y: tuple[np.ndarray, int]
) -> tuple[list[list[float | None]], list[list[str]]]:
    means: list[list[float | None]] = []
    texts: list[list[str]] = []
    for row in range(y[1]):
        cells = [accuracy[(x[0] == column) & (y[0] == row)] for column in range(x[1])]
        means.append([round(float(cell.mean()), 5) if len(cell) else None for cell in cells])
        texts.append([f"{cell.mean():.1%}<br>n = {len(cell)}" if len(cell) else "" for cell in cells])
    return means, texts
