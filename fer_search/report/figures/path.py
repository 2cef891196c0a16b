"""From a baseline to the best design, one change at a time."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from fer_search.report.figures.theme import BEST, MUTED, TRIAL, style, text
from fer_search.report.formatting import interval, percent
from fer_search.report.statistics.ablation_path import Step


def plot_path(steps: Sequence[Step]) -> go.Figure:
    """Plot the accuracies on the way; filled where a trial measured the design, hollow where it is an estimate.

    Args:
        steps: from ``path.path``.
    """
    figure = style(go.Figure(), "From the baseline to the best", "validation accuracy", "")
    names = [_name(at, step) for at, step in enumerate(steps)]
    known = [0.0 if step.high != step.high else step.high - step.accuracy for step in steps]
    said = [
        f"<b>{text(step.change)}</b><br>{percent(step.accuracy)}, 95% {interval(step.low, step.high)}<br>"
        + (text(step.known) if step.trials else "estimated: no trial had this very design")
        for step in steps
    ]
    colours = [BEST if at == len(steps) - 1 else TRIAL if step.trials else MUTED for at, step in enumerate(steps)]
    figure.add_scatter(
        x=[None if step.accuracy != step.accuracy else step.accuracy for step in steps],
        y=names,
        error_x={"type": "data", "array": known, "color": MUTED, "thickness": 1.5, "width": 4},
        mode="lines+markers",
        line={"color": MUTED, "width": 1},
        marker={
            "size": 12,
            "color": colours,
            "symbol": ["circle" if step.trials else "circle-open" for step in steps],
        },
        text=said,
        hovertemplate="%{text}<extra></extra>",
    )
    figure.update_xaxes(tickformat=".1%", showgrid=True)
    figure.update_yaxes(tickformat=None, type="category", range=[len(steps) - 0.5, -0.5])
    return figure.update_layout(height=90 + 40 * max(len(steps), 2))


def _name(at: int, step: Step) -> str:
    what, _, before = step.change.partition(", was ")
    small = f"<br><span style='font-size:11px'>was {text(before, 24)}</span>" if before else ""
    return f"{at}. {text(what, 30)}{small}"
