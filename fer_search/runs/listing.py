"""The runs of a results folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.table import Table

from fer_search.errors import UserError
from fer_search.report.formatting import percent
from fer_search.runs.status import Status, read_status


def list_runs(results: Path) -> list[Status | tuple[Path, str]]:
    """Return the state of every run, the newest first; for a broken one its folder and what is wrong.

    Raises:
        UserError: there are none.
    """
    folders = [path.parent for path in results.glob("*/oracle.json")]
    if not folders:
        raise UserError(f"there is no run in {results}; start one with fer-search run, or give --results-dir")
    folders.sort(key=lambda path: (path / "oracle.json").stat().st_mtime, reverse=True)
    found: list[Status | tuple[Path, str]] = []
    for folder in folders:
        try:
            found.append(read_status(folder))
        except UserError as error:
            found.append((folder, str(error)))
    return found


def runs_table(runs: list[Status | tuple[Path, str]]) -> Table:
    table = Table("run", "state", "trials", "failed", "best", "by", box=box.SIMPLE_HEAD, show_edge=False)
    for run in runs:
        if isinstance(run, tuple):
            table.add_row(str(run[0]), f"broken; fer-search doctor {run[0]}", "", "", "", "")
            continue
        of = f" of {run.planned}" if run.planned else ""
        best = (percent(run.best["accuracy"]), run.best["title"]) if run.best else ("", "")
        table.add_row(run.folder, run.state or "Keras Tuner's", f"{run.completed}{of}", str(run.failed or ""), *best)
    return table


def runs_as_json(runs: list[Status | tuple[Path, str]]) -> str:
    plain = [{"folder": str(r[0]), "broken": r[1]} if isinstance(r, tuple) else asdict(r) for r in runs]
    return json.dumps(plain)
