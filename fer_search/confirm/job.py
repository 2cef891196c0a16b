"""One training of a confirmation as a job: trains a design, tests the network once, and keeps both."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fer_search.confirm.network import save_and_predict
from fer_search.confirm.testset import TestSet
from fer_search.data.spec import DataSpec
from fer_search.design import Custom
from fer_search.runfolder.confirmation import write_test_predictions
from fer_search.runfolder.epochs import Row
from fer_search.search.executors.lease import LeaseLost
from fer_search.search.executors.outcome import Outcome
from fer_search.search.trials.crash_guard import CRASH_MESSAGE, MAX_CRASHES, CrashMarker
from fer_search.search.trials.failures import describe_folder_fault, is_folder_fault, reason
from fer_search.search.trials.signals import Stop
from fer_search.space import load_functions
from fer_search.training.trial import Progress, Stopped, Trial, TrialData, TrialFailed, TrialHooks, train


@dataclass(frozen=True)
class ConfirmData:
    """What the trainings of a confirmation read.

    Args:
        training: Training and validation images of the search, all to train on.
        test: Test images.
        spec: Classes, size and channels of the images.
        space: "name", "text" and "modules" of the run's space, for workers; None where it has been loaded.
    """

    training: TrialData
    test: TestSet
    spec: DataSpec
    space: Mapping[str, Any] | None = None

    def for_workers(self) -> ConfirmData:
        """Return the same without what is on this process's device."""
        return dataclasses.replace(self, training=self.training.for_workers())


@dataclass(frozen=True)
class ConfirmJob:
    """A training; picklable.

    Args:
        trial: What to train, and in which folder.
        run_name: Name of the run, for the network's file.
        description: The network in words, for the same.
    """

    trial: Trial
    run_name: str = ""
    description: str = ""

    @property
    def trial_id(self) -> str:
        return f"{self.trial.number:04d}"

    def with_absolute_paths(self) -> ConfirmJob:
        """Return the job for a process with another working directory."""
        weights_dir = self.trial.weights_dir and self.trial.weights_dir.absolute()
        trial = dataclasses.replace(self.trial, folder=self.trial.folder.absolute(), weights_dir=weights_dir)
        return dataclasses.replace(self, trial=trial)

    def run(
        self,
        data: ConfirmData,
        stop: Stop,
        progress: Callable[[Progress], None] = lambda progress: None,
        epoch: Callable[[Row], None] = lambda row: None,
    ) -> Outcome:
        """Train and test; the caller removes the crash marker once it has recorded the result."""
        marker = CrashMarker(self.trial.folder)
        stop.on_signal = marker.clear
        hooks = TrialHooks(should_stop=stop, on_progress=progress, on_epoch_end=epoch)
        try:
            if marker.set() >= MAX_CRASHES:
                raise TrialFailed(CRASH_MESSAGE)
            self._load_functions(data)
            rows = train(self.trial, data.training, hooks)
            return Outcome("completed", rows, result=self._test(data))
        except LeaseLost:
            raise
        except Exception as error:
            if isinstance(error, Stopped):
                marker.clear()
                return Outcome("stopped", message=str(error))
            if is_folder_fault(error):
                marker.clear()
                return Outcome("disk_full", message=describe_folder_fault(error, self.trial.folder))
            return Outcome("failed", message=reason(error))

    def _load_functions(self, data: ConfirmData) -> None:
        """Execute the run's space only where the network is one of its functions: the run may be someone else's."""
        if data.space is not None and isinstance(self.trial.design.network, Custom):
            load_functions(data.space)

    def _test(self, data: ConfirmData) -> dict[str, Any]:
        """Save the trained network and its predictions for the test images; return its scores."""
        trial = self.trial
        probabilities = save_and_predict(trial, data.spec, self.run_name, self.description, data.test.images)
        write_test_predictions(trial.folder, probabilities, data.test.labels)
        return data.test.score(probabilities)
