"""What all figures share: colours, the common look, text as Plotly shows it, and the lines of published accuracies.

The colours are from Okabe & Ito's palette for colour-blind readers (2008). Figures are made in the light ones;
``DARK`` says what a dark page puts in their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

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
NEAR = 0.075  # share of the axis: references closer than this share a label
BELOW = 1.0  # spreads of the accuracies: references further below them would only flatten the figure
LONGEST = 34  # characters of a name in a figure


def style(figure: go.Figure, title: str, x: str, y: str, subtitle: str = "") -> go.Figure:
    """Give a figure its titles and the common look, and return it.

    Args:
        figure: changed in place.
        title: what it shows, in plain text; the page puts it above the figure.
        x: title of the x axis, in plain text, with its unit.
        y: the same of the y axis, which shows shares as percent.
        subtitle: what it is of: trials, epochs, what is left out; in plain text.
    """

    def axis(name: str) -> dict:
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


def text(plain: object, longest: int | None = None) -> str:
    """Return plain text so that Plotly, which reads some HTML, shows it as it is; cut at ``longest`` characters."""
    shown = str(plain)
    if longest is not None and len(shown) > longest:
        shown = shown[: longest - 1] + "…"
    return escape(shown, quote=False).replace("\n", "<br>")


def hover(row: pd.Series) -> str:
    """Return what a trial's dot says: its title, accuracy, and choices, a line each."""
    lines = [text(f"{name} {given}", 2 * LONGEST) for name, given in formatting.choices(row)]
    shown = [*lines[:14], f"and {len(lines) - 14} more"] if len(lines) > 15 else lines
    title = text(formatting.title(row).capitalize(), 2 * LONGEST)
    return "<br>".join([f"<b>{title}</b>", f"accuracy {formatting.percent(row['accuracy'])}", *shown])


def y_range(values: Iterable[float]) -> list[float]:
    """Return the ends of an accuracy axis that holds these values, with some room; 0 to 1 where there are none."""
    shown = [value for value in values if value == value]
    if not shown:
        return [0.0, 1.0]
    room = max(0.08 * (max(shown) - min(shown)), 0.008)
    return [max(-0.01, min(shown) - room), min(1.01, max(shown) + 1.3 * room)]


def log_ticks(x: np.ndarray) -> list[float]:
    """Return round numbers for a log axis: Plotly's own lack their powers of ten on a short one, and are larger there.

    Args:
        x: what is drawn, above 0.
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


def add_references(figure: go.Figure, references: Mapping[str, float], values: Iterable[float]) -> None:
    """Draw published accuracies as dotted lines, near ones with one label, and make room for them.

    Those far below every trial are left out: they would flatten what the figure is about.

    Args:
        figure: changed in place.
        references: name -> accuracy, from 0 to 1.
        values: all accuracies that the figure shows.
    """
    values = [value for value in values if value == value]
    if values:
        lowest = min(values) - max(0.05, BELOW * (max(values) - min(values)))
        references = {name: accuracy for name, accuracy in references.items() if accuracy >= lowest}
    ends = y_range([*values, *references.values()])
    figure.update_yaxes(range=ends)
    for group in group_references(references, NEAR * (ends[1] - ends[0])):
        for _, accuracy in group:
            figure.add_hline(y=accuracy, line={"color": REFERENCE, "width": 1.2, "dash": "dot"}, layer="below")
        _label(figure, group)


def group_references(references: Mapping[str, float], near: float) -> list[list[tuple[str, float]]]:
    """Return the references in groups whose labels would overlap otherwise, the highest first, also in each group.

    Args:
        references: name -> accuracy.
        near: references less than this below a group's highest, where its label is, belong to the group.
    """
    groups: list[list[tuple[str, float]]] = []
    for name, accuracy in sorted(references.items(), key=lambda item: -item[1]):
        if groups and groups[-1][0][1] - accuracy < near:
            groups[-1].append((name, accuracy))
        else:
            groups.append([(name, accuracy)])
    return groups


def _label(figure: go.Figure, group: list[tuple[str, float]]) -> None:
    (name, high), (_, low) = group[0], group[-1]
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    span = f"{100 * low:.1f} to {100 * high:.1f}%" if f"{low:.3f}" != f"{high:.3f}" else formatting.percent(high)
    every = "<br>".join(f"{text(one)} {formatting.percent(accuracy)}" for one, accuracy in group)
    figure.add_annotation(
        text=f"{text(name, LONGEST)}{more}, {span}",
        hovertext=every,
        font={"size": 11, "color": REFERENCE},
        bgcolor=PAPER,
        opacity=0.85,
        borderpad=0,
        x=0,  # at the right end the curves are, which are the point of the figure
        xref="paper",
        xanchor="left",
        y=high,
        yanchor="bottom",
        showarrow=False,
    )
