"""Options of a confirmation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fer_search.errors import UserError
from fer_search.search.executors.request import WorkerRequest


@dataclass(frozen=True)
class Settings:
    """Options of ``fer-search confirm``; documented in its ``--help``."""

    run: Path
    top: int = 3
    seeds: int = 3
    trials: tuple[str, ...] = ()
    epochs: int | None = None
    time_budget: float | None = None
    data: str | None = None
    ferplus_csv: Path | None = None
    weights_dir: Path | None = None
    devices: int = 1
    workers: WorkerRequest = field(default_factory=WorkerRequest)
    overwrite: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        for name, value in (("--top", self.top), ("--seeds", self.seeds), ("--epochs", self.epochs)):
            if value is not None and value < 1:
                raise UserError(f"{name} must be at least 1, not {value}")
        if self.epochs is not None and self.time_budget is not None:
            raise UserError("--epochs and --time-budget both say how long to train; give one of them")
