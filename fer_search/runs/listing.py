"""The runs of a results folder."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.table import Table

from fer_search.errors import UserError
from fer_search.report.formatting import percent
from fer_search.runfolder.schema import ORACLE_FILE
from fer_search.runs.status import Status, read_status


def list_runs(results: Path) -> list[Status | tuple[Path, str]]:
    """Return the status of every run, the newest first; for a damaged one its folder and the error.

    Raises:
        UserError: There are none.
    """
    folders = [path.parent for path in results.glob(f"*/{ORACLE_FILE}")]
    if not folders:
        raise UserError(f"there is no run in {results}; start one with fer-search run, or give --results-dir")
    folders.sort(key=lambda folder: (folder / ORACLE_FILE).stat().st_mtime, reverse=True)
    runs: list[Status | tuple[Path, str]] = []
    for folder in folders:
        try:
            runs.append(read_status(folder))
        except UserError as error:
            runs.append((folder, str(error)))
    return runs


def runs_table(runs: list[Status | tuple[Path, str]]) -> Table:
    """Return the runs as a table, a row each."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for name in ("run", "date", "data", "width", "images", "state", "trials", "failed", "best", "by"):
        table.add_column(name, justify="right" if name in ("width", "images", "failed") else "left")
    for run in runs:
        if isinstance(run, tuple):
            table.add_row(
                str(run[0]), *[""] * 4, f"damaged; run fer-search doctor {shlex.quote(str(run[0]))}", *[""] * 4
            )
            continue
        planned = f" of {run.planned}" if run.planned else ""
        best = (percent(run.best["accuracy"]), run.best["title"]) if run.best else ("", "")
        state = run.state or "stock Keras Tuner"
        images = f"{run.images:,}" if run.images else ""
        about = (run.created[:10], run.data, f"{run.width:g}", images)
        table.add_row(run.folder, *about, state, f"{run.completed}{planned}", str(run.failed or ""), *best)
    return table


def runs_as_json(runs: list[Status | tuple[Path, str]]) -> str:
    """Return the runs as a JSON list of objects."""
    return json.dumps(
        [{"folder": str(run[0]), "broken": run[1]} if isinstance(run, tuple) else asdict(run) for run in runs]
    )
