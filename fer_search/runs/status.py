"""What a run is doing, read from its folder while another process writes it, or after."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fer_search.report import load_run, load_trials
from fer_search.report.formatting import duration, percent, title
from fer_search.runfolder.folder import RunFolder

STATES = {
    "finished": "finished",
    "interrupted": "interrupted; the same command goes on",
    "out_of_time": "out of time; --extend with a longer --time-budget goes on",
    "failing": "stopped, too many trials failed in a row",
    "killed": "not running, and it was not ended by itself: killed, or the power went; the same command goes on",
}


@dataclass(frozen=True)
class Status:
    """A run at this moment.

    Args:
        folder: of the run.
        state: running, finished, interrupted, out_of_time, failing, killed; "" of a stock Keras Tuner project.
        command: that started it.
        completed, failed, unfinished: trials.
        planned: trials in all, if that is known.
        best: the best trial's id, name and accuracy; None where there is none.
        seconds: that it has taken so far; None where that is not known.
        now: the running trial: its epoch, how much of it is done, live accuracy, seconds left.
    """

    folder: str
    state: str
    command: str
    completed: int
    failed: int
    unfinished: int
    planned: int | None
    best: dict[str, Any] | None
    seconds: float | None
    now: dict[str, Any] | None


def read_status(run: Path) -> Status:
    """Return what a run folder says.

    Raises:
        UserError: it is no run, or a file in it is broken.
    """
    info, trials = load_run(run), load_trials(run)
    folder = RunFolder(run)
    live = folder.read_live() if folder.in_use() else None
    state = info.state
    if folder.in_use():
        state = "running"
    elif state == "running":
        state = "killed"
    counts = trials["status"].value_counts()
    done = trials[trials["status"] == "completed"]
    best = None
    if len(done) and not pd.isna(done.iloc[0]["accuracy"]):
        first = done.iloc[0]
        best = {"trial": str(first["trial"]), "title": title(first), "accuracy": float(first["accuracy"])}
    tuner = info.tuner or {}
    planned = live.get("trials") if live else tuner.get("trials") or tuner.get("max_trials")
    seconds = live["seconds"] if live else info.seconds
    number = {name: int(counts.get(name, 0)) for name in ("completed", "failed", "running")}
    return Status(
        str(run),
        state,
        info.command,
        number["completed"],
        number["failed"],
        number["running"],
        planned,
        best,
        seconds,
        live,
    )


def status_lines(status: Status) -> list[str]:
    """Return the same for people."""
    lines = [f"{status.folder}: {STATES.get(status.state, status.state) or 'a project of stock Keras Tuner'}"]
    of = f" of {status.planned}" if status.planned else ""
    failed = f", {status.failed} failed" if status.failed else ""
    took = f", {duration(status.seconds)} so far" if status.seconds else ""
    lines.append(f"trials: {status.completed}{of} completed{failed}{took}")
    if status.best:
        lines.append(f"best: {percent(status.best['accuracy'])}, {status.best['title']}")
    if now := status.now:
        low, high = now["left"]
        done = f"{now['done'] / now['images']:.0%} of it, accuracy {now['accuracy']:.3f}"
        at = done if now["done"] else "building and compiling its network"
        lines.append(
            f"now: trial {now['trial']}, epoch {now['epoch']} of {now['epochs']}, {at}; "
            f"{duration(low)} to {duration(high)} left"
        )
        if (silent := time.time() - now["time"]) > 120:
            lines.append(f"no sign of progress for {duration(silent)}")
    elif status.state == "running":
        lines.append("now: getting ready")
    return lines


def status_as_json(status: Status) -> str:
    """Return the same for programs."""
    return json.dumps(asdict(status))
