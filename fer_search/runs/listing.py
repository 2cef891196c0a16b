"""The runs of a results folder."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import JustifyMethod
from rich.table import Table

from fer_search.errors import UserError
from fer_search.report.formatting import percent
from fer_search.runfolder.schema import ORACLE_FILE, RUN_FILE
from fer_search.runs.status import Status, read_status

COLUMNS = ("run", "date", "data", "width", "images", "state", "trials", "failed", "best", "by")
NARROW = ("run", "date", "data", "state", "trials", "best")
WIDE = 120  # characters of a line that all columns take
MIN_WIDTHS = {"data": len("folders)"), "state": len("interrupted")}  # so that words are not broken


def list_runs(results: Path) -> list[Status | tuple[Path, str]]:
    """Return the status of every run, the newest first; for a damaged one its folder and the error.

    Raises:
        UserError: There are none.
    """
    folders = list({path.parent: None for name in (RUN_FILE, ORACLE_FILE) for path in results.glob(f"*/{name}")})
    if not folders:
        raise UserError(f"there is no run in {results}; start one with fer-search run, or give --results-dir")
    folders.sort(key=_changed, reverse=True)
    runs: list[Status | tuple[Path, str]] = []
    for folder in folders:
        try:
            runs.append(read_status(folder))
        except UserError as error:
            runs.append((folder, str(error)))
    return runs


def _changed(folder: Path) -> float:
    files = [folder / name for name in (ORACLE_FILE, RUN_FILE)]
    return next((file.stat().st_mtime for file in files if file.exists()), 0.0)


def runs_table(runs: list[Status | tuple[Path, str]], width: int = 240) -> Table:
    """Return the runs as a table, a row each.

    Args:
        runs: From ``list_runs``.
        width: Number of characters in a line; in less than ``WIDE`` only the most important columns are shown.
    """
    shown = [index for index, name in enumerate(COLUMNS) if width >= WIDE or name in NARROW]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for name in (COLUMNS[index] for index in shown):
        justify: JustifyMethod = "right" if name in ("width", "images", "failed") else "left"
        wraps = name in ("data", "state", "by")
        table.add_column(name, justify=justify, no_wrap=not wraps, overflow="fold", min_width=MIN_WIDTHS.get(name))
    for run in runs:
        cells = _cells(run)
        table.add_row(*(cells[index] for index in shown))
    return table


def _cells(run: Status | tuple[Path, str]) -> tuple[str, ...]:
    """Return a run's cells, one for each of ``COLUMNS``."""
    if isinstance(run, tuple):
        damaged = f"damaged; run fer-search doctor {shlex.quote(str(run[0]))}"
        return (str(run[0]), *[""] * 4, damaged, *[""] * 4)
    planned = f" of {run.planned}" if run.planned else ""
    best = (percent(run.best["accuracy"]), run.best["title"]) if run.best else ("", "")
    state = (run.state or "stock Keras Tuner").replace("_", " ")
    images = f"{run.images:,}" if run.images else ""
    about = (run.created[:10], run.data, f"{run.width:g}", images)
    return (run.folder, *about, state, f"{run.completed}{planned}", str(run.failed or ""), *best)


def runs_as_json(runs: list[Status | tuple[Path, str]]) -> str:
    """Return the runs as a JSON list of objects."""
    return json.dumps(
        [{"folder": str(run[0]), "broken": run[1]} if isinstance(run, tuple) else asdict(run) for run in runs]
    )
