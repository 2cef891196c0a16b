"""What all figures share: colours that colour-blind readers can tell apart (Okabe & Ito 2008) and that work on light and
dark pages, fonts, and the lines of published accuracies."""

from __future__ import annotations

from html import escape

import plotly.graph_objects as go

BLUE, ORANGE, GREEN, PINK, GREY = "#0a84c6", "#e69f00", "#009e73", "#cc79a7", "#8a8f98"
CONFIG = {"displayModeBar": "hover", "displaylogo": False, "showSendToCloud": False, "responsive": True, "modeBarButtonsToRemove": ["lasso2d", "select2d"]}
NEAR = 0.05  # share of the axis: references closer than this share a label


def style(figure: go.Figure, title: str, x: str, y: str, height: int = 380) -> go.Figure:
    """Give a figure its titles and the common look; returns it."""
    axis = {"gridcolor": "rgba(138,143,152,0.25)", "zeroline": False, "automargin": True}
    figure.update_layout(
        title={"text": title, "font": {"size": 15}, "x": 0, "xref": "paper", "yref": "container", "y": 0.97},
        font={"family": "system-ui, sans-serif", "size": 13, "color": GREY},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 10, "r": 10, "t": 50, "b": 10},
        height=height,
        showlegend=False,
        hoverlabel={"align": "left"},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": BLUE},
    )
    figure.update_xaxes(title_text=x, **axis)
    figure.update_yaxes(title_text=y, tickformat=".0%", **axis)
    return figure


def add_references(figure: go.Figure, references: dict[str, float], values: list[float]) -> None:
    """Draw published accuracies as dotted lines, near ones with one label, and make room for them.

    Args:
        figure: to add to.
        references: name -> accuracy.
        values: all accuracies that the figure shows.
    """
    shown = [v for v in [*values, *references.values()] if v == v]
    if not shown:
        return
    low, high = min(shown), max(shown)
    room = max(0.06 * (high - low), 0.01)
    figure.update_yaxes(range=[max(0.0, low - room), min(1.0, high + 1.5 * room)])
    for group in _groups(references, NEAR * (high - low)):
        for _, accuracy in group:
            figure.add_hline(y=accuracy, line={"color": PINK, "width": 1, "dash": "dot"})
        _label(figure, group)


def _groups(references: dict[str, float], near: float) -> list[list[tuple[str, float]]]:
    """Return the references in groups whose labels would not overlap, the lowest first."""
    groups: list[list[tuple[str, float]]] = []
    for name, accuracy in sorted(references.items(), key=lambda item: item[1]):
        if groups and accuracy - groups[-1][0][1] < near:
            groups[-1].append((name, accuracy))
        else:
            groups.append([(name, accuracy)])
    return groups


def _label(figure: go.Figure, group: list[tuple[str, float]]) -> None:
    low, high = group[0][1], group[-1][1]
    names = group[0][0] if len(group) == 1 else f"{len(group)} published,"
    text = f"{escape(names)} {100 * low:.1f}" + (f" to {100 * high:.1f}" if high > low else "") + "%"
    hover = "<br>".join(f"{escape(name)} {100 * accuracy:.1f}%" for name, accuracy in group)
    place = {"x": 1, "xref": "paper", "xanchor": "right", "y": high, "yanchor": "bottom", "showarrow": False}
    figure.add_annotation(text=text, hovertext=hover, font={"size": 11, "color": PINK}, **place)
