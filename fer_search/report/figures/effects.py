"""What each value of each choice adds: to the accuracy, and to each emotion's recall."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import BEST, DIVERGING, MUTED, TRIAL, style, text
from fer_search.report.formatting import label, points, rows
from fer_search.report.statistics.effects import in_words


def plot_effects(table: pd.DataFrame, of: str = "") -> go.Figure:
    """Plot the differences in accuracy, in points, with their intervals; coloured where one is sure.

    Args:
        table: from ``effects.effects``.
        of: which trials it is of, in plain text.
    """
    shown = table[table["response"] == "accuracy"].iloc[::-1]
    figure = style(go.Figure(), "What each value adds to the accuracy", "points of validation accuracy", "", of)
    half = 100 * (shown["high"] - shown["low"]) / 2
    colours = [(TRIAL if row.difference > 0 else BEST) if row.sure else MUTED for row in rows(shown)]
    figure.add_scatter(
        x=(100 * shown["difference"]).round(3).tolist(),
        y=[_name(row) for _, row in shown.iterrows()],
        meta={"role": "effects"},
        error_x={"type": "data", "array": half.round(3).tolist(), "color": MUTED, "thickness": 1.5, "width": 4},
        mode="markers+text",
        marker={"size": 11, "color": colours},
        text=[f"<i>{text(row['verdict'].partition(',')[0])}</i>" for _, row in shown.iterrows()],
        textposition="top center",
        textfont={"size": 11, "color": MUTED},
        customdata=[text(in_words(row)) for _, row in shown.iterrows()],
        hovertemplate="%{customdata}<extra></extra>",
        cliponaxis=False,
    )
    figure.add_vline(x=0, line={"color": MUTED, "width": 1}, layer="below")
    figure.update_xaxes(showgrid=True, ticksuffix="")
    figure.update_yaxes(tickformat=None, type="category", range=[-0.5, len(shown) - 0.3])
    return figure.update_layout(height=100 + 44 * max(len(shown), 2))


def plot_emotions(table: pd.DataFrame, of: str = "") -> go.Figure:
    """Plot the differences in each emotion's recall, in points, as a heat map; a star where one is sure.

    Args:
        table: from ``effects.effects`` with curves.
        of: which trials it is of, in plain text.
    """
    shown = table[table["response"] != "accuracy"].copy()
    figure = style(go.Figure(), "What each value adds to each emotion's recall", "", "", of)
    shown["row"] = [_name(row) for _, row in shown.iterrows()]
    rows, emotions = list(dict.fromkeys(shown["row"]))[::-1], list(dict.fromkeys(shown["response"]))
    grid = shown.set_index(["row", "response"])
    cells = [[grid.loc[(row, emotion)] for emotion in emotions] for row in rows]
    most = max((abs(100 * cell["difference"]) for line in cells for cell in line), default=1.0) or 1.0
    figure.add_heatmap(
        x=emotions,
        y=rows,
        z=[[round(100 * cell["difference"], 2) for cell in line] for line in cells],
        text=[[points(cell["difference"]) + ("*" if cell["sure"] else "") for cell in line] for line in cells],
        customdata=[[text(f"{cell.name[1]}: {in_words(cell)}") for cell in line] for line in cells],
        meta={"role": "emotions"},
        texttemplate="%{text}",
        hovertemplate="%{customdata}<extra></extra>",
        colorscale=DIVERGING,
        zmin=-most,
        zmax=most,
        xgap=2,
        ygap=2,
        showscale=False,
        textfont={"color": "#1d242c", "size": 12},
    )
    figure.update_xaxes(side="top", showline=False)
    return figure.update_yaxes(tickformat=None, type="category").update_layout(height=90 + 38 * max(len(rows), 2))


def _name(row: pd.Series) -> str:
    name = text(f"{label(row['choice'])}: {row['value']}", 30)
    return f"{name}<br><span style='font-size:11px'>instead of {text(row['against'], 20)}</span>"
