"""The best network's predictions: confusion matrix and calibration."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from fer_search.report.figures.theme import MUTED, SEQUENTIAL, TRIAL, style, text
from fer_search.report.formatting import percent
from fer_search.report.tables.predictions import Bin


def plot_confusion(counts: np.ndarray, classes: tuple[str, ...], normalised: bool = True) -> go.Figure:
    """Plot a confusion matrix.

    Args:
        counts: int (classes, classes), images of each label (row) and prediction (column), from
            ``predictions.confusion``.
        classes: their names.
        normalised: colour and text are shares of each row; False for counts.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.nan_to_num(counts / counts.sum(axis=1, keepdims=True))
    title = "Confusion matrix" + (", shares of each label" if normalised else ", images")
    figure = style(go.Figure(), title, "predicted", "label", f"{counts.sum():,} images")
    names = [text(name, 12) for name in classes]
    figure.add_heatmap(
        x=names,
        y=names,
        z=(shares if normalised else counts).round(4).tolist(),
        text=[[f"{share:.0%}" for share in row] for row in shares] if normalised else counts.astype(str).tolist(),
        customdata=counts.tolist(),
        texttemplate="%{text}",
        hovertemplate="%{y} predicted as %{x}: %{customdata} images<extra></extra>",
        colorscale=SEQUENTIAL,
        zmin=0,
        showscale=False,
        xgap=2,
        ygap=2,
    )
    figure.update_xaxes(type="category", showline=False, tickangle=-35)
    return figure.update_yaxes(type="category", autorange="reversed", tickformat=None)


def plot_calibration(bins: list[Bin], error: float) -> go.Figure:
    """Plot accuracy against confidence; a calibrated network is on the diagonal.

    Args:
        bins: from ``predictions.calibration``.
        error: the expected calibration error.
    """
    title, of = "Calibration", f"expected calibration error {percent(error)}"
    figure = style(go.Figure(), title, "confidence", "accuracy", of)
    low = max(0.0, min([one.confidence for one in bins] + [one.low for one in bins], default=0) - 0.03)
    line = {"color": MUTED, "width": 1, "dash": "dot"}
    figure.add_scatter(x=[low, 1], y=[low, 1], mode="lines", line=line, hoverinfo="skip")
    figure.add_scatter(
        x=[one.confidence for one in bins],
        y=[one.accuracy for one in bins],
        error_y={
            "type": "data",
            "array": [one.high - one.accuracy for one in bins],
            "arrayminus": [one.accuracy - one.low for one in bins],
            "color": TRIAL,
            "thickness": 1.5,
        },
        customdata=[one.images for one in bins],
        mode="lines+markers",
        marker={"color": TRIAL, "size": 8},
        line={"color": TRIAL, "width": 1.5},
        hovertemplate="confidence %{x:.0%}: accuracy %{y:.0%} over %{customdata} images<extra></extra>",
    )
    return figure.update_xaxes(tickformat=".0%", range=[low, 1.01])
