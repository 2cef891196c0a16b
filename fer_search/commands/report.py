"""fer-search report. Does not import Keras."""

from __future__ import annotations

import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fer_search.commands.options import RESULTS, ResultsDir
from fer_search.errors import UserError
from fer_search.terminal import printable


class Format(StrEnum):
    html = "html"
    md = "md"
    csv = "csv"
    json = "json"


class Plotly(StrEnum):
    inline = "inline"
    cdn = "cdn"


COMPARISON = "comparison.html"


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Run folder; several are compared. [default: the newest in the results folder]"),
    ] = None,
    results_dir: ResultsDir = RESULTS,
    format: Annotated[
        Format, typer.Option("--format", help="HTML page, or the table of trials as text.")
    ] = Format.html,
    figure: Annotated[
        str | None,
        typer.Option(
            help="Write only this figure to --out: .html, .json or, with the extra 'images', .png, .svg, .pdf."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help=f"Output file. [default: report.html in the run folder; {COMPARISON} for several; text: stdout]"
        ),
    ] = None,
    plotly: Annotated[
        Plotly, typer.Option(help="Embed plotly.js in the page (2 MB), or load it from a CDN when the page is opened.")
    ] = Plotly.inline,
    watch: Annotated[
        bool, typer.Option("--watch", help="Serve the page on this machine and update it while the run continues.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port for --watch; another one if it is taken.", min=0, max=65535)] = 8765,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing --out file.")] = False,
) -> None:
    """Report what a run found, or compare several runs."""
    from fer_search import report as reports

    several = len(runs or []) > 1
    page = format is Format.html and figure is None
    if several and (watch or not page):
        raise UserError("--watch, --figure and --format take one run; give one run folder")
    if not page and (watch or (figure is not None and format is not Format.html)):
        raise UserError("--watch is for the page, --figure for one figure, --format for a table; give one of them")
    if figure is not None and out is None:
        raise UserError(f"--figure {figure} needs --out FILE, ending in .html, .json, .png, .svg or .pdf")
    if out is None and several:
        out = Path(COMPARISON)
    if out is not None and out.exists() and not overwrite:
        raise UserError(f"{out} exists; choose another --out, or replace it with --overwrite")
    if runs and out is not None and several:
        print(reports.write_comparison(runs, out, plotly.value))
        return
    run = runs[0] if runs else reports.newest_run(results_dir)
    if figure is not None and out is not None:
        print(reports.write_figure(run, figure, out))
    elif watch:
        with suppress(KeyboardInterrupt):  # the normal way to stop it
            reports.watch_report(run, out, plotly.value, port)
    elif page:
        print(reports.write_report(run, out, plotly.value))
    else:
        _write_text(run, format, out)


def _write_text(run: Path, form: Format, out: Path | None) -> None:
    from fer_search import report as reports
    from fer_search.files import write_text

    text = {Format.md: reports.to_markdown, Format.csv: reports.to_csv, Format.json: reports.to_json}[form](run)
    if form is Format.md:
        text = printable(text)
    if out is None:
        sys.stdout.write(text)
    else:
        write_text(out, text)
        print(out)
