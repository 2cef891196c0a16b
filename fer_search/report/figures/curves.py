"""Learning curves of all trials."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import BLUE, GREY, ORANGE, add_references, style
from fer_search.report.words import design, title


class _Curve(NamedTuple):
    trial: int
    text: str
    epochs: list[int]
    accuracy: list[float]
    training: list[float]


class _Info(NamedTuple):
    best: _Curve | None
    others: list[_Curve]


def plot_learning_curves(
    trials: pd.DataFrame, epochs: pd.DataFrame, references: dict[str, float] | None = None
) -> go.Figure:
    """Plot validation accuracy against epochs, the best trial highlighted, with its training accuracy.

    Args:
        trials: from ``load_trials``.
        epochs: from ``load_epochs``.
        references: published accuracies, drawn as lines.
    """
    return _draw(_gather(trials, epochs), references or {})


def _gather(trials: pd.DataFrame, epochs: pd.DataFrame) -> _Info:
    curves = []
    groups = dict(tuple(epochs.groupby("trial"))) if len(epochs) else {}
    for _, row in trials.iterrows():  # best first
        curve = groups.get(row["trial"])
        if curve is not None and "val_accuracy" in curve:
            training = curve["accuracy"].tolist() if "accuracy" in curve else []
            text = f"{escape(title(row))}<br>{escape(design(row))}"
            curves.append(_Curve(row["trial"], text, curve["epoch"].tolist(), curve["val_accuracy"].tolist(), training))
    has_best = bool(curves) and len(trials) > 0 and trials.iloc[0]["accuracy"] == trials.iloc[0]["accuracy"]
    return _Info(curves[0], curves[1:]) if has_best else _Info(None, curves)


def _draw(info: _Info, references: dict[str, float]) -> go.Figure:
    figure = go.Figure()
    for curve in info.others[::-1]:
        _add(figure, curve, curve.accuracy, {"color": GREY, "width": 1}, 0.5, "validation")
    if info.best:
        _add(figure, info.best, info.best.training, {"color": ORANGE, "width": 1.5, "dash": "dash"}, 1, "training")
        _add(figure, info.best, info.best.accuracy, {"color": BLUE, "width": 3}, 1, "validation")
    values = [a for curve in ([info.best] if info.best else []) + info.others for a in curve.accuracy + curve.training]
    style(figure, "", "epoch", "accuracy", height=420).update_xaxes(tickformat="d", **_whole_ticks(info))
    add_references(figure, references, values)
    return figure.update_layout(title_text=None, margin_t=16)


def _whole_ticks(info: _Info) -> dict:
    """Few epochs get a tick each; Plotly would put some between them."""
    last = max((max(curve.epochs, default=1) for curve in [*info.others, *([info.best] if info.best else [])]), default=1)
    return {"dtick": 1} if last <= 12 else {}


def _add(figure: go.Figure, curve: _Curve, values: list[float], line: dict, opacity: float, what: str) -> None:
    hover = f"epoch %{{x}}: {what} %{{y:.1%}}<br>{curve.text}<extra></extra>"
    mode = "lines+markers" if len(values) < 3 else "lines"
    figure.add_scatter(x=curve.epochs, y=values, mode=mode, line=line, opacity=opacity, hovertemplate=hover)
