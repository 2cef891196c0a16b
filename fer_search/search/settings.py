"""What a user asks of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fer_search.errors import UserError

BASELINES = ("first", "only", "none")
PROTOCOLS = ("holdout", "report")


@dataclass(frozen=True)
class Settings:
    """The options of ``fer-search run``; its help says what each means."""

    space: Path
    data: str = "auto"
    name: str | None = None
    results_dir: Path = Path("results")
    tuner: str = "hyperband"
    max_trials: int | None = None
    max_epochs: int = 50
    factor: int = 3
    baselines: str = "first"
    seed: int = 0
    protocol: str = "holdout"
    validation: float = 0.1
    limit_train: int | None = None
    width: float = 1.0
    batch_size: int | None = None
    drop_duplicates: bool = False
    labels: str = "fer2013"
    ferplus_csv: Path | None = None
    overwrite: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        lows = {"max_trials": 1, "max_epochs": 1, "factor": 2, "seed": 0, "limit_train": 14, "batch_size": 1}
        for name, low in lows.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise UserError(f"--{name.replace('_', '-')} must be at least {low}, not {value}")
        if not 0 < self.validation < 1:
            raise UserError(f"--validation must be a share between 0 and 1, not {self.validation:g}")
        if not 0.001 <= self.width <= 16:
            raise UserError(f"--width must be from 0.001 to 16, not {self.width:g}")
        if self.name is not None and (not self.name or Path(self.name).name != self.name or self.name.startswith(".")):
            raise UserError(f"--name must be a plain name without slashes, not {self.name!r}")
        if self.tuner in ("random", "bayesian") and self.max_trials is None and self.baselines != "only":
            object.__setattr__(self, "max_trials", 50)  # these have no end of their own

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.results_dir / (self.name or self.space.stem)
