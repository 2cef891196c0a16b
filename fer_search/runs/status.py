"""The status of a run, read from its folder while or after another process writes to it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fer_search.report import load_run, load_trials
from fer_search.report.formatting import duration, title, with_interval
from fer_search.report.tables.designs import build_designs
from fer_search.runfolder.folder import RunFolder

STATES = {
    "finished": "finished",
    "interrupted": "interrupted; re-run the same command to resume",
    "out_of_time": "out of time; re-run with --extend and a longer --time-budget to continue",
    "failing": "stopped: too many trials failed in a row",
    "killed": "killed, or the power failed; re-run the same command to resume",
}


@dataclass(frozen=True)
class Status:
    """The status of a run.

    Args:
        folder: Run folder.
        state: running, finished, interrupted, out_of_time, failing or killed; "" for a stock Keras Tuner project.
        command: Command line that started it.
        completed, failed, unfinished: Numbers of trials.
        planned: Number of trials in total; None if unknown.
        best: "trial" (id), "title", "accuracy" and its 95% interval "low" and "high" (None if unknown) of the best
            design; "seeds" is the number of its trainings, whose mean "accuracy" is. None if there is none.
        seconds: Wall time so far; None if unknown.
        data: Name of the data set.
        width: Factor on every filter count.
        images: Number of training images; None if unknown.
        created: Start of the search, ISO 8601, UTC.
        now: Last heartbeat of the running process (``LiveJson``); None if it does not run.
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
    data: str = ""
    width: float = 1.0
    images: int | None = None
    created: str = ""


def read_status(run: Path) -> Status:
    """Return the status of a run.

    Raises:
        UserError: The folder is no run folder, or a file in it is damaged.
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
    designs = build_designs(trials, info.validation, info.objective)
    done = designs[designs["status"] == "completed"]
    best = None
    if len(done) and not pd.isna(done.iloc[0]["accuracy"]):
        first = done.iloc[0]
        best = {"trial": str(first["trial"]), "title": title(first), "accuracy": float(first["accuracy"])}
        best |= {name: None if pd.isna(first[name]) else float(first[name]) for name in ("low", "high")}
        best["seeds"] = int(first["seeds"])
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
        str(info.data.get("name") or ""),
        info.width,
        info.data.get("train"),
        info.created,
    )


def status_lines(status: Status) -> list[str]:
    """Return the status as lines of text."""
    lines = [f"{status.folder}: {STATES.get(status.state, status.state) or 'stock Keras Tuner project'}"]
    planned = f" of {status.planned}" if status.planned else ""
    failed = f", {status.failed} failed" if status.failed else ""
    elapsed = f", {duration(status.seconds)} so far" if status.seconds else ""
    lines.append(f"trials: {status.completed}{planned} completed{failed}{elapsed}")
    if status.best:
        lines.append(f"best: {_accuracy(status.best)}, {status.best['title']}")
    if now := status.now:
        lines += _now(now)
        if (silent := time.time() - now["time"]) > 120:
            lines.append(f"no sign of progress for {duration(silent)}")
    elif status.state == "running":
        lines.append("now: preparing")
    return lines


def _accuracy(best: dict[str, Any]) -> str:
    mean = f", mean of {best['seeds']} seeds" if best["seeds"] > 1 else ""
    return with_interval(pd.Series(best, dtype=object)) + mean


def status_as_json(status: Status) -> str:
    """Return the status as JSON."""
    return json.dumps(asdict(status))


def _now(now: dict[str, Any]) -> list[str]:
    """Return what trains now: one trial, or a table of the workers."""
    low, high = now["left"]
    left = f"{duration(low)} left" if duration(low) == duration(high) else f"{duration(low)} to {duration(high)} left"
    if workers := now.get("workers"):
        busy = sum(worker["trial"] is not None for worker in workers)
        return [f"now: {busy} of {len(workers)} workers training; {left}", *_worker_table(workers)]
    position = f"{now['done'] / now['images']:.0%} of it, accuracy {now['accuracy']:.3f}"
    if not now["done"]:
        position = "building and compiling the network"
    return [f"now: trial {now['trial']}, epoch {now['epoch']} of {now['epochs']}, {position}; {left}"]


def _worker_table(workers: list[dict[str, Any]]) -> list[str]:
    rows = [("worker", "node", "trial", "epoch", "images/s", "memory", "device")]
    for worker in workers:
        training = worker["trial"] is not None
        epoch = f"{worker['epoch']} of {worker['epochs']}, {worker['done']:.0%}" if "epoch" in worker else ""
        speed, memory = worker["images_per_second"], worker["memory"]
        rows.append(
            (
                worker["name"],
                worker["node"],
                str(worker["trial"]) if training else "idle",
                epoch,
                f"{speed:,.0f}" if training and speed else "",
                f"{memory / 2**20:,.0f} MiB" if memory else "",
                worker["device"],
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
