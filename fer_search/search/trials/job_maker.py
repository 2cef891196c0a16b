"""From what the oracle proposed to a job: the design, its epochs, what it continues, and when it ends early."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_tuner.engine.trial import Trial as TunerTrial

from fer_search.data.spec import DataSpec
from fer_search.design import Design
from fer_search.errors import UserError
from fer_search.models import measure_cost
from fer_search.runfolder.design_json import read_design_json_if_valid, write_design_json
from fer_search.runfolder.epochs import Row, read_epochs
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.objective import ACCURACY, Objective
from fer_search.runfolder.recovery import set_aside
from fer_search.runfolder.schema import DESIGN_FILE, EPOCHS_FILE, TENSORBOARD_DIR
from fer_search.search.executors.job import RETRAINED, Job
from fer_search.search.proposing.safe_oracle import SafeOracle
from fer_search.search.scheduling.equal_time import EpochPlan
from fer_search.search.scheduling.speed import epoch_lengths, training_flops
from fer_search.search.scheduling.stopping import StoppingRule
from fer_search.search.scheduling.time_limits import TimeLimits
from fer_search.search.settings import Settings
from fer_search.search.trials.tensorboard import BoardSettings
from fer_search.space import Space
from fer_search.training.trial import Trial, TrialFailed
from fer_search.tuner_entries import EPOCHS, PARENT, without_tuner_entries


@dataclass(frozen=True)
class PreparedTrial:
    """A trial that is ready to start.

    Args:
        name: Baseline name; None for a proposed design.
        job: What to train.
        parameters: Number of parameters of its network.
    """

    name: str | None
    job: Job
    parameters: int


def _has_values(record: Mapping[str, Any], proposed: TunerTrial) -> bool:
    """Return whether a design.json belongs to a trial; those of the first versions have no values."""
    return bool(record.get("values", proposed.hyperparameters.values) == proposed.hyperparameters.values)


def _describes(record: Mapping[str, Any], proposed: TunerTrial, design: Design) -> bool:
    """Return whether a design.json is that of a trial and its design."""
    try:
        return bool(record) and _has_values(record, proposed) and Design.from_dict(record["design"]) == design
    except (ValueError, TypeError, AttributeError):
        return False


class JobMaker:
    """Makes the jobs of a search, and records each trial's design in its folder.

    Args:
        settings: Options of the run.
        space: Design space.
        names: Baseline names, in run order; these are the first trials.
        folder: Run folder.
        oracle: Knows the trials.
        spec: Image size, channels and classes of the data.
        objective: What the search optimises.
    """

    def __init__(
        self,
        settings: Settings,
        space: Space,
        names: Sequence[str],
        folder: RunFolder,
        oracle: SafeOracle,
        spec: DataSpec,
        objective: Objective = ACCURACY,
    ) -> None:
        self.settings, self.space, self.names = settings, space, names
        self.folder, self.oracle, self.spec, self.objective = folder, oracle, spec, objective
        self.limits = TimeLimits(None, 0.0)  # the run's own once its folder is open
        self.epoch_plan = EpochPlan(settings.max_epochs)  # likewise
        self.validate_low = self.mirror_augmented = True  # likewise

    def name(self, trial_id: str) -> str | None:
        """Return the baseline name of a trial, or of the one that it continues; None for a proposed design."""
        while parent := self.oracle.trials[trial_id].hyperparameters.values.get(PARENT):
            trial_id = parent
        number = int(trial_id)
        return self.names[number] if number < len(self.names) else None

    def prepare(self, proposed: TunerTrial) -> PreparedTrial:
        """Make the job of a proposed trial, and record its design, number of epochs and cost in design.json.

        Raises:
            TrialFailed: It has more parameters than --max-params, or is too slow, see ``TimeLimits``.
        """
        trial_id = proposed.trial_id
        name, design = self.name(trial_id), self.space.design(proposed.hyperparameters.copy())
        record = self._record(trial_id)
        if not _describes(record, proposed, design):
            record = self._write_record(proposed, design)
        limit = self.settings.max_params
        if limit is not None and record["parameters"] > limit:
            raise TrialFailed(f"{record['parameters']:,} parameters, more than --max-params {limit:,}")
        self.limits.check(training_flops(design, record["flops"]), record["epochs"])
        trial = self._trial(proposed, design, record["epochs"])
        stopping = self._stopping_rule(name, trial.epochs, record.get("compared_with"))
        job = Job(trial, stopping, record, tuple(self._ancestors(proposed)), self._board(proposed, name))
        return PreparedTrial(name, job, record["parameters"])

    def restore_design(self, begun: TunerTrial, ended: bool) -> str | None:
        """Write the design.json of a trial again if it is damaged, or that of another trial; return what was done.

        Args:
            begun: The trial.
            ended: Whether it ended; one that did not may have none yet.
        """
        file = self.folder.trial_path(begun.trial_id) / DESIGN_FILE
        record = self._record(begun.trial_id)
        if (not ended and not os.path.lexists(file)) or (record and _has_values(record, begun)):
            return None
        try:
            self._write_record(begun, self.space.design(begun.hyperparameters.copy()))
        except UserError:  # it failed for want of a design
            return None
        return f"{file} was missing, damaged or that of another trial; written again."

    def _write_record(self, proposed: TunerTrial, design: Design) -> dict[str, Any]:
        values = proposed.hyperparameters.values
        record: dict[str, Any] = {
            "name": self.name(proposed.trial_id),
            "design": design.to_dict(),
            **dataclasses.asdict(measure_cost(design, self.spec)),
            "epochs": values.get(EPOCHS, self.settings.max_epochs),
            "values": values,
        }
        if self.settings.equal_time:
            record |= self._equal_time(design, record)
        low = design.optimisation.low_resolution_epochs(self._horizon(record))
        if low and self.validate_low:
            record["low_resolution_epochs"] = low
        if self.oracle.concurrent and self.settings.prune == "median":
            record["compared_with"] = len(self.oracle.end_order)  # later results must not matter if it is resumed
        folder = self.folder.trial_dir(proposed.trial_id)
        set_aside(folder / DESIGN_FILE)
        write_design_json(folder, record)
        return record

    def _horizon(self, record: Mapping[str, Any]) -> int:
        """Return the epoch at which the schedule of a trial ends."""
        full = record.get("full_epochs", self.settings.max_epochs)
        return int(full if EPOCHS in record["values"] else record["epochs"])

    def _equal_time(self, design: Design, record: Mapping[str, Any]) -> dict[str, int]:
        """Return what a record says of the epochs of a design that is trained for a time."""
        budget, values = record["epochs"], record["values"]
        full = self.epoch_plan.full_epochs(training_flops(design, record["flops"]))
        trained = len(self.history(values[PARENT])) if PARENT in values else 0
        epochs = self.epoch_plan.epochs(budget, full, trained, self.oracle.rungs_left(values))
        return {"epochs": epochs, "full_epochs": full, "budget": budget}

    def budget(self, trial_id: str) -> int:
        """Return the tuner's budget of a trial, in epochs."""
        record = self._record(trial_id)
        return int(record.get("budget", record.get("epochs", self.settings.max_epochs)))

    def epochs_per_budget(self, trial_id: str) -> float:
        """Return the number of epochs that a trial is trained for per epoch of the tuner's budget."""
        if not self.settings.equal_time:
            return 1.0
        return float(self._record(trial_id).get("full_epochs", self.settings.max_epochs) / self.settings.max_epochs)

    def epoch_lengths(self, trial_id: str) -> list[float]:
        """Return how long each epoch of the whole training takes relative to their mean.

        Empty if they are not known: design.json is missing, unreadable or of the first versions.
        """
        record = self._record(trial_id)
        try:
            design, horizon = Design.from_dict(record["design"]), self._horizon(record)
            return epoch_lengths(design, record["flops"], horizon, self.limits.speed)
        except (KeyError, ValueError, TypeError, AttributeError):
            return []

    def history(self, trial_id: str) -> list[Row]:
        """Return the epochs of a trial and of the trials that it continues, first to last."""
        parent = self.oracle.trials[trial_id].hyperparameters.values.get(PARENT)
        before = self.history(parent) if parent else []
        return before + read_epochs(self.folder.trial_path(trial_id) / EPOCHS_FILE)

    def _record(self, trial_id: str) -> dict[str, Any]:
        """Return design.json; empty if it is missing or unreadable, since a search can recompute its content."""
        return dict(read_design_json_if_valid(self.folder.trial_path(trial_id)) or {})

    def _trial(self, proposed: TunerTrial, design: Design, epochs: int) -> Trial:
        parent = proposed.hyperparameters.values.get(PARENT)
        own = self._record(proposed.trial_id)
        micro_batches = [record.get("micro_batches", 1) for record in (self._record(parent) if parent else {}, own)]
        record = own | {"values": proposed.hyperparameters.values, "epochs": epochs}
        return Trial(
            design=design,
            epochs=epochs,
            folder=self.folder.trial_dir(proposed.trial_id),
            seed=self.settings.seed,
            number=int(proposed.trial_id),
            parent=self.folder.trial_dir(parent) if parent else None,
            history=self.history(parent) if parent else [],
            horizon=self._horizon(record),
            weights_dir=self.settings.weights_dir,
            micro_batches=max(micro_batches),
            devices=self.settings.devices,
            objective=self.objective,
            validate_low=self.validate_low,
            mirror_augmented=self.mirror_augmented,
        )

    def _ancestors(self, proposed: TunerTrial) -> list[Trial]:
        """Return the trials that a promoted one continues, parent first, to be retrained if need be."""
        ancestors, values = [], proposed.hyperparameters.values
        while parent_id := values.get(PARENT):
            parent = self.oracle.trials[parent_id]
            values = parent.hyperparameters.values
            design = self.space.design(parent.hyperparameters.copy())
            trial = self._trial(parent, design, len(self.history(parent_id)))
            ancestors.append(dataclasses.replace(trial, folder=trial.folder / RETRAINED))
        return ancestors

    def _stopping_rule(self, name: str | None, epochs: int, compared_with: int | None) -> StoppingRule:
        """Return when a trial ends early; never for a baseline, since other designs are compared with them.

        Args:
            name: Baseline name; None for a proposed design.
            epochs: Number of epochs of the trial.
            compared_with: Number of committed trials for the median; None for all of them.
        """
        if name is not None:
            return StoppingRule(None, (), epochs, self.objective)
        tables = []
        if self.settings.prune == "median":
            scored = [i for i in self.oracle.end_order[:compared_with] if self.oracle.trials[i].score is not None]
            tables = [self.folder.trial_path(i) / EPOCHS_FILE for i in scored]
        curves = [[row[self.objective.name] for row in read_epochs(table)] for table in tables]
        return StoppingRule(self.settings.patience, curves, epochs, self.objective)

    def _board(self, proposed: TunerTrial, name: str | None) -> BoardSettings | None:
        if not self.settings.tensorboard:
            return None
        choices = without_tuner_entries(proposed.hyperparameters.values)
        return BoardSettings(self.folder.path / TENSORBOARD_DIR / f"trial_{proposed.trial_id}", choices, name)
