"""From a baseline to the best design, one change at a time."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from fer_search.report.figures.theme import BEST, MUTED, TRIAL, style, text
from fer_search.report.formatting import interval, percent
from fer_search.report.statistics.ablation_path import Step


def plot_path(steps: Sequence[Step]) -> go.Figure:
    """Plot the accuracies along the path; filled dots were measured, hollow ones estimated.

    Args:
        steps: from ``ablation_path.ablation_path``.
    """
    figure = style(go.Figure(), "From the baseline to the best", "validation accuracy", "")
    names = [_name(index, step) for index, step in enumerate(steps)]
    half = [0.0 if step.high != step.high else step.high - step.accuracy for step in steps]
    texts = [
        f"<b>{text(step.change)}</b><br>{percent(step.accuracy)}, 95% {interval(step.low, step.high)}<br>"
        + (text(step.source) if step.trials else "estimated: no trial had exactly this design")
        for step in steps
    ]
    colours = [BEST if step is steps[-1] else TRIAL if step.trials else MUTED for step in steps]
    figure.add_scatter(
        x=[None if step.accuracy != step.accuracy else step.accuracy for step in steps],
        y=names,
        error_x={"type": "data", "array": half, "color": MUTED, "thickness": 1.5, "width": 4},
        mode="lines+markers",
        line={"color": MUTED, "width": 1},
        marker={
            "size": 12,
            "color": colours,
            "symbol": ["circle" if step.trials else "circle-open" for step in steps],
        },
        text=texts,
        hovertemplate="%{text}<extra></extra>",
    )
    figure.update_xaxes(tickformat=".1%", showgrid=True)
    known = [step for step in steps if step.low > 0 and step.high < 1]
    if known and len(known) < len(steps):  # an interval of all accuracies runs out of the chart
        ends = [end for step in known for end in (step.low, step.high)]
        ends += [step.accuracy for step in steps if step.accuracy == step.accuracy]
        figure.update_xaxes(range=[max(min(ends) - 0.01, 0), min(max(ends) + 0.01, 1)])
    figure.update_yaxes(tickformat=None, type="category", range=[len(steps) - 0.5, -0.5])
    return figure.update_layout(height=90 + 40 * max(len(steps), 2))


def _name(index: int, step: Step) -> str:
    what, _, before = step.change.partition(", was ")
    small = f"<br><span style='font-size:11px'>was {text(before, 24)}</span>" if before else ""
    return f"{index}. {text(what, 30)}{small}"
