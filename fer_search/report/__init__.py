"""A run folder -> tables and Plotly figures -> one HTML file. Needs neither TensorFlow nor Keras.

import fer_search.report as report
from fer_search.report import figures

designs = report.load_designs("results/report")  # a pandas DataFrame, documented there column by column
curves = report.load_epochs("results/report")
figures.plot_learning_curves(designs, curves).show()
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fer_search.report.tables.confirmed import load_confirmation
from fer_search.report.tables.curves import load_epochs
from fer_search.report.tables.designs import load_designs
from fer_search.report.tables.text_export import to_csv, to_json, to_markdown
from fer_search.report.tables.trials import load_trials
from fer_search.runfolder.choices import Choice
from fer_search.runfolder.run_json import RunInfo, load_run, newest_run

# Pages and figures are wrapped in functions, so that importing the tables does not import Plotly.


def write_report(run: str | Path, out: str | Path | None = None, plotly: str = "inline") -> Path:
    """Write a run's report; see ``fer_search.report.page.page.write_report``."""
    from fer_search.report.page.page import write_report as write

    return write(run, out, plotly)


def write_comparison(runs: Sequence[str | Path], out: str | Path, plotly: str = "inline") -> Path:
    """Write a page that compares runs; see ``fer_search.report.page.comparison.write_comparison``."""
    from fer_search.report.page.comparison import write_comparison as write

    return write(runs, out, plotly)


def watch_report(run: str | Path, out: str | Path | None = None, plotly: str = "inline", port: int = 8765) -> Path:
    """Serve a run's report while the run continues; see ``fer_search.report.page.watch.watch_report``."""
    from fer_search.report.page.watch import watch_report as watch

    return watch(run, out, plotly, port=port)


def write_figure(run: str | Path, name: str, out: str | Path) -> Path:
    """Write one figure of a run's report; see ``fer_search.report.figures.export.write_figure``."""
    from fer_search.report.figures.export import write_figure as write

    return write(run, name, out)


__all__ = [
    "Choice",
    "RunInfo",
    "load_confirmation",
    "load_designs",
    "load_epochs",
    "load_run",
    "load_trials",
    "newest_run",
    "to_csv",
    "to_json",
    "to_markdown",
    "watch_report",
    "write_comparison",
    "write_figure",
    "write_report",
]
