"""A run folder -> tables and Plotly figures -> one HTML file. Needs neither TensorFlow nor Keras.

    import fer_search.report
    trials = fer_search.report.load_trials("results/report")   # a pandas DataFrame, documented there
"""

from __future__ import annotations

from pathlib import Path

from fer_search.report.load import RunInfo, load_epochs, load_run, load_trials, newest_run
from fer_search.report.text import to_csv, to_json, to_markdown


def write_report(run: str | Path, out: Path | None = None, plotly_js: str = "inline") -> Path:
    """See ``fer_search.report.page.write_report``; here so that the tables do not import Plotly."""
    from fer_search.report.page import write_report as write

    return write(run, out, plotly_js)


__all__ = [
    "RunInfo",
    "load_epochs",
    "load_run",
    "load_trials",
    "newest_run",
    "to_csv",
    "to_json",
    "to_markdown",
    "write_report",
]
