"""The page around the sections: head, navigation, the filter bar, charts' data, style, script and plotly.js."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from importlib import resources
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.offline

from fer_search.report.figures.theme import BEST, DARK, MUTED, SEQUENCE, TRIAL
from fer_search.report.page.markup import Markup, join, tag
from fer_search.runfolder.run_json import PROTOCOL

CDN = "https://cdn.plot.ly"
SCRIPTS = ("data.js", "charts.js", "roles.js", "ranking.js", "page.js", "live.js")  # in this order
CONFIG = {
    "displaylogo": False,
    "showSendToCloud": False,  # Plotly's charts otherwise offer to upload themselves
    "responsive": True,
    "displayModeBar": "hover",
    "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
}
TRIAL_ROLES = ("dots", "lines", "flow", "trainings")  # roles of traces whose points are trials
REDRAWN = {  # role -> what the script sets itself
    "dots": ("y", "text"),
    "trainings": ("text",),
    "curves": ("x", "y", "text"),
    "running": ("x", "y", "text"),
    "curve": ("x", "y"),
    "trial": ("x", "y"),
}


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure of the page.

    Args:
        id: of its element.
        figure: its title becomes the caption, which wraps on a narrow screen, unlike a title inside the figure. A
            trace's ``meta["role"]`` tells the script how to redraw it for the reader's filter (browser/roles.js).
        size: "wide", "small", "square", "rows", or "labelled" (as wide as its labels need, even on a narrow screen). A
            layout with a height of its own keeps it.
        axes: choices along a parallel-coordinates chart, for brushing.
    """

    id: str
    figure: go.Figure
    size: str = "wide"
    axes: Sequence[str] = ()

    def placeholder(self) -> Markup:
        """Return the element that the script draws into."""
        layout = self.figure.layout
        title, subtitle = unescape(layout.title.text or ""), unescape(layout.title.subtitle.text or "")
        height = f"height:{layout.height:.0f}px" if layout.height else None
        label = ", ".join(filter(None, (title, subtitle)))
        drawing = tag("div", id=self.id, class_=f"chart {self.size}", role="img", aria_label=label, style=height)
        return tag("figure", tag("figcaption", title, tag("span", subtitle, class_="of")), drawing)

    def json(self, rows: Mapping[str, int]) -> dict[str, Any]:
        """Return data and layout for plotly.js, without the title; trials as rows of the page's table."""
        content = _unpacked(json.loads(self.figure.to_json()))
        layout = {key: value for key, value in content["layout"].items() if key not in ("title", "template")}
        margin = layout.get("margin", {})
        layout["margin"] = {**margin, "t": 14 if margin.get("t", 60) == 60 else margin["t"]}  # 60: room for the title
        layout["uirevision"] = "reader"  # zoom stays when the data change
        for trace in content["data"]:
            role = trace.get("meta", {}).get("role")
            if role in TRIAL_ROLES:
                trace["customdata"] = [rows[trial] for trial in trace.get("customdata", [])]
            for name in REDRAWN.get(role, ()):
                trace.pop(name, None)
        return {"data": content["data"], "layout": layout, "axes": list(self.axes)}


@dataclass(frozen=True, eq=False)
class Section:
    """A section of the page.

    Args:
        id: of its element.
        title: heading.
        body: content; a section without content is left out.
        charts: whose placeholders are in the body.
        folded: whether it is closed until the reader opens it.
        link: text in the navigation; the title by default.
    """

    id: str
    title: str
    body: Markup
    charts: Sequence[Chart] = field(default_factory=tuple)
    folded: bool = False
    link: str = ""

    def markup(self) -> Markup:
        """Return the section's element."""
        heading = tag("h2", self.title, id=f"{self.id}-title")
        content = tag("details", tag("summary", heading), self.body) if self.folded else join(heading, self.body)
        return tag("section", content, id=self.id, aria_labelledby=f"{self.id}-title")


@dataclass(frozen=True, eq=False)
class Page:
    """Content of a page.

    Args:
        name: heading.
        subtitle: line below it.
        cautions: what qualifies all numbers.
        sections: in their order.
        table: from ``page_data.page_table``; empty where there is nothing to choose from.
        filters: the filter bar, below the first section; None where there is nothing to choose from.
        live: seconds between two requests for news by a page that a server keeps up to date; None for a file.
        majority: name and fraction of the most frequent class; None where it is not known.
    """

    name: str
    subtitle: str
    cautions: Sequence[str]
    sections: Sequence[Section]
    table: Mapping[str, Any] = field(default_factory=dict)
    filters: Markup | None = None
    live: float | None = None
    majority: tuple[str, float] | None = None


