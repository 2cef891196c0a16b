"""What each value of each choice adds to each class's recall."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import DIVERGING, style, text
from fer_search.report.formatting import label, signed_points
from fer_search.report.statistics.effects import in_words


def plot_recall_effects(table: pd.DataFrame, of: str = "") -> go.Figure:
    """Plot the differences in each class's recall, in points, as a heat map; a star marks significant ones.

    Args:
        table: from ``effects.recall_effects``.
        of: which designs it is of, in plain text.
    """
    figure = style(go.Figure(), "What each value adds to each emotion's recall, points", "", "", of)
    shown = table.assign(row=[_name(row) for _, row in table.iterrows()])
    rows, emotions = list(dict.fromkeys(shown["row"]))[::-1], list(dict.fromkeys(shown["emotion"]))
    grid = shown.drop_duplicates(["row", "emotion"]).set_index(["row", "emotion"])
    cells = [[grid.loc[(row, emotion)] for emotion in emotions] for row in rows]
    limit = max((abs(100 * cell["difference"]) for line in cells for cell in line), default=1.0) or 1.0
    figure.add_heatmap(
        x=emotions,
        y=rows,
        z=[[round(100 * cell["difference"], 2) for cell in line] for line in cells],
        text=[
            [signed_points(cell["difference"]) + ("*" if cell["significant"] else "") for cell in line]
            for line in cells
        ],
        customdata=[[text(f"{cell.name[1]}: {in_words(cell)}") for cell in line] for line in cells],
        texttemplate="%{text}",
        hovertemplate="%{customdata}<extra></extra>",
        colorscale=DIVERGING,
        zmin=-limit,
        zmax=limit,
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
