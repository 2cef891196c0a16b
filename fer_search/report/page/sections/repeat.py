"""How to repeat the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fer_search.report import formatting
from fer_search.report.page.html import Section
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.tables.analysis import RunAnalysis
from fer_search.runfolder.run_json import RunInfo


def section(analysis: RunAnalysis) -> Section:
    """Return the command, seed, data, settings, versions, and the space's source."""
    content = Markup() if analysis.info.stock else _content(analysis.info)
    return Section("repeat", "How to repeat this", content, folded=True, link="Repeat")


def _content(info: RunInfo) -> Markup:
    data, space = info.data, info.space
    facts = {
        "Seed": info.seed,
        "Data": f"{data.get('name', '?')}; fingerprint {data.get('fingerprint', 'not recorded')}",
        "Data notes": "; ".join(map(str, data.get("notes") or ())),
        "Space": f"{space.get('path', '?')}; sha256 {space.get('sha256', 'not recorded')}",
        "Tuner": _pairs(info.tuner),
        "Settings": _pairs(info.settings),
        "Device": ", ".join(filter(None, (info.device, f"{info.backend} backend" if info.backend else ""))),
        "Versions": _pairs(info.versions),
    }
    known = ((name, str(fact)) for name, fact in facts.items() if fact not in (None, ""))
    items = (tag("div", tag("dt", name), tag("dd", fact)) for name, fact in known)
    text = space.get("text")
    source = tag("details", tag("summary", "Source of the space"), tag("pre", text, tabindex=0)) if text else None
    command = tag("pre", info.command, tabindex=0) if info.command else None
    return join(command, tag("dl", *items, class_="record"), source)


def _pairs(table: Mapping[str, Any]) -> str:
    known = {key: value for key, value in table.items() if value not in (None, "", {}, [])}
    return ", ".join(f"{'' if key == 'name' else formatting.label(key)} {_value(known[key])}".strip() for key in known)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key}={formatting.value(entry)}" for key, entry in value.items())
    return formatting.value(value)
