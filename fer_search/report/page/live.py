"""What a run is doing now, as markup for the top of a page that a server keeps up to date."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import Any

import pandas as pd
import psutil

from fer_search.report import formatting
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.tables.analysis import RunAnalysis
from fer_search.report.tables.outcomes import trials_of_workers
from fer_search.runfolder.folder import RunFolder

SILENT_SECONDS = 120  # without a heartbeat, after which the page says so
GPU_SECONDS = 5.0  # between two calls of nvidia-smi
MAX_FAILURES = 3  # listed, the latest
MAX_WORKERS = 4  # of which the trial is named


class Machine:
    """CPU, memory and GPU use of this machine, for a run on it."""

    def __init__(self) -> None:
        psutil.cpu_percent()  # the first call returns 0
        self._gpu, self._asked = "", 0.0

    def usage(self) -> str:
        """Return the use as text: "CPU 93% of 8 cores, memory 5.2 of 16 GB, GPU 0 87%, 11 of 24 GB"."""
        memory = psutil.virtual_memory()
        used, total = (memory.total - memory.available) / 1e9, memory.total / 1e9
        parts = [f"CPU {psutil.cpu_percent():.0f}% of {formatting.plural(psutil.cpu_count() or 1, 'core')}"]
        parts.append(f"memory {used:.1f} of {total:.0f} GB")
        if time.monotonic() - self._asked > GPU_SECONDS:
            self._gpu, self._asked = _gpu_usage(), time.monotonic()
        return ", ".join([*parts, *([self._gpu] if self._gpu else [])])


def _gpu_usage() -> str:
    """Return the use of NVIDIA GPUs; "" where there is none, or nvidia-smi does not answer."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return ""
    query = "--query-gpu=index,utilization.gpu,memory.used,memory.total"
    try:
        done = subprocess.run(
            [command, query, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=3, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    gpus = []
    for line in done.stdout.splitlines():
        index, use, used, total = (part.strip() for part in line.split(","))
        gpus.append(f"GPU {index} {use}%, {float(used) / 1024:.0f} of {float(total) / 1024:.0f} GB")
    return ", ".join(gpus)


def live_state(folder: RunFolder, recorded: str) -> str:
    """Return the state of a run: "running", "killed" or what run.json says.

    Args:
        folder: the run folder.
        recorded: the state in run.json.
    """
    if folder.in_use():
        return "running"
    return "killed" if recorded == "running" else recorded


def live_markup(analysis: RunAnalysis, state: str, heartbeat: dict[str, Any] | None, machine: Machine) -> Markup:
    """Return the live panel: state, progress, trial in progress, time left, use of the machine, latest failures.

    Args:
        analysis: the run.
        state: from ``live_state``.
        heartbeat: live.json of a running search; None where there is none.
        machine: the machine of the server.
    """
    trials = analysis.trials
    done = int(trials["status"].isin(["completed", "failed"]).sum())
    running = _running(trials, heartbeat) if state == "running" else 0
    planned = (
        (heartbeat or {}).get("trials") or analysis.info.tuner.get("trials") or analysis.info.tuner.get("max_trials")
    )
    counts = [f"{done:,}" + (f" of {planned:,}" if planned else "") + " trials done"]
    counts += [f"{running} running"] if running else []
    if planned and planned > done + running:
        counts.append(f"{planned - done - running:,} planned")
    bar = (
        tag("progress", max=planned, value=min(done + _fraction(heartbeat), planned))
        if planned
        else _time_used(heartbeat)
    )
    lines = [tag("p", tag("b", _STATES.get(state, state) or "not running"), f": {', '.join(counts)}", " ", bar)]
    if state == "running":
        lines.append(tag("p", _now(heartbeat), class_="now"))
        lines.append(tag("p", machine.usage(), class_="usage"))
    return tag("div", *lines, _failures(analysis), class_=f"live {state}")


_STATES = {
    "running": "Running",
    "finished": "Finished",
    "interrupted": "Interrupted; re-run the same command to resume",
    "killed": "Not running: killed, or the power failed; re-run the same command to resume",
    "out_of_time": "Out of time; re-run with --extend and a longer --time-budget to continue",
    "failing": "Stopped: too many trials failed in a row",
}


def _running(trials: pd.DataFrame, heartbeat: dict[str, Any] | None) -> int:
    """Return the number of trials that are being trained; others may wait for a worker."""
    busy = trials_of_workers(heartbeat)
    return int((trials["status"] == "running").sum()) if busy is None else len(busy)


def _fraction(heartbeat: dict[str, Any] | None) -> float:
    """Return how much of the trials in progress is done: 0.5 for half of one, or for a quarter of each of two."""
    if trials_of_workers(heartbeat):
        training = [worker for worker in (heartbeat or {})["workers"] if worker.get("epochs")]
        return float(sum((worker["epoch"] - 1 + worker["done"]) / worker["epochs"] for worker in training))
    if not heartbeat or not heartbeat.get("epochs"):
        return 0.0
    part = heartbeat.get("done", 0) / max(heartbeat.get("images", 1), 1)
    done: float = (heartbeat.get("epoch", 1) - 1 + part) / heartbeat["epochs"]
    return min(max(done, 0.0), 1.0)


def _time_used(heartbeat: dict[str, Any] | None) -> Markup | None:
    """Return the progress bar of a search that only its time budget ends; None if it is not running."""
    if not heartbeat or not heartbeat.get("left"):
        return None
    used, left = heartbeat["seconds"], heartbeat["left"][-1]
    return tag("progress", max=round(used + left, 1), value=round(used, 1))


def _now(heartbeat: dict[str, Any] | None) -> str:
    if not heartbeat:
        return "Getting ready."
    text = _workers(heartbeat["workers"]) if trials_of_workers(heartbeat) else _one_trial(heartbeat)
    low, high = (formatting.duration(seconds) for seconds in heartbeat["left"])
    text += f". Time left: {low if low == high else f'{low} to {high}'}."
    silent = time.time() - heartbeat["time"]
    return text + (f" No sign of progress for {formatting.duration(silent)}." if silent > SILENT_SECONDS else "")


def _one_trial(heartbeat: dict[str, Any]) -> str:
    text = f"Trial {heartbeat['trial']}, epoch {heartbeat['epoch']} of {heartbeat['epochs']}"
    if not heartbeat.get("done"):
        return f"{text}, building and compiling its network"
    done = heartbeat["done"] / max(heartbeat["images"], 1)
    return f"{text}, {done:.0%} of it, training accuracy {formatting.percent(heartbeat['accuracy'])}"


def _workers(workers: list[dict[str, Any]]) -> str:
    """Return what the first workers train, and how many there are."""
    busy = [worker for worker in workers if worker["trial"] is not None]
    told = [
        f"trial {worker['trial']}"
        + (f", epoch {worker['epoch']} of {worker['epochs']}, {worker['done']:.0%} of it" if "epoch" in worker else "")
        for worker in busy[:MAX_WORKERS]
    ]
    more = f"; and {len(busy) - MAX_WORKERS} more" if len(busy) > MAX_WORKERS else ""
    return f"{len(busy)} of {formatting.plural(len(workers), 'worker')} training: {'; '.join(told)}{more}"


def _failures(analysis: RunAnalysis) -> Markup | None:
    failed = analysis.trials[analysis.trials["status"] == "failed"].sort_values("order").tail(MAX_FAILURES)
    lines = [
        f"{formatting.title(row).capitalize()} failed: {formatting.reason(row['message'])}"
        for _, row in failed.iterrows()
    ]
    return join(*(tag("p", line, class_="failure") for line in lines)) if lines else None
