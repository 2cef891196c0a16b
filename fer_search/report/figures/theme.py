"""What all figures share: colours, layout, escaped text, and the lines of published accuracies and of chance.

The colours are from Okabe & Ito's palette for colour-blind readers (2008). Figures are made in the light ones;
``DARK`` says what a dark page puts in their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fer_search.report import formatting

TRIAL, BEST, REFERENCE = "#0072b2", "#d55e00", "#00795a"
MUTED, TEXT, GRID, PAPER = "#8794a3", "#2a323c", "#dfe4ea", "#ffffff"
DARK = {
    **{TRIAL: "#56b4e9", BEST: "#f0953a", REFERENCE: "#2ec49a"},
    **{MUTED: "#71808f", TEXT: "#d5dbe2", GRID: "#2d363f", PAPER: "#12171c"},
}
# Light to dark, so that dark text stays legible on the light half and Plotly turns it light on the dark one.
SEQUENTIAL = [[0, "#f1f6fb"], [0.6, "#a5cdea"], [1, "#0072b2"]]
DIVERGING = [[0, "#e08a4a"], [0.5, "#f2f2f2"], [1, "#5fa8d8"]]
SEQUENCE = ("#56b4e9", "#e69f00", "#2ec49a", "#cc79a7", "#a9c94a", "#d5825e", "#8794a3", "#b3a2e0")
LABEL_DISTANCE = 0.13  # fraction of the axis: references closer than this have one label
MAX_BELOW = 1.0  # references further below the accuracies than this times their range would flatten the figure
MAX_NAME = 34  # characters of a name in a figure
REFERENCE_MARGIN = 104  # pixels right of the plot for the labels of references


def style(figure: go.Figure, title: str, x: str, y: str, subtitle: str = "") -> go.Figure:
    """Give a figure its titles and the common look, and return it.

    Args:
        figure: changed in place.
        title: what it shows, in plain text; the page puts it above the figure.
        x: title of the x axis, in plain text, with its unit.
        y: the same of the y axis, which shows shares as percent.
        subtitle: what it is of: trials, epochs, what is left out; in plain text.
    """

    def axis(name: str) -> dict[str, Any]:
        look = {"gridcolor": GRID, "linecolor": GRID, "zeroline": False, "automargin": True}
        return look | {"title": {"text": text(name), "standoff": 8, "font": {"size": 13}}}

    # assigned at once: updates one by one take Plotly ten times as long
    figure.layout = {
        "template": {},
        "title": {
            "text": text(title),
            "font": {"size": 15, "color": TEXT},
            "subtitle": {"text": text(subtitle), "font": {"size": 12, "color": MUTED}},
            "x": 0,
            "xref": "container",
            "xanchor": "left",
        },
        "font": {"family": "system-ui, -apple-system, 'Segoe UI', sans-serif", "size": 13, "color": TEXT},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 8, "t": 60, "b": 8},
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "bgcolor": PAPER, "bordercolor": MUTED, "font": {"color": TEXT, "size": 13}},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": TRIAL},
        "xaxis": axis(x) | {"showgrid": False, "showline": True, "exponentformat": "power"},
        "yaxis": axis(y) | {"tickformat": ".3~p"},
    }
    return figure


def text(plain: object, max_length: int | None = None) -> str:
    """Return plain text escaped for Plotly, which interprets some HTML; cut at ``max_length`` characters."""
    shown = str(plain)
    if max_length is not None and len(shown) > max_length:
        shown = shown[: max_length - 1] + "…"
    return escape(shown, quote=False).replace("\n", "<br>")


def hover(row: pd.Series) -> str:
    """Return the hover text of a trial's dot: its title, accuracy and choices, a line each."""
    lines = [text(f"{name} {given}", 2 * MAX_NAME) for name, given in formatting.choices(row)]
    shown = [*lines[:14], f"and {len(lines) - 14} more"] if len(lines) > 15 else lines
    title = text(formatting.title(row).capitalize(), 2 * MAX_NAME)
    return "<br>".join([f"<b>{title}</b>", f"accuracy {formatting.percent(row['accuracy'])}", *shown])


def y_range(values: Iterable[float]) -> list[float]:
    """Return the limits of an accuracy axis for these values, with a margin; 0 to 1 where there are none."""
    shown = [value for value in values if value == value]
    if not shown:
        return [0.0, 1.0]
    room = max(0.08 * (max(shown) - min(shown)), 0.008)
    return [max(-0.01, min(shown) - room), min(1.01, max(shown) + 1.3 * room)]


