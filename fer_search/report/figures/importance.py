"""Which choices matter, and by how much."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import MUTED, TRIAL, style, text
from fer_search.report.formatting import label, points_interval, rows, signed_points
from fer_search.report.statistics.importance import MATTERS

MAX_ROWS = 12


def plot_importances(
    table: pd.DataFrame, title: str = "Which choices matter, and by how much", of: str = "", max_rows: int = MAX_ROWS
) -> go.Figure:
    """Plot each choice's largest effect in points with its simultaneous interval, the most important choice on top.

    Filled dots have a significant effect; the share of the variance that a choice explains is written beside it.

    Args:
        table: from ``importance.importances``.
        title: of the figure, in plain text.
        of: which designs it is of, in plain text.
        max_rows: maximum number of choices drawn, the most important ones.
    """
    shown = table.head(max_rows).iloc[::-1]
    figure = style(go.Figure(), title, "points of validation accuracy", "", of)
    matters = [row.verdict == MATTERS for row in rows(shown)]
    colours = [TRIAL if sure else MUTED for sure in matters]
    half = 100 * (shown["high"] - shown["low"]) / 2
    # Intervals that end where accuracies do run out of the chart, instead of shrinking all others to dots.
    unknown = (shown["low"] <= -1) | (shown["high"] >= 1)
    figure.add_scatter(
        x=(100 * shown["difference"]).round(3).tolist(),
        y=[_name(row) for row in rows(shown)],
        error_x={"type": "data", "array": half.round(3).tolist(), "color": MUTED, "thickness": 1.5, "width": 4},
        mode="markers",
        marker={"size": 11, "color": colours, "symbol": ["circle" if sure else "circle-open" for sure in matters]},
        text=[_hover(row) for row in rows(shown)],
        hovertemplate="%{text}<extra></extra>",
        cliponaxis=bool(unknown.any()),
    )
    figure.add_vline(x=0, line={"color": MUTED, "width": 1}, layer="below")
    for row in rows(shown):
        figure.add_annotation(
            text=f"{row.share:.0%}",
            y=_name(row),
            x=1.01,
            xref="paper",
            xanchor="left",
            showarrow=False,
            font={"size": 12},
        )
    figure.add_annotation(
        text="share",
        y=1,
        yref="paper",
        yanchor="bottom",
        x=1.01,
        xref="paper",
        xanchor="left",
        showarrow=False,
        font={"size": 11, "color": MUTED},
    )
    figure.update_xaxes(showgrid=True, tickformat="d", nticks=7)
    if unknown.any():
        reach = 1.1 * float((100 * shown["difference"].abs() + half.mask(unknown, 0)).max())
        figure.update_xaxes(range=[-reach, reach])
    figure.update_yaxes(tickformat=None, type="category", range=[-0.6, len(shown) - 0.4])
    return figure.update_layout(height=70 + 40 * max(len(shown), 2), margin_r=46)


def _name(row: Any) -> str:
    contrast = f"{text(row.value, 14)} instead of {text(row.against, 14)}"
    return f"{text(label(row.choice), 24)}<br><span style='font-size:11px'>{contrast}</span>"


def _hover(row: Any) -> str:
    effect = f"{signed_points(row.difference)} points ({points_interval(row.low, row.high)})"
    share = f"explains {row.share:.0%} of the variance (95% {row.share_low:.0%} to {row.share_high:.0%})"
    return (
        f"<b>{text(label(row.choice))}</b>: {row.verdict}, p = {row.p_holm:.2g} (Holm)<br>"
        f"{text(row.value)} instead of {text(row.against)}: {effect}<br>{share}"
    )
