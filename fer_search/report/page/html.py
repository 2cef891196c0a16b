"""The page around the sections: head, navigation, the filter bar, charts' data, style, script and plotly.js."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape
from importlib import resources
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.offline

from fer_search.report.figures.theme import BEST, DARK, MUTED, SEQUENCE, TRIAL
from fer_search.report.page.markup import Markup, join, tag

CDN = "https://cdn.plot.ly"
SCRIPTS = (  # in their order
    *("data.js", "charts.js", "roles.js", "statistics.js", "effects.js", "importances.js", "pairs.js"),
    *("learned.js", "ranking.js", "page.js"),
)
CONFIG = {
    "displaylogo": False,
    "showSendToCloud": False,  # Plotly's charts otherwise offer to upload themselves
    "responsive": True,
    "displayModeBar": "hover",
    "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
}
SHORT = {  # headings that are too long for the navigation, by the section's id
    **{"choices": "Each choice", "interactions": "Together", "curves": "Curves", "search": "Search", "cost": "Cost"},
    **{"network": "Best network", "path": "Baseline to best", "published": "Published", "repeat": "Repeat"},
}
OWN = ("dots", "lines", "flow")  # roles whose points are trials
REDRAWN = {
    "dots": ("y", "text"),
    "curves": ("x", "y", "text"),
    "curve": ("x", "y"),
    "trial": ("x", "y"),
}  # by the script


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure of the page.

    Args:
        id: of its element.
        figure: its title becomes the caption, which wraps on a narrow screen as a title inside the figure does not. A
            trace's ``meta["role"]`` says how the script redraws it for what the reader chose (browser/roles.js).
        size: "wide", "small", "square", "rows", or "labelled": as wide as its labels need, also on a narrow screen. A
            layout with a height of its own keeps that.
        axes: choices along a parallel-coordinates chart, for brushing.
    """

    id: str
    figure: go.Figure
    size: str = "wide"
    axes: Sequence[str] = ()

    def placeholder(self) -> Markup:
        """Return the element that the script draws into."""
        layout = self.figure.layout
        words, of = unescape(layout.title.text or ""), unescape(layout.title.subtitle.text or "")
        height = f"height:{layout.height:.0f}px" if layout.height else None
        label = ", ".join(filter(None, (words, of)))
        drawing = tag("div", id=self.id, class_=f"chart {self.size}", role="img", aria_label=label, style=height)
        return tag("figure", tag("figcaption", words, tag("span", of, class_="of")), drawing)

    def json(self, rows: Mapping[str, int]) -> dict[str, Any]:
        """Return data and layout for plotly.js, without the title; trials as rows of the page's table."""
        content = _unpacked(json.loads(self.figure.to_json()))
        layout = {key: value for key, value in content["layout"].items() if key not in ("title", "template")}
        layout["margin"] = {**layout.get("margin", {}), "t": layout.get("margin", {}).get("t", 12)}
        if layout["margin"]["t"] == 60:  # the title's room
            layout["margin"]["t"] = 14
        for trace in content["data"]:
            role = trace.get("meta", {}).get("role")
            if role in OWN:
                trace["customdata"] = [rows[trial] for trial in trace.get("customdata", [])]
            for name in REDRAWN.get(role, ()):
                trace.pop(name, None)
        return {"data": content["data"], "layout": layout, "axes": list(self.axes)}


@dataclass(frozen=True, eq=False)
class Section:
    """A section of the page: id, heading, content, and the charts whose places are in it."""

    id: str
    title: str
    body: Markup
    charts: Sequence[Chart] = field(default_factory=tuple)


@dataclass(frozen=True, eq=False)
class Page:
    """All that a page shows.

    Args:
        name: its heading.
        subtitle: what stands under it.
        cautions: what must be read before the numbers.
        sections: in their order; those without content are left out.
        table: from ``tables.page_table``; empty where there is nothing to choose from.
        filters: the filter bar; None where there is nothing to choose from.
        watch: seconds after which the open page reloads itself; None for a page that stays.
    """

    name: str
    subtitle: str
    cautions: Sequence[str]
    sections: Sequence[Section]
    table: Mapping[str, Any] = field(default_factory=dict)
    filters: Markup | None = None
    watch: float | None = None


