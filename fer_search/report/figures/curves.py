"""Learning curves of all trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fer_search.report.figures.theme import BEST, LONGEST, MUTED, add_references, style, text
from fer_search.report.formatting import plural, title

MOST = 300  # curves drawn: the best of all trials, and more would be a grey area


class _Curve(NamedTuple):
    trial: str
    title: str
    epochs: list[int]
    accuracy: list[float]


class _Info(NamedTuple):
    best: _Curve | None
    others: list[_Curve]
    left_out: int


def plot_learning_curves(
    trials: pd.DataFrame, curves: pd.DataFrame, references: Mapping[str, float] | None = None
) -> go.Figure:
    """Plot validation accuracy against epochs, the best trial highlighted, the others muted.

    A trial that another went on from is the beginning of that other's curve, and is not drawn again. At most ``MOST``
    curves are drawn, the best ones.

    Args:
        trials: from ``load_trials``, best first.
        curves: from ``load_epochs``.
        references: name -> accuracy published elsewhere, from 0 to 1; drawn as lines.
    """
    return _draw(_gather(trials, curves), references or {})


def _gather(trials: pd.DataFrame, curves: pd.DataFrame) -> _Info:
    ends = trials[trials["went_on_as"].isna()]
    best = trials.iloc[0] if len(trials) and trials.iloc[0]["status"] == "completed" else None
    if best is not None and not pd.isna(best["went_on_as"]):  # the best is the beginning of a longer one
        ends = pd.concat([trials.iloc[:1], ends])
    known = ends[ends["trial"].isin(curves.loc[curves["val_accuracy"].notna(), "trial"])]
    drawn = known.head(MOST)
    rows = curves[curves["trial"].isin(drawn["trial"]) & curves["val_accuracy"].notna()]
    groups = {str(trial): rows.iloc[at] for trial, at in rows.groupby("trial", sort=False).indices.items()}
    found = [_curve(row, groups[row["trial"]]) for _, row in drawn.iterrows()]
    has_best = best is not None and bool(found) and found[0].trial == best["trial"]
    return _Info(found[0] if has_best else None, found[1:] if has_best else found, max(0, len(known) - MOST))


def _curve(row: pd.Series, rows: pd.DataFrame) -> _Curve:
    epochs, accuracy = rows["epoch"].astype(int).tolist(), rows["val_accuracy"].round(5).tolist()
    return _Curve(row["trial"], title(row), epochs, accuracy)


def _draw(info: _Info, references: Mapping[str, float]) -> go.Figure:
    drawn = [*info.others, *([info.best] if info.best else [])]
    left_out = f", without the {info.left_out:,} lowest" if info.left_out else ""
    count = plural(len(drawn), "trial") + left_out
    figure = style(go.Figure(), "Validation accuracy, epoch by epoch", "epoch", "validation accuracy", count)
    _add_others(figure, info.others)
    best = info.best or _Curve("", "", [], [])
    figure.add_scatter(
        x=best.epochs,
        y=best.accuracy,
        meta={"role": "curve"},
        mode="lines+markers" if len(best.epochs) < 3 else "lines",
        line={"color": BEST, "width": 3},
        hovertemplate=f"{text(best.title, LONGEST)}<br>epoch %{{x}}: %{{y:.1%}}<extra></extra>",
    )
    add_references(figure, references, [a for curve in drawn for a in curve.accuracy])
    last = max((epoch for curve in drawn for epoch in curve.epochs), default=1)
    room = max(0.15, 0.015 * (last - 1))
    figure.update_xaxes(range=[1 - room, last + room])
    return figure.update_xaxes(tickformat="d", **({"dtick": 1} if last <= 12 else {}))


def _add_others(figure: go.Figure, curves: list[_Curve]) -> None:
    """Add the muted curves as one trace with gaps, which draws and answers faster than hundreds."""
    x = [value for curve in curves for value in (*curve.epochs, None)]
    y = [value for curve in curves for value in (*curve.accuracy, np.nan)]
    names = [text(curve.title, LONGEST) for curve in curves for _ in (*curve.epochs, None)]
    single = all(len(curve.epochs) < 3 for curve in curves)
    figure.add_scatter(
        x=x,
        y=y,
        text=names,
        meta={"role": "curves"},
        mode="lines+markers" if single else "lines",
        connectgaps=False,
        line={"color": MUTED, "width": 1.2},
        opacity=0.75,
        hovertemplate="%{text}<br>epoch %{x}: %{y:.1%}<extra></extra>",
    )
