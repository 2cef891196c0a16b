"""One trial of a search: from what the oracle proposed to a result, or to the reason why there is none."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keras_tuner.engine.trial import Trial as TunerTrial

from fer_search.design import Design
from fer_search.files import disk_is_full, write_json
from fer_search.models import measure
from fer_search.runfolder.epochs import Row, read_epochs
from fer_search.runfolder.folder import RunFolder
from fer_search.search.proposing.oracles import SafeOracle
from fer_search.search.scheduling.stopping import EarlyEnd, EarlyEndCallback
from fer_search.search.settings import Settings
from fer_search.search.trials.checkpoint_retention import has_whole_epoch
from fer_search.search.trials.crash_guard import DIED, MOST, Mark
from fer_search.search.trials.failures import out_of_memory, reason
from fer_search.space import Space
from fer_search.training.checkpoint import BEST, checkpoint_path, keep_only
from fer_search.training.trial import Stopped, Trial, TrialData, TrialFailed, Watcher, train

AGAIN = "again"  # folder in which a parent is trained once more
MICRO_BATCHES = 4  # of a step, after a trial ran out of memory


@dataclass(frozen=True)
class Prepared:
    """A trial that can start: its name if it is a baseline, what to train, and what is recorded of it."""

    name: str | None
    trial: Trial
    parameters: int


class Attempts:
    """Makes, trains and ends the trials of a search.

    Args:
        settings: of the search.
        space: its designs.
        names: of the baselines, which are the first trials.
        folder: of the run.
        oracle: proposed the trials, and is told how they end.
        data: to train and validate on.
    """

    def __init__(
        self,
        settings: Settings,
        space: Space,
        names: Sequence[str],
        folder: RunFolder,
        oracle: SafeOracle,
        data: TrialData,
    ) -> None:
        self.settings, self.space, self.names = settings, space, names
        self.folder, self.oracle, self.data = folder, oracle, data

    def name(self, trial_id: str) -> str | None:
        """Return the name of a trial that is a baseline."""
        number = int(trial_id)
        return self.names[number] if number < len(self.names) else None

    def prepare(self, proposed: TunerTrial) -> Prepared:
        """Make the trial of a proposal, and record its design, its budget and what it costs.

        Raises:
            TrialFailed: it has more parameters than --max-params.
        """
        values, folder = proposed.hyperparameters.values, self.folder.trial(proposed.trial_id)
        name, record = self.name(proposed.trial_id), folder / "design.json"
        design = self.space.design(proposed.hyperparameters.copy())
        known = self._record(proposed.trial_id)
        if not known:
            cost = dataclasses.asdict(measure(design))
            budget = values.get("tuner/epochs", self.settings.max_epochs)
            known = {"name": name, "design": design.to_dict(), **cost, "epochs": budget, "values": values}
            write_json(record, known)
        most = self.settings.max_params
        if most is not None and known["parameters"] > most:
            raise TrialFailed(f"{known['parameters']:,} parameters, more than --max-params {most:,}")
        return Prepared(name, self._trial(proposed, design, known["epochs"]), known["parameters"])

    def run(self, proposed: TunerTrial, prepared: Prepared, watcher: Watcher, more: Sequence[Any] = ()) -> None:
        """Train a trial and tell the oracle how it ended.

        Args:
            proposed: by the oracle.
            prepared: from ``prepare``.
            watcher: is told what happens.
            more: Keras callbacks.

        Where memory does not suffice, it goes on, once, in micro-batches.

        Raises:
            Stopped: the watcher said so.
            TrialFailed: it gives no result, or the process died of it too often (see ``deaths``).
            OSError: the disk is full; the trial goes on once there is room.
        """
        early = EarlyEndCallback(self._early(prepared), prepared.trial.folder / "epochs.csv")
        watcher.callbacks = (early, *more)
        mark = self.mark(proposed)
        try:
            if mark.set() >= MOST:
                raise TrialFailed(DIED)
            self._rebuild_parent(proposed, watcher.stop)
            trial, rows = self._train(proposed, prepared.trial, watcher)
        except Exception:  # not "finally": what ends the process leaves the mark
            mark.clear()
            raise
        mark.clear()
        why = [early.why, f"out of memory, so in {MICRO_BATCHES} micro-batches a step"][: 1 + (trial.micro_batches > 1)]
        proposed.message = "; ".join(filter(None, why)) or None
        self.oracle.finish(proposed, rows)

    def mark(self, proposed: TunerTrial) -> Mark:
        """Return what tells later starts that a trial was being trained when the process died."""
        ancestors, values = [], proposed.hyperparameters.values
        while parent := values.get("tuner/trial_id"):
            ancestors.append(self.folder.trial(parent) / AGAIN)
            values = self.oracle.trials[parent].hyperparameters.values
        return Mark(self.folder.trial(proposed.trial_id), ancestors)

    def fail(self, proposed: TunerTrial, error: Exception) -> None:
        """Record a trial that gave no result; what is no fault of the trial is raised again."""
        if isinstance(error, Stopped) or disk_is_full(error):
            raise error
        self.oracle.fail(proposed, reason(error))

    def history(self, trial_id: str) -> list[Row]:
        """Return the epochs of a trial and of those that it went on from, first to last."""
        parent = self.oracle.trials[trial_id].hyperparameters.values.get("tuner/trial_id")
        before = self.history(parent) if parent else []
        return before + read_epochs(self.folder.trial(trial_id) / "epochs.csv")

    def _train(self, proposed: TunerTrial, trial: Trial, watcher: Watcher) -> tuple[Trial, list[Row]]:
        """Train a trial, where memory does not suffice in micro-batches; return what was trained, and its epochs."""
        try:
            return trial, train(trial, self.data, watcher)
        except Exception as error:
            if not out_of_memory(error) or trial.micro_batches > 1:
                raise
        # outside of the handler, whose error holds on to the network that was too large
        trial = dataclasses.replace(trial, micro_batches=MICRO_BATCHES)
        write_json(trial.folder / "design.json", self._record(proposed.trial_id) | {"micro_batches": MICRO_BATCHES})
        return trial, train(trial, self.data, watcher)

    def _record(self, trial_id: str) -> dict[str, Any]:
        """Return design.json; empty where it is missing or broken, since a search can find out again what it says."""
        try:
            return dict(json.loads((self.folder.trial(trial_id) / "design.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return {}

    def _trial(self, proposed: TunerTrial, design: Design, epochs: int) -> Trial:
        parent = proposed.hyperparameters.values.get("tuner/trial_id")
        parts = [self._record(i).get("micro_batches", 1) for i in (parent, proposed.trial_id) if i]
        return Trial(
            design=design,
            epochs=epochs,
            folder=self.folder.trial(proposed.trial_id),
            seed=self.settings.seed,
            number=int(proposed.trial_id),
            parent=self.folder.trial(parent) if parent else None,
            history=self.history(parent) if parent else [],
            horizon=self.settings.max_epochs if "tuner/epochs" in proposed.hyperparameters.values else epochs,
            weights_dir=self.settings.weights_dir,
            micro_batches=max(parts),
            devices=self.settings.devices,
        )

    def _early(self, prepared: Prepared) -> EarlyEnd:
        """Baselines are never ended early: they are what others are compared with."""
        if prepared.name is not None:
            return EarlyEnd(None, (), prepared.trial.epochs)
        ended = [i for i in self.oracle.end_order if self.oracle.trials[i].score is not None]
        tables = (
            [self.folder.path / f"trial_{i}" / "epochs.csv" for i in ended] if self.settings.prune == "median" else []
        )
        curves = [[row["val_accuracy"] for row in read_epochs(table)] for table in tables]
        return EarlyEnd(self.settings.patience, curves, prepared.trial.epochs)

    def _rebuild_parent(self, proposed: TunerTrial, stop: Callable[[], bool]) -> None:
        """Train a promoted trial's parent once more, where its last checkpoint had to make room (see ``keep``)."""
        parent = proposed.hyperparameters.values.get("tuner/trial_id")
        own = self.folder.trial(proposed.trial_id)
        if not parent or has_whole_epoch(own):
            return
        trained, folder = len(self.history(parent)), self.folder.trial(parent)
        if checkpoint_path(folder, trained).exists():
            return
        before, again = self.oracle.trials[parent], folder / AGAIN
        if not has_whole_epoch(again):
            self._rebuild_parent(before, stop)
        again.mkdir(exist_ok=True)
        design = self.space.design(before.hyperparameters.copy())
        trial = dataclasses.replace(self._trial(before, design, trained), folder=again)

        def make_room(row: Row) -> None:
            """Only the last epoch is wanted, and what it went on from is not any more."""
            (again / BEST).unlink(missing_ok=True)
            if trial.parent is not None:
                keep_only(trial.parent, ())

        train(trial, self.data, Watcher(stop=stop, epoch=make_room))
        checkpoint_path(again, trained).replace(checkpoint_path(folder, trained))
        shutil.rmtree(again)
