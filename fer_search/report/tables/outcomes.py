"""What has become of each trial, as readers are told."""

from __future__ import annotations

from typing import Any

import pandas as pd

from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.run_json import RunInfo

WITHOUT_END = ("running", "waiting", "unfinished")  # of a design's trials, the first of these is shown


def outcomes_of(info: RunInfo, trials: pd.DataFrame) -> pd.Series:
    """Return the status of each trial, where "running" means that it is being trained.

    Keras Tuner records the same status for every trial without an end. Here it is "unfinished" if the search has ended,
    and "waiting" if none of the workers has begun with it: a search with workers proposes trials ahead of them.

    Args:
        info: from ``load_run``.
        trials: from ``load_trials``.

    Returns:
        string (trials,): "completed", "failed", "running", "waiting" or "unfinished", with the index of ``trials``.
    """
    status = trials["status"]
    if info.current_state not in ("running", ""):
        return status.replace("running", "unfinished")
    busy = trials_of_workers(RunFolder(info.path).read_live() if info.current_state == "running" else None)
    if busy is None:
        return status
    return status.mask((status == "running") & ~trials["trial"].map(int).isin(busy), "waiting")


def trials_of_workers(heartbeat: dict[str, Any] | None) -> set[int] | None:
    """Return the numbers of the trials that workers train; None if the search trains in its own process.

    Args:
        heartbeat: live.json of a running search; None where there is none.
    """
    workers = (heartbeat or {}).get("workers")
    return {worker["trial"] for worker in workers if worker["trial"] is not None} if workers else None
