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
    cost,
    curves,
    importance,
    interactions,
    network,
    path,
    published,
    repeat,
    search,
    verdict,
)
from fer_search.report.tables.analysis import View, load_view


def write_report(
    run: str | Path, out: str | Path | None = None, plotly: str = "inline", watch: float | None = None
) -> Path:
    """Write a run's report, whole or not at all.

    Args:
        run: the run folder, or a project folder of stock Keras Tuner.
        out: the HTML file; report.html in the run folder by default. Its folder is made.
        plotly: "inline" puts plotly.js into the file (2 MB, compressed), which then needs no network; "cdn" makes the
            page fetch it.
        watch: seconds after which the open page reloads itself while the run goes on; None for a page that stays.

    Returns:
        The file.

    Raises:
        UserError: the folder is missing or no run, a file in it is broken, or the page cannot be written.
        ValueError: ``plotly`` is something else.
    """
    if plotly not in ("inline", "cdn"):
        raise ValueError(f"plotly must be inline or cdn, not {plotly!r}")
    view = load_view(run)
    return write_page(render(view, plotly, watch), Path(out) if out is not None else view.info.path / "report.html")


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


def render(view: View, plotly: str = "inline", watch: float | None = None) -> str:
    """Return the page as text.

    Args:
        view: the run.
        plotly: "inline" or "cdn", as in ``write_report``.
        watch: as in ``write_report``.
    """
    info, shown = view.info, columns(view.info, view.trials)
    table = page_table(view, shown) | {"kinds": kinds(view.trials)}
    sections = [
        verdict.section(view),
        Section("ranking", "Ranking", ranking(info, view.trials, shown)),
        choices.section(view),
        importance.section(view),
        interactions.section(view, table["choices"]),
        curves.section(view),
        search.section(view),
        cost.section(view),
        network.section(view),
        confirmed.section(view),
        path.section(view),
        published.section(view),
        repeat.section(view),
    ]
    started = info.created[:16].replace("T", " ") + (" UTC" if info.created else "")
    facts = [info.data.get("name"), info.device, started, info.state]
    subtitle = " · ".join(str(fact) for fact in facts if fact) or "a Keras Tuner project"
    going_on = info.state in ("running", "interrupted", "")
    page = Page(
        *(info.name, subtitle, info.cautions(), sections, table),
        filters=filter_bar(view, table["choices"]),
        watch=watch if going_on else None,
    )
    return whole_page(page, plotly)