def log_ticks(x: np.ndarray) -> list[float]:
    """Return round tick values for a log axis; on a short axis Plotly's own lack their powers of ten.

    Args:
        x: positive values that are drawn.
    """
    if not len(x):
        return []
    powers = range(int(np.floor(np.log10(x.min()))), int(np.ceil(np.log10(x.max()))) + 1)
    for digits, enough in (((1,), 3), ((1, 3), 4), ((1, 2, 5), 3), ((1, 2, 3, 4, 6, 8), 0)):
        ticks = [digit * 10.0**power for power in powers for digit in digits]
        inside = [tick for tick in ticks if 0.9 * x.min() <= tick <= 1.1 * x.max()]
        if len(inside) >= enough:
            break
    return inside


def epoch_ticks(last: int) -> dict[str, object]:
    """Return ticks of an epoch axis: whole epochs, about ten of them."""
    return {"tickformat": "d", "tick0": 0, "dtick": max(1, -(-last // 10))}


def add_references(
    figure: go.Figure, references: Mapping[str, float], values: Iterable[float], labels: bool = True
) -> None:
    """Draw published accuracies as dotted lines, and make room for them.

    Those far below every trial are left out: they would flatten the figure.

    Args:
        figure: changed in place.
        references: name -> accuracy, from 0 to 1.
        values: all accuracies that the figure shows.
        labels: whether their names are written right of the plot.
    """
    values = [value for value in values if value == value]
    if values:
        lowest = min(values) - max(0.05, MAX_BELOW * (max(values) - min(values)))
        references = {name: accuracy for name, accuracy in references.items() if accuracy >= lowest}
    limits = y_range([*values, *references.values()])
    figure.update_yaxes(range=limits)
    for group in group_references(references, LABEL_DISTANCE * (limits[1] - limits[0])):
        for _, accuracy in group:
            figure.add_hline(y=accuracy, line={"color": REFERENCE, "width": 1.2, "dash": "dot"}, layer="below")
        if labels:
            _label(figure, group)
    if references and labels:
        figure.update_layout(margin_r=REFERENCE_MARGIN)


def add_majority(figure: go.Figure, majority: tuple[str, float] | None) -> None:
    """Draw the accuracy of always predicting the most frequent class as a dashed line, named in the subtitle.

    Where it is so far below that the line would flatten the figure, the subtitle says so instead.

    Args:
        figure: changed in place; its y axis shows accuracies.
        majority: name and fraction of the class; None where it is not known.
    """
    if majority is None:
        return
    name, share = majority
    limits = list(figure.layout.yaxis.range or (0.0, 1.0))
    if limits[0] > share >= limits[0] - MAX_BELOW * (limits[1] - limits[0]):
        limits[0] = share - 0.03 * (limits[1] - share)
    inside = share >= limits[0]
    figure.update_yaxes(range=limits)
    if inside:
        line = {"color": MUTED, "width": 1.3, "dash": "dash"}
        figure.add_shape(
            type="line", xref="paper", x0=0, x1=1, y0=share, y1=share, line=line, layer="below", name="majority"
        )
    always = text(f"always {name} {formatting.percent(share)}", MAX_NAME)
    before = figure.layout.title.subtitle.text
    words = f"dashed: {always}" if inside else f"below the plot: {always}"
    figure.update_layout(title_subtitle_text=f"{before} · {words}" if before else words, meta={"majority": True})


def group_references(references: Mapping[str, float], distance: float) -> list[list[tuple[str, float]]]:
    """Return the references in groups whose labels would overlap otherwise, highest first, also in each group.

    Args:
        references: name -> accuracy.
        distance: references less than this below a group's highest belong to the group.
    """
    groups: list[list[tuple[str, float]]] = []
    for name, accuracy in sorted(references.items(), key=lambda item: -item[1]):
        if groups and groups[-1][0][1] - accuracy < distance:
            groups[-1].append((name, accuracy))
        else:
            groups.append([(name, accuracy)])
    return groups


def _label(figure: go.Figure, group: list[tuple[str, float]]) -> None:
    (name, high), (_, low) = group[0], group[-1]
    more = f"<br>and {len(group) - 1} more" if len(group) > 1 else ""
    span = f"{100 * low:.1f} to {100 * high:.1f}%" if f"{low:.3f}" != f"{high:.3f}" else formatting.percent(high)
    every = "<br>".join(f"{text(one)} {formatting.percent(accuracy)}" for one, accuracy in group)
    figure.add_annotation(
        text=f"{text(name, 16)}{more}<br>{span}",
        hovertext=every,
        font={"size": 10, "color": REFERENCE},
        align="left",
        x=1.01,  # right of the plot, where there is nothing to cover
        xref="paper",
        xanchor="left",
        y=high,
        yanchor="middle" if len(group) == 1 else "top",
        showarrow=False,
    )
