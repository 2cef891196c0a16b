"""Learning curves of all designs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import (
    BEST,
    MAX_NAME,
    MUTED,
    TRIAL,
    add_majority,
    add_references,
    epoch_ticks,
    style,
    text,
)
from fer_search.report.formatting import plural, title

MAX_CURVES = 300  # drawn, the best ones; more would be a grey area


class _Curve(NamedTuple):
    title: str
    epochs: list[int]
    accuracy: list[float]


class _Info(NamedTuple):
    best: _Curve | None
    running: list[_Curve]
    others: list[_Curve]
    omitted: int


def plot_learning_curves(
    designs: pd.DataFrame,
    curves: pd.DataFrame,
    references: Mapping[str, float] | None = None,
    majority: tuple[str, float] | None = None,
) -> go.Figure:
    """Plot validation accuracy against epochs: the best design thick, running ones blue, the others thin.

    A design that Hyperband promoted is one curve over all its rungs.

    Args:
        designs: from ``load_designs``, best first.
        curves: from ``load_epochs``.
        references: name -> accuracy published elsewhere, from 0 to 1; drawn as lines.
        majority: name and fraction of the most frequent class; drawn as a line.
    """
    return _draw(_gather(designs, curves), references or {}, majority)


def _gather(designs: pd.DataFrame, curves: pd.DataFrame) -> _Info:
    known = designs[designs["trial"].isin(curves.loc[curves["val_accuracy"].notna(), "trial"])]
    drawn = known.head(MAX_CURVES)
    rows = curves[curves["trial"].isin(drawn["trial"]) & curves["val_accuracy"].notna()]
    groups = {str(trial): rows.iloc[index] for trial, index in rows.groupby("trial", sort=False).indices.items()}
    table = [(row["status"], _curve(row, groups[row["trial"]])) for _, row in drawn.iterrows()]
    completed = [curve for status, curve in table if status != "running"]
    best = completed[0] if completed and table[0][0] == "completed" else None
    running = [curve for status, curve in table if status == "running"]
    return _Info(best, running, completed[1:] if best else completed, max(0, len(known) - MAX_CURVES))


def _curve(row: pd.Series, rows: pd.DataFrame) -> _Curve:
    return _Curve(title(row), rows["epoch"].astype(int).tolist(), rows["val_accuracy"].round(5).tolist())


def _draw(info: _Info, references: Mapping[str, float], majority: tuple[str, float] | None) -> go.Figure:
    drawn = [*info.others, *info.running, *([info.best] if info.best else [])]
    omitted = f", without the {info.omitted:,} lowest" if info.omitted else ""
    figure = style(
        go.Figure(), "Learning curves", "epoch", "validation accuracy", plural(len(drawn), "design") + omitted
    )
    figure.add_scatter(**_joined(info.others, "curves", MUTED, 1.2))
    figure.add_scatter(**_joined(info.running, "running", TRIAL, 2.2))
    best = info.best or _Curve("", [], [])
    figure.add_scatter(
        x=best.epochs,
        y=best.accuracy,
        meta={"role": "curve"},
        mode="lines+markers" if len(best.epochs) < 3 else "lines",
        line={"color": BEST, "width": 3},
        hovertemplate=f"{text(best.title, MAX_NAME)}<br>epoch %{{x}}: %{{y:.1%}}<extra></extra>",
    )
    add_references(figure, references, [accuracy for curve in drawn for accuracy in curve.accuracy])
    add_majority(figure, majority)
    last = max((epoch for curve in drawn for epoch in curve.epochs), default=1)
    margin = max(0.15, 0.015 * (last - 1))
    return figure.update_xaxes(range=[1 - margin, last + margin], **epoch_ticks(last))


def _joined(curves: list[_Curve], role: str, colour: str, width: float) -> dict[str, Any]:
    """Return several curves as one trace with gaps, which draws and responds faster than hundreds of traces."""
    short = all(len(curve.epochs) < 3 for curve in curves)
    return {
        "x": [value for curve in curves for value in (*curve.epochs, None)],
        "y": [value for curve in curves for value in (*curve.accuracy, np.nan)],
        "text": [text(curve.title, MAX_NAME) for curve in curves for _ in (*curve.epochs, None)],
        "meta": {"role": role},
        "mode": "lines+markers" if short or role == "running" else "lines",
        "connectgaps": False,
        "line": {"color": colour, "width": width},
        "opacity": 0.75 if role == "curves" else 1,
        "hovertemplate": "%{text}<br>epoch %{x}: %{y:.1%}<extra></extra>",
    }