def whole_page(page: Page, plotly: str) -> str:
    """Return the page as text.

    Args:
        page: its content.
        plotly: "inline" or "cdn".
    """
    sections = [section for section in page.sections if section.body]
    rows = {trial: at for at, trial in enumerate(page.table.get("trial", ()))}
    charts = {chart.id: chart.json(rows) for section in sections for chart in section.charts}
    links = (tag("li", tag("a", SHORT.get(section.id, section.title), href=f"#{section.id}")) for section in sections)
    bodies = (
        tag(
            "section",
            tag("h2", one.title, id=f"{one.id}-title"),
            one.body,
            id=one.id,
            aria_labelledby=f"{one.id}-title",
        )
        for one in sections
    )
    offline = "This file needs no network." if plotly == "inline" else "Its charts need plotly.js from the network."
    body = tag(
        "body",
        tag("a", "To the verdict", href="#verdict", class_="skip"),
        tag("header", tag("h1", page.name), tag("p", page.subtitle)),
        tag("nav", tag("ul", *links), aria_label="Sections"),
        page.filters,
        tag(
            "main",
            _cautions(page.cautions),
            tag("noscript", tag("p", "The charts need JavaScript; the tables do not.")),
            *bodies,
        ),
        tag("footer", tag("p", f"Made by fer-search from the run folder alone. {offline}")),
        *_scripts({"table": dict(page.table), "charts": charts}, plotly, page.watch),
    )
    return "<!doctype html>\n" + tag("html", _head(page.name, plotly), body, lang="en") + "\n"


def _cautions(lines: Sequence[str]) -> Markup | None:
    """The protocol alone is information; more is a warning."""
    kind = "cautions" if any(not line.startswith("Protocol: ") for line in lines) else "cautions quiet"
    return tag("div", *(tag("p", line) for line in lines), class_=kind, role="note") if lines else None


def _head(name: str, plotly: str) -> Markup:
    # The browser itself refuses any request of the page; with "cdn", all but the one for plotly.js.
    source = f" {CDN}" if plotly == "cdn" else ""
    policy = (
        f"default-src 'none'; script-src 'unsafe-inline'{source}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{name} · fer-search"),
        tag("style", Markup(_file("page.css"))),
    )


def _scripts(content: dict, plotly: str, watch: float | None) -> list[Markup]:
    settings: dict[str, Any] = {"config": CONFIG, "dark": DARK, "palette": SEQUENCE, "watch": watch}
    settings |= {"muted": MUTED, "trial": TRIAL, "best": BEST}
    settings["plotly"] = f"{CDN}/plotly-{plotly_version()}.min.js" if plotly == "cdn" else None
    parts = [_packed("content", json.dumps(content, separators=(",", ":"), allow_nan=False))]
    if plotly == "inline" and content["charts"]:
        parts.append(_packed("plotly", plotly_js()))
    # "</script>" or "<!--" in a string would end the element early
    plain = json.dumps(settings, separators=(",", ":")).replace("<", "\\u003c")
    code = "".join(_file(f"browser/{name}") for name in SCRIPTS)
    return [tag("script", Markup(plain), type="application/json", id="settings"), *parts, tag("script", Markup(code))]


def _packed(name: str, text: str) -> Markup:
    """Compressed, a sixth to a half of its size; the browser itself unpacks it (all of them since 2023)."""
    packed = gzip.compress(text.encode(), compresslevel=5, mtime=0)
    return tag("script", Markup(base64.b64encode(packed).decode()), type="text/plain", id=f"{name}-gzip")


def plotly_js() -> str:
    """Return the text of plotly.js."""
    return plotly.offline.get_plotlyjs()


def plotly_version() -> str:
    """Return the version of plotly.js."""
    return plotly.offline.get_plotlyjs_version()


def _file(name: str) -> str:
    return (resources.files("fer_search.report.page") / name).read_text(encoding="utf-8")


def _unpacked(value: Any) -> Any:
    """Return a figure's JSON with plain lists for the arrays that Plotly packs; null for what is no number."""
    if isinstance(value, list):
        return [_unpacked(one) if isinstance(one, (dict, list)) else one for one in value]
    if not isinstance(value, dict):
        return value
    if "bdata" not in value:
        return {key: _unpacked(one) for key, one in value.items()}
    numbers = np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"])
    if "shape" in value:
        numbers = numbers.reshape([int(size) for size in str(value["shape"]).split(",")])
    if numbers.dtype.kind != "f" or numbers.ndim > 1:
        return numbers.tolist()
    return [None if one != one else float(f"{one:.5g}") for one in numbers.tolist()]


def by_budget(parts: Mapping[str, Markup | None], default: str) -> Markup:
    """Return the same content for several budgets, of which the page shows the reader's.

    Args:
        parts: budget's name -> content.
        default: the budget that is shown first.
    """
    return join(*(tag("div", part, data_budget=name, hidden=name != default) for name, part in parts.items() if part))


def of_all(content: Markup | None) -> Markup | None:
    """Return content that is of all trials: hidden while the filter leaves some out."""
    return tag("div", content, class_="of-all") if content else None


def either(whole: str, name: str, element: str = "span", kind: str = "") -> Markup:
    """Return words of all trials, and the place of the script's own while the filter leaves some out.

    Args:
        whole: the words.
        name: what the script (browser/learned.js) calls the place.
        element: that they stand in.
        kind: class of it.
    """
    return join(
        tag(element, whole, class_=f"of-all {kind}".strip()),
        tag(element, class_=f"of-shown {kind}".strip(), data_words=name, hidden=True),
    )
