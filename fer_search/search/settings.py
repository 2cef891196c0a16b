"""Options of ``fer-search run``, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fer_search.data.options import DataOptions
from fer_search.errors import UserError
from fer_search.search.executors.request import WorkerRequest

BASELINES = ("first", "only", "none")
PROTOCOLS = ("holdout", "report")
MIN_VALUES = {
    "max_trials": 1,
    "max_epochs": 1,
    "factor": 2,
    "seed": 0,
    "limit_train": 4,
    "batch_size": 1,
    "patience": 1,
    "min_steps": 0,
    "search_patience": 1,
}
MIN_VALUES |= {"max_params": 1, "max_failures": 1, "repeats": 1, "workers": 1}
DEFAULT_TRIALS = 50  # of a tuner that does not end by itself, without a time budget

# Training steps before the first decision. Hyperband compares accuracies, whose ranks mean little before some 300
# steps; the guided tuner's model knows how little they mean (benchmarks/study/replays.md).
MIN_STEPS = {"guided": 150, "hyperband": 300}


@dataclass(frozen=True)
class Settings:
    """Options of ``fer-search run``; see its help.

    ``time_budget`` is in seconds, ``max_disk`` in bytes. ``validation`` None means the data set's own validation
    split, or 0.1 if it has none. ``workers`` None means "auto": chosen by measurement. ``ahead`` is a number,
    "any", or None for the default; see ``fer_search.search.window``.

    ``min_steps`` is 0 in runs from before the option: their first rung is after one epoch, and baselines are trained to
    the last one at once.
    """

    space: Path
    data: str | tuple[str, ...] = "auto"
    data_options: DataOptions = field(default_factory=DataOptions)
    name: str | None = None
    results_dir: Path = Path("results")
    tuner: str = "guided"
    objective: str = "val_accuracy"
    max_trials: int | None = None
    max_epochs: int = 50
    equal_time: bool = False
    confirm: bool = False
    factor: int = 3
    min_steps: int | None = None
    baselines: str = "first"
    repeats: int = 1
    seed: int = 0
    protocol: str = "holdout"
    validation: float | str | None = 0.1
    limit_train: int | None = None
    width: float = 1.0
    batch_size: int | None = None
    fix: Mapping[str, str] = field(default_factory=dict)
    drop_duplicates: bool | str = False
    labels: str = "fer2013"
    ferplus_csv: Path | None = None
    weights_dir: Path | None = None
    missing_weights: str = "skip"
    patience: int | None = None
    search_patience: int | None = None
    prune: str = "none"
    max_params: int | None = None
    max_seconds_per_epoch: float | None = None
    max_failures: int = 10
    time_budget: float | None = None
    devices: int = 1
    workers: int | None = 1
    ahead: int | str | None = None
    gpus_per_trial: float | None = None
    cluster: str | None = None
    max_disk: float | None = 1e9
    extend: bool = False
    extend_trials: bool = False
    from_run: Path | None = None
    overwrite: bool = False
    tensorboard: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        for name, minimum in MIN_VALUES.items():
            value = getattr(self, name)
            if value is not None and value < minimum:
                raise UserError(f"--{name.replace('_', '-')} must be at least {minimum}, not {value}")
        if self.max_seconds_per_epoch is not None and self.max_seconds_per_epoch <= 0:
            raise UserError(f"--max-seconds-per-epoch must be above 0, not {self.max_seconds_per_epoch:g}")
        if isinstance(self.validation, float) and not 0 < self.validation < 1:
            raise UserError(f"--validation must be a fraction between 0 and 1, or own, not {self.validation:g}")
        if self.min_steps is None:
            object.__setattr__(self, "min_steps", MIN_STEPS.get(self.tuner, 0))
        if not 0.001 <= self.width <= 16:
            raise UserError(f"--width must be from 0.001 to 16, not {self.width:g}")
        if self.name is not None and (not self.name or Path(self.name).name != self.name or self.name.startswith(".")):
            raise UserError(f"--name must be a plain name without slashes, not {self.name!r}")
        if self.prune == "median" and self.tuner in ("guided", "hyperband"):
            raise UserError(f"--prune median is for the other tuners; {self.tuner} stops poor trials early by itself")
        if self.prune == "median" and self.equal_time:
            raise UserError("--prune median compares equal numbers of epochs, which --equal-time does not train")
        if self.repeats > 1 and self.baselines == "none":
            raise UserError("--repeats trains the baselines several times, but --baselines none leaves them out")
        if self.confirm and self.protocol == "report":
            raise UserError("--confirm needs --protocol holdout: this one has validated on the test images")
        if self.extend_trials and not self.extend:
            raise UserError("--extend-trials is part of --extend; give both, with a larger --max-epochs")
        if self.devices > 1 and self.workers != 1:
            raise UserError("--devices is for one trial at a time; with --workers use --gpus-per-trial")
        if self.extend and self.overwrite:
            raise UserError("--extend continues a run and --overwrite starts it anew; give only one of them")
        endless = self.tuner in ("guided", "random", "bayesian") and self.baselines != "only"
        if endless and self.max_trials is None and self.time_budget is None:
            object.__setattr__(self, "max_trials", DEFAULT_TRIALS)

    @property
    def worker_request(self) -> WorkerRequest:
        """The workers asked for."""
        return WorkerRequest(self.workers, self.gpus_per_trial, self.cluster)

    @property
    def folder(self) -> Path:
        """Run folder."""
        return self.results_dir / (self.name or self.space.stem)


def parse_duration(text: str, option: str = "--time-budget") -> float:
    """Parse a duration such as "90s", "45min", "2h", "1d" or "2h30m" into seconds.

    Raises:
        UserError: It is not a duration.
    """
    units = {"d": 86400, "h": 3600, "m": 60, "min": 60, "s": 1}
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s)\s*", text)
    seconds = sum(float(number) * units[unit] for number, unit in parts)
    if "".join(f"{number}{unit}" for number, unit in parts) != re.sub(r"\s", "", text) or seconds <= 0:
        raise UserError(f"{option} must be a time such as 90s, 45min, 2h or 2h30m, not {text!r}")
    return seconds


def parse_bytes(text: str, option: str = "--max-disk") -> float:
    """Parse a size such as "800MB", "1.5GB" or "2TB" into bytes; infinity for "none".

    Raises:
        UserError: It is not a size.
    """
    if text == "none":
        return float("inf")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MGT])B?", text.strip(), re.IGNORECASE)
    if not match:
        raise UserError(f"{option} must be a size such as 800MB or 5GB, or none, not {text!r}")
    return float(match[1]) * {"M": 1e6, "G": 1e9, "T": 1e12}[match[2].upper()]


def parse_devices(text: str, available: int) -> int:
    """Parse the value of ``--devices`` into a number of devices.

    Args:
        text: A number, or "all".
        available: Number of devices here.

    Raises:
        UserError: It is neither, or more than are available.
    """
    if text == "all":
        return available
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"--devices must be a positive number or all, not {text!r}")
    if int(text) > available:
        raise UserError(f"--devices {text}: only {available} available here; give a smaller number, or all")
    return int(text)


def parse_workers(text: str) -> int | None:
    """Parse the value of ``--workers``: a number, or None for "auto".

    Raises:
        UserError: It is neither.
    """
    if text == "auto":
        return None
    return parse_count(text, "--workers", " or auto")


def parse_ahead(text: str | None) -> int | str | None:
    """Parse the value of ``--ahead``: a number, "any", or None where it is not given.

    Raises:
        UserError: It is neither.
    """
    if text is None or text == "any":
        return text
    return parse_count(text, "--ahead", " or any")


def parse_count(text: str, option: str, alternative: str = "") -> int:
    """Parse a positive number.

    Args:
        text: What was given.
        option: Name of the option.
        alternative: What else is allowed, such as " or auto".

    Raises:
        UserError: It is not a positive number.
    """
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"{option} must be a positive number{alternative}, not {text!r}")
    return int(text)


def parse_fixed(given: list[str]) -> dict[str, str]:
    """Parse the values of ``--fix`` into choice -> value.

    Raises:
        UserError: One is not NAME=VALUE.
    """
    pairs = [text.partition("=") for text in given]
    for text, (name, equals, _) in zip(given, pairs, strict=True):
        if not equals or not name.strip():
            raise UserError(f"--fix must be NAME=VALUE, a choice of the space and its value, not {text!r}")
    return {name.strip(): value.strip() for name, _, value in pairs}
