"""The importance of each choice."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import BEST, GRID, MUTED, TRIAL, style, text
from fer_search.report.formatting import label, rows

COLOURS = {"matters": TRIAL, "inconclusive": MUTED, "little": MUTED}


def plot_importances(table: pd.DataFrame, title: str = "Importance of each choice", of: str = "") -> go.Figure:
    """Plot each choice's share of the variance of accuracy, with its interval, and the zone in which it may be noise.

    Args:
        table: from ``importance.importances``.
        title: of the figure, in plain text.
        of: which trials it is of, in plain text.
    """
    shown = table.iloc[::-1]
    figure = style(go.Figure(), title, "share of the differences explained", "", of)
    said = [
        f"<b>{text(label(row.choice))}</b><br>{row.share:.0%} of the variance, 95% {row.low:.0%} to {row.high:.0%}"
        f"<br>{row.verdict}: noise alone may reach {row.chance:.0%}; first in {row.first:.0%} of the draws"
        for row in rows(shown)
    ]
    colours = [COLOURS[verdict] for verdict in shown["verdict"]]
    if len(table) and table["verdict"].iloc[0] == "matters":
        colours[-1] = BEST
    names = [text(label(name), 24) for name in shown["choice"]]
    figure.add_bar(
        x=shown["chance"].round(5).tolist(),
        y=names,
        orientation="h",
        width=0.62,
        marker={"color": GRID},
        meta={"role": "zone"},
        hoverinfo="skip",
        name="may be noise",
    )
    figure.add_scatter(
        x=shown["share"].tolist(),
        y=names,
        error_x={
            "type": "data",
            "array": (shown["high"] - shown["share"]).tolist(),
            "arrayminus": (shown["share"] - shown["low"]).tolist(),
            "color": MUTED,
            "thickness": 1.5,
            "width": 4,
        },
        meta={"role": "importances"},
        mode="markers",
        marker={
            "size": 11,
            "color": colours,
            "symbol": ["circle" if verdict == "matters" else "circle-open" for verdict in shown["verdict"]],
        },
        text=said,
        hovertemplate="%{text}<extra></extra>",
        cliponaxis=False,
    )
    figure.update_xaxes(tickformat=".0%", rangemode="tozero", showgrid=True)
    return figure.update_yaxes(tickformat=None, type="category").update_layout(height=90 + 28 * max(len(table), 2))
