"""One trial: training and validation accuracy, and the learning rate."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import BEST, MUTED, TRIAL, epoch_ticks, style
from fer_search.report.formatting import title

LINES = (
    ("val_accuracy", "validation accuracy", {"color": BEST, "width": 3}),
    ("accuracy", "training accuracy", {"color": TRIAL, "width": 1.8, "dash": "dash"}),
    ("learning_rate", "learning rate (right)", {"color": MUTED, "width": 1.5, "dash": "dot", "shape": "hv"}),
)


def plot_trial(row: pd.Series, curves: pd.DataFrame) -> go.Figure:
    """Plot a trial's validation and training accuracy, and its learning rate on a log axis of its own.

    Training accuracy far above validation accuracy means overfitting; with augmentation and dropout it starts below.

    Args:
        row: of ``load_designs`` or ``load_trials``.
        curves: from ``load_epochs``.
    """
    own = curves[curves["trial"] == row["trial"]]
    figure = style(go.Figure(), title(row).capitalize(), "epoch", "accuracy", "training and validation accuracy")
    for column, name, line in LINES:
        known = own[own[column].notna()]
        figure.add_scatter(
            x=known["epoch"].tolist(),
            y=known[column].astype(float).round(8).tolist(),
            meta={"role": "trial", "column": column},
            mode="lines" if len(known) > 2 else "lines+markers",
            line=line,
            name=name,
            yaxis="y2" if column == "learning_rate" else "y",
            hovertemplate="epoch %{x}: %{y:.3~g}" if column == "learning_rate" else "epoch %{x}: %{y:.1%}",
        )
    rate = {"overlaying": "y", "side": "right", "type": "log", "showgrid": False, "exponentformat": "e", "dtick": 1}
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    figure.update_layout(yaxis2=rate | {"automargin": True}, showlegend=True, legend=legend)
    return figure.update_xaxes(**epoch_ticks(int(own["epoch"].max()) if len(own) else 1))
