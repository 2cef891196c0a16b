"""Tables and figures -> one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from fer_search.errors import UserError
from fer_search.files import write_text
from fer_search.report.page.filters import filter_bar
from fer_search.report.page.html import Page, Section, whole_page
from fer_search.report.page.page_data import page_table
from fer_search.report.page.ranking import columns, kinds, ranking
from fer_search.report.page.sections import (
    choices,
    confirmed,
    curves,
    network,
    path,
    published,
    repeat,
    search,
    verdict,
)
from fer_search.report.tables.analysis import RunAnalysis, load_analysis

PLOTLY = ("inline", "cdn")
STATES = {"out_of_time": "time budget used up", "failing": "stopped after too many failures"}


def write_report(run: str | Path, out: str | Path | None = None, plotly: str = "inline") -> Path:
    """Write a run's report, whole or not at all.

    Args:
        run: the run folder, or a project folder of stock Keras Tuner.
        out: the HTML file; report.html in the run folder by default. Its folder is made.
        plotly: "inline" puts plotly.js into the file (2 MB, compressed), which then needs no network; "cdn" makes the
            page fetch it.

    Returns:
        The file.

    Raises:
        UserError: the folder is missing or not a run, a file in it is broken, or the page cannot be written.
        ValueError: ``plotly`` is something else.
    """
    if plotly not in PLOTLY:
        raise ValueError(f"plotly must be inline or cdn, not {plotly!r}")
    analysis = load_analysis(run)
    return write_page(render(analysis, plotly), Path(out) if out is not None else analysis.info.path / "report.html")


def write_page(html: str, path: Path) -> Path:
    """Write a page whole; its folder is made.

    Raises:
        UserError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, html)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}); give another file with --out") from error
    return path


def render(analysis: RunAnalysis, plotly: str = "inline", live: float | None = None) -> str:
    """Return the page as text.

    Args:
        analysis: the run.
        plotly: "inline" or "cdn", as in ``write_report``, or "served".
        live: seconds between two requests for news, of a page that a server keeps up to date; None for a file.
    """
    info, shown = analysis.info, columns(analysis)
    table = page_table(analysis, shown) | {"kinds": kinds(analysis.designs)}
    sections = [
        verdict.section(analysis),
        Section("ranking", "Ranking", ranking(analysis, shown)),
        curves.section(analysis),
        search.section(analysis),
        choices.section(analysis, table["choices"]),
        network.section(analysis),
        path.section(analysis),
        confirmed.section(analysis),
        published.section(analysis),
        repeat.section(analysis),
    ]
    started = info.created[:16].replace("T", " ") + (" UTC" if info.created else "")
    facts = [info.data.get("name"), info.device, started, STATES.get(info.current_state, info.current_state)]
    subtitle = " · ".join(str(fact) for fact in facts if fact) or "a Keras Tuner project"
    page = Page(
        info.name, subtitle, info.cautions(), sections, table, filter_bar(analysis, table), live, analysis.majority
    )
    return whole_page(page, plotly)