def whole_page(page: Page, plotly: str) -> str:
    """Return the page as text.

    Args:
        page: its content.
        plotly: "inline", "cdn" or "served" (by the server that keeps the page up to date).
    """
    sections = [section for section in page.sections if section.body]
    charts = {chart.id: chart.json(page.table.get("rows", {})) for section in sections for chart in section.charts}
    links = (tag("li", tag("a", section.link or section.title, href=f"#{section.id}")) for section in sections)
    first, rest = [section.markup() for section in sections[:1]], [section.markup() for section in sections[1:]]
    source = {"inline": "This file needs no network.", "cdn": "Its charts need plotly.js from the network."}.get(
        plotly, ""
    )
    body = tag(
        "body",
        tag("a", "Skip to the verdict", href="#verdict", class_="skip"),
        tag("header", tag("h1", page.name), tag("p", page.subtitle), tag("div", id="live", hidden=True)),
        tag("nav", tag("ul", *links), aria_label="Sections"),
        tag(
            "main",
            _cautions(page.cautions),
            tag("noscript", tag("p", "The charts need JavaScript; the tables do not.")),
            *first,
            page.filters,
            *rest,
            tag("aside", id="selected", class_="selected", hidden=True, aria_live="polite") if page.table else None,
        ),
        tag("footer", tag("p", f"Made by fer-search from the run folder alone. {source}".strip())),
        *_scripts({"table": dict(page.table), "charts": charts}, plotly, page),
    )
    return "<!doctype html>\n" + tag("html", _head(page.name, plotly), body, lang="en") + "\n"


def _cautions(lines: Sequence[str]) -> Markup | None:
    """Return the cautions; the protocol alone is information, more is a warning."""
    kind = "cautions" if any(not line.startswith(PROTOCOL) for line in lines) else "cautions quiet"
    return tag("div", *(tag("p", line) for line in lines), class_=kind, role="note") if lines else None


def _head(name: str, plotly: str) -> Markup:
    # The browser refuses all requests of the page except for plotly.js and to the server that keeps it up to date.
    source = f" {CDN}" if plotly == "cdn" else " 'self'" if plotly == "served" else ""
    connect = "connect-src 'self'; " if plotly == "served" else ""
    policy = (
        f"default-src 'none'; script-src 'unsafe-inline'{source}; style-src 'unsafe-inline'; img-src data: blob:; "
        f"{connect}base-uri 'none'; form-action 'none'"
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


def _scripts(content: dict[str, Any], plotly: str, page: Page) -> list[Markup]:
    settings: dict[str, Any] = {"config": CONFIG, "dark": DARK, "palette": SEQUENCE, "live": page.live}
    settings |= {"muted": MUTED, "trial": TRIAL, "best": BEST, "majority": page.majority}
    sources = {"cdn": f"{CDN}/plotly-{plotly_version()}.min.js", "served": "plotly.js"}
    settings["plotly"] = sources.get(plotly)
    parts = [_packed("content", json.dumps(content, separators=(",", ":"), allow_nan=False))]
    if plotly == "inline" and content["charts"]:
        parts.append(_packed_plotly())
    # "</script>" or "<!--" in a string would end the element early.
    plain = json.dumps(settings, separators=(",", ":")).replace("<", "\\u003c")
    code = "".join(_file(f"browser/{name}") for name in SCRIPTS)
    return [tag("script", Markup(plain), type="application/json", id="settings"), *parts, tag("script", Markup(code))]


def _packed(name: str, text: str) -> Markup:
    """Return compressed text, a sixth to a half of its size; browsers unpack it themselves (all of them since 2023)."""
    packed = gzip.compress(text.encode(), compresslevel=5, mtime=0)
    return tag("script", Markup(base64.b64encode(packed).decode()), type="text/plain", id=f"{name}-gzip")


@cache
def _packed_plotly() -> Markup:
    return _packed("plotly", plotly_js())


def plotly_js() -> str:
    """Return the text of plotly.js."""
    return str(plotly.offline.get_plotlyjs())


def plotly_version() -> str:
    """Return the version of plotly.js."""
    return str(plotly.offline.get_plotlyjs_version())


def _file(name: str) -> str:
    return (resources.files("fer_search.report.page") / name).read_text(encoding="utf-8")


def _unpacked(value: Any) -> Any:
    """Return a figure's JSON with plain lists for the arrays that Plotly packs; null for NaN."""
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
