"""The state of one start of a search: what it was given, the oracle, run.json, and the clocks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from fer_search import backend
from fer_search.data.dataset import Dataset
from fer_search.data.split import Split
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.objective import parse_objective
from fer_search.search.display import events
from fer_search.search.proposing.oracles import oracle_for
from fer_search.search.proposing.safe_oracle import SafeOracle
from fer_search.search.scheduling.budget import TrialBudgets, baseline_names, plan_budgets, trial_limit
from fer_search.search.scheduling.clock import Clock
from fer_search.search.settings import Settings
from fer_search.search.trials.checkpoint_retention import Unpruned, prune_checkpoints
from fer_search.search.trials.job_maker import JobMaker
from fer_search.space import Space
from fer_search.training.streaming import image_memory, select
from fer_search.training.trial import TrialData
from fer_search.tuner_entries import without_tuner_entries

INTERVAL = 1.0  # seconds between two writes of run.json while several workers train


@dataclass
class SearchState:
    """What the driver of a search knows; only the driver reads and writes it.

    Args:
        settings: Options of the run.
        space: Design space, without what cannot be searched here.
        skipped: What cannot be searched here ("what") and "why".
        dataset: Data set.
        split: Its images for training and validation.
        data: The same as arrays.
        folder: Run folder, locked by this process.
        reporter: Shows the search to the user.
        names: Baseline names, in run order.
        max_trials: Maximum number of trials; None for no limit.
        oracle: Proposes designs.
        budgets: What the whole search trains.
        jobs: Makes jobs of what the oracle proposes.
        info: Content of run.json.
        resumed: Whether an earlier start had begun trials.
        clock: Estimates the remaining time.
        workers: Number of trials that train at the same time.
        ahead: Maximum number of pending trials; None to commit results as they come (see ``window``).
        unpruned: Trials that may have checkpoints.
        predicted: Trial whose predictions are known to be stored.
        started: ``time.monotonic()`` at this start.
        seconds_before: Seconds that earlier starts took.
        written: ``time.monotonic()`` when run.json was last written.
    """

    settings: Settings
    space: Space
    skipped: list[dict[str, str]]
    dataset: Dataset
    split: Split
    data: TrialData
    folder: RunFolder
    reporter: events.Reporter
    names: list[str]
    max_trials: int | None
    oracle: SafeOracle
    budgets: TrialBudgets
    jobs: JobMaker
    clock: Clock
    workers: int = 1
    ahead: int | None = 1
    info: dict[str, Any] = field(default_factory=dict)
    resumed: bool = False
    unpruned: Unpruned = field(default_factory=Unpruned)
    predicted: str | None = None
    started: float = 0.0
    seconds_before: float = 0.0
    written: float = float("-inf")

    def say(self, text: str) -> None:
        """Print a line."""
        self.reporter.show(events.Note(text))

    def seconds(self) -> float:
        """Return the wall time of all starts together, in seconds."""
        return round(self.seconds_before + time.monotonic() - self.started, 1)

    def write_state(self, state: str) -> None:
        """Write run.json: "running", at most once a second with several workers, or how the search ended."""
        if state == "running" and self.oracle.concurrent and time.monotonic() - self.written < INTERVAL:
            return
        self.written = time.monotonic()
        self.info |= {"state": state, "seconds": self.seconds()}
        self.info["recommended"] = None if state == "running" else self.oracle.recommended()
        self.folder.write_run_json(self.info)

    def prune(self, running: Mapping[str, int] | None = None) -> None:
        """Remove checkpoints that are not needed, with room for those of running trials (id -> largest size)."""
        limit = self.settings.max_disk
        max_bytes = None if limit is None or limit == float("inf") else int(limit)
        prune_checkpoints(self.folder, self.oracle, max_bytes, running, self.unpruned)

    def ended(self) -> int:
        """Return the number of trials that completed or failed."""
        return len(self.oracle.end_order) + len(self.oracle.recorded)

    def failed(self) -> int:
        """Return the number of failed trials."""
        return len(self.oracle.failed)

    def consecutive_failures(self) -> int:
        """Return how many of the last committed trials failed in a row."""
        ended = reversed(self.oracle.end_order)
        return sum(1 for _ in takewhile(lambda trial_id: trial_id in self.oracle.failed, ended))

    def best(self) -> events.Best | None:
        """Return the best trial so far; None if no trial has a score."""
        ranked = self.oracle.best_trials(1)
        if not ranked:
            return None
        trial = self.oracle.known_trial(ranked[0])
        choices = without_tuner_entries(trial.hyperparameters.values)
        return events.Best(int(ranked[0]), self.jobs.name(ranked[0]), trial.score, choices)


def new_state(
    settings: Settings,
    space: Space,
    skipped: list[dict[str, str]],
    dataset: Dataset,
    split: Split,
    folder: RunFolder,
    reporter: events.Reporter,
) -> SearchState:
    """Return the state of a search before its run folder is read.

    Raises:
        UserError: The run consists of baselines only, and the space has none.
    """
    names = baseline_names(settings, space)
    max_trials = trial_limit(settings, names)
    objective = parse_objective(settings.objective, dataset.classes)
    oracle = oracle_for(settings, space, len(split.train), objective)
    budgets = plan_budgets(oracle, len(names), max_trials, settings.max_epochs)
    jobs = JobMaker(settings, space, names, folder, oracle, dataset.spec, objective)
    return SearchState(
        settings=settings,
        space=space,
        skipped=skipped,
        dataset=dataset,
        split=split,
        data=trial_data(dataset, split),
        folder=folder,
        reporter=reporter,
        names=names,
        max_trials=max_trials,
        oracle=oracle,
        budgets=budgets,
        jobs=jobs,
        clock=Clock(budgets, (0.0, 0.0)),
    )


def trial_data(dataset: Dataset, split: Split) -> TrialData:
    """Return the images and labels that the trials of a run train and validate on."""
    train, validation = split.train, split.validation
    images, labels = dataset.images, dataset.labels
    augmented = split.protocol == "report"
    memory = image_memory(backend.device_memory())
    parts = select(images, train, memory), labels[train], select(images, validation, memory), labels[validation]
    return TrialData(*parts, augment_validation=augmented, class_names=dataset.classes)
