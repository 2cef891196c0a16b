"""How a job ended, and what a worker is doing: what every executor tells, without importing what trains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Row = dict[str, float]  # of epochs.csv


@dataclass(frozen=True)
class Outcome:
    """How a job ended; picklable.

    Args:
        status: "completed"; "failed", for good; "stopped" on request; "disk_full"; or "lost" with its worker. The last
            three leave a trial that can be resumed.
        rows: Its epochs, if it completed.
        message: Why it failed or ended early; "" for neither.
        result: What else it found.
    """

    status: Literal["completed", "failed", "stopped", "disk_full", "lost"]
    rows: list[Row] = field(default_factory=list)
    message: str = ""
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WorkerStatus:
    """What a worker is doing.

    Args:
        name: "0", "1", ...
        node: Host name.
        device: What it computes on.
        trial: Number of the trial that it trains; None if it is idle or starting.
        images_per_second: Training speed; None before it is known.
        memory: Resident memory in bytes; None before it is known.
    """

    name: str
    node: str
    device: str
    trial: int | None = None
    images_per_second: float | None = None
    memory: int | None = None
