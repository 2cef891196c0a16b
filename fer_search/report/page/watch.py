"""The report of a run that goes on, written anew as it changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from fer_search.errors import UserError
from fer_search.report.page.page import write_report
from fer_search.runfolder.run_json import load_run

SECONDS = 10.0  # between two looks at the run folder; the open page reloads itself as often


def watch_report(
    run: str | Path,
    out: str | Path | None = None,
    plotly: str = "inline",
    *,
    seconds: float = SECONDS,
    told: Callable[[str], object] = print,
    sleep: Callable[[float], object] = time.sleep,
) -> Path:
    """Write a run's report whenever the run folder changed, until the run has finished or the user stops it.

    The open page reloads itself and keeps its place and what was chosen in it; the last one that is written stays
    still. A file that is being written may be broken for a moment: the next look sees it whole.

    Args:
        run: the run folder.
        out: as in ``write_report``.
        plotly: as in ``write_report``.
        seconds: between two looks.
        told: is given a line of text after each page, and where one could not be made.
        sleep: waits.

    Returns:
        The file.

    Raises:
        UserError: the first page cannot be made.
    """
    state, path = None, None
    while True:
        now = fingerprint(Path(run))
        if now != state:
            try:
                going_on = load_run(run).state
                path = write_report(run, out, plotly, watch=seconds)
                told(f"{path}: {going_on or 'written'}")
                if going_on == "finished":
                    return path
            except UserError as error:
                if path is None:
                    raise
                told(f"{error}; looking again in {seconds:g} s")
            state = now
        sleep(seconds)


def fingerprint(run: Path) -> tuple[int, int]:
    """Return a number of files and the latest change among them, in nanoseconds: of what a search writes."""
    files = [run / "run.json", run / "oracle.json", *run.glob("trial_*/epochs.csv"), *run.glob("trial_*/trial.json")]
    times = []
    for file in files:
        try:
            times.append(file.stat().st_mtime_ns)
        except FileNotFoundError:
            continue
    return len(times), max(times, default=0)
