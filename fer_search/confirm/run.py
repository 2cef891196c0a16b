"""Confirms the best designs of a run: trains them again and tests them once. Can be killed and resumed anywhere."""

from __future__ import annotations

import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from fer_search import backend
from fer_search.confirm.announcing import describe_duration, describe_start
from fer_search.confirm.candidates import Candidate, choose_candidates, describe_candidate
from fer_search.confirm.clock import Clock, expected_seconds, trained_epochs
from fer_search.confirm.job import ConfirmData, ConfirmJob
from fer_search.confirm.progress import ConfirmProgress, print_line
from fer_search.confirm.settings import Settings
from fer_search.confirm.testset import make_test_set
from fer_search.confirm.time_budget import plan_epochs
from fer_search.confirm.trainings import FIRST_TRIAL_NUMBER, ConfirmListener, open_confirm_executor, run_trainings
from fer_search.design import Custom
from fer_search.errors import EXIT_NO_TRIAL, EXIT_RUN_FOLDER, UserError
from fer_search.files import describe_storage_failure, storage_failed
from fer_search.report import RunInfo, load_epochs, load_run, load_trials
from fer_search.runfolder.confirmation import (
    check_epochs,
    check_settings,
    evaluation_dir,
    evaluation_dirs,
    model_problem,
    previous_evaluations,
    read_confirm_json,
    read_test_predictions,
    training_dir,
    write_confirm_json,
)
from fer_search.runfolder.dataset import load_run_dataset, split_run_dataset
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.recovery import set_aside_damaged
from fer_search.runfolder.schema import FORMAT, MODEL_FILE, TEST_PREDICTIONS_FILE, ConfirmJson
from fer_search.search.executors.outcome import Outcome
from fer_search.search.trials.crash_guard import CrashMarker
from fer_search.search.trials.signals import Stop, stopping
from fer_search.space import load_functions
from fer_search.training.checkpoint import remove_other_checkpoints
from fer_search.training.streaming import image_memory, select
from fer_search.training.trial import Trial, TrialData

Plan = list[tuple[int, int]]  # candidate and seed of each training


def run_confirm(settings: Settings, console: Console) -> int:
    """Train the best designs of a run on training and validation images, and test them once.

    Args:
        settings: What to confirm.
        console: Shows progress.

    Returns:
        Exit code: 0; 3 if no training succeeded; 130 or 143 if stopped by SIGINT or SIGTERM.

    Raises:
        UserError: The user can fix it. Exit codes: 2 wrong input; 3 the run has no completed trial; 4 the folder is in
            use or damaged, or its disk is full; 5 data or options differ from those of the first start.
    """
    info = load_run(settings.run)
    if info.protocol != "holdout":
        why = "validated on the test images" if info.protocol == "report" else "was written by stock Keras Tuner"
        raise UserError(f"{settings.run} {why}: confirm needs a run of fer-search with --protocol holdout")
    folder = RunFolder(settings.run)
    try:
        with folder.lock(), stopping(lambda text: print_line(console, text)) as stop:
            return _Confirmation(settings, info, console).run(stop)
    except OSError as error:
        if storage_failed(error):
            raise UserError(describe_storage_failure(error, settings.run), EXIT_RUN_FOLDER) from error
        raise


class _Confirmation:
    """One start of a confirmation."""

    def __init__(self, settings: Settings, info: RunInfo, console: Console) -> None:
        self.settings, self.info, self.console = settings, info, console
        self.candidates = choose_candidates(
            settings.run, settings.top, settings.trials, int(info.tuner["max_epochs"]), settings.epochs
        )
        if any(isinstance(candidate.design.network, Custom) for candidate in self.candidates):
            load_functions(info.space)
        if settings.time_budget is not None:
            self.candidates = plan_epochs(self.candidates, settings, info)
        self.dataset = load_run_dataset(settings.run, info, settings.data, settings.ferplus_csv)
        if not (self.dataset.splits != 0).any():
            raise UserError(f"{settings.run}: its data set has no test images, so nothing can be tested")
        rows = self._training_rows()
        images, labels = self.dataset.images, self.dataset.labels
        selected = select(images, rows, image_memory(backend.device_memory()))
        training = TrialData(selected, labels[rows], images[:0], labels[:0], class_names=self.dataset.classes)
        self.data = ConfirmData(training, make_test_set(self.dataset, rows), self.dataset.spec)
        self.record = self._open_record(len(rows))

    def run(self, stop: Stop) -> int:
        """Run the trainings that are not done yet; return the exit code."""
        for line in self._drop_damaged():
            print_line(self.console, line)
        done = [(training["candidate"], training["seed"]) for training in self.record["trainings"]]
        plan = [(index, seed) for seed in range(self.settings.seeds) for index in range(len(self.candidates))]
        clock = self._make_clock(plan)
        progress = ConfirmProgress(self.console, clock)
        self._announce(progress, len(plan), len(done))
        waiting = [number for number, key in enumerate(plan) if key not in done]
        try:
            with open_confirm_executor(self.settings, self.data, self.info.space, stop) as executor:
                listener = ConfirmListener(progress, executor.slots > 1)
                resumed, clock.slots = clock.trained > 0, executor.slots
                if waiting:
                    progress.say(describe_duration(clock.left(), resumed))

                def begin(number: int) -> ConfirmJob:
                    title = f"{self.candidates[plan[number][0]].title}, seed {plan[number][1]}"
                    listener.begin(number, f"training {number + 1} of {len(plan)}: {title}")
                    return self._make_job(number, plan)

                def end(number: int, outcome: Outcome) -> None:
                    self._record_result(number, plan, outcome, progress)

                stopped = run_trainings(waiting, begin, end, executor, stop, listener)
        finally:
            progress.close()
        if stopped:
            command = "the same command without --overwrite" if self.settings.overwrite else "the same command"
            progress.say(f"Stopped; nothing is lost. Re-run {command} to resume.")
            return 128 + (stop.signum or signal.SIGINT)
        self._record_ensembles()
        if any("tests" in training for training in self.record["trainings"]):
            return 0
        why = self.record["trainings"][0].get("why")
        progress.say(f"No training succeeded: {why}. The same command tries them again.")
        return EXIT_NO_TRIAL

    def _training_rows(self) -> np.ndarray:
        """Return the indices of the images that the run trained and validated on, int (n,), ascending."""
        split = split_run_dataset(self.info, self.dataset)
        return np.sort(np.concatenate([split.train, split.validation]))

    def _open_record(self, trained: int) -> ConfirmJson:
        """Read confirm.json, or write a new one.

        Args:
            trained: Number of images trained on.
        """
        run = self.settings.run
        settings = {
            "--seeds": self.settings.seeds,
            "--epochs": self.settings.epochs,
            "--time-budget": self.settings.time_budget,
            "trials": [candidate.trial for candidate in self.candidates],
            "backend": backend.start(),
            "--devices": self.settings.devices,
        }
        record = read_confirm_json(run)
        if record is None or self.settings.overwrite:
            record = self._new_record(settings, trained, previous_evaluations(record) + 1)
            # left behind by a confirmation that was stopped before its first test
            shutil.rmtree(evaluation_dir(run, record["looks"]), ignore_errors=True)
            write_confirm_json(run, record)
        check_settings(run, record, settings)
        check_epochs(run, record, [candidate.epochs for candidate in self.candidates])
        for folder in evaluation_dirs(run):
            if folder != evaluation_dir(run, record["looks"]):  # no table shows earlier evaluations any more
                shutil.rmtree(folder)
        return record

    def _new_record(self, settings: dict[str, Any], trained: int, looks: int) -> ConfirmJson:
        trials = load_trials(self.settings.run).set_index("trial")
        return {
            "format": FORMAT,
            "settings": settings,
            "command": self.settings.command,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "device": backend.device(),
            "versions": backend.versions(),
            "trained": trained,
            "after_trials": int((trials["status"] != "running").sum()),
            "looks": looks,
            "candidates": [describe_candidate(candidate, self.dataset.spec) for candidate in self.candidates],
            "trainings": [],
            "ensembles": [],
        }

    def _drop_damaged(self) -> list[str]:
        """Forget the trainings that failed or whose files are damaged, so that they are repeated.

        Returns:
            A line for each.
        """
        kept, lines = [], []
        for training in self.record["trainings"]:
            folder = self._training_dir(training)
            if "tests" not in training:
                title = self.candidates[training["candidate"]].title
                lines.append(f"{title}, seed {training['seed']}, failed ({training.get('why')}); it is tried again.")
            elif read_test_predictions(folder, len(self.data.test.labels)) is None:
                lines.append(f"{folder / TEST_PREDICTIONS_FILE} is damaged; it is trained again.")
            elif problem := model_problem(folder / MODEL_FILE):
                lines.append(f"{folder / MODEL_FILE} is {problem}; it is trained again.")
            else:
                kept.append(training)
        if lines:
            self.record["trainings"] = kept
            write_confirm_json(self.settings.run, self.record)
        return lines

    def _make_clock(self, plan: Plan) -> Clock:
        """Return a clock that knows what every training has done so far."""
        curves, looks = load_epochs(self.settings.run), self.record["looks"]
        growth = len(self.data.training.labels) / self.info.data["train"]
        expected = [expected_seconds(self.candidates[index], curves, growth) for index, _ in plan]
        done = [trained_epochs(training_dir(self.settings.run, looks, number)) for number in range(len(plan))]
        return Clock(expected, done, self.info.workers)

    def _announce(self, progress: ConfirmProgress, trainings: int, done: int) -> None:
        """Say what is trained and tested, and how much of it is done."""
        trained, tested = len(self.data.training.labels), len(self.data.test.labels)
        progress.say(describe_start(self.candidates, self.settings.seeds, trained, tested))
        if self.info.toy:
            progress.say("Toy data: synthetic faces, not FER2013; the results say nothing about real faces.")
        if done:
            progress.say(f"Resuming: {done} of {trainings} trainings are done.")

    def _make_job(self, number: int, plan: Plan) -> ConfirmJob:
        folder = training_dir(self.settings.run, self.record["looks"], number)
        folder.mkdir(parents=True, exist_ok=True)
        candidate = self.candidates[plan[number][0]]
        description = f"{candidate.title}, confirmed, seed {plan[number][1]}"
        trial = self._make_trial(candidate, number, folder)
        for line in set_aside_damaged(folder, trial.seed, trial.number):
            print_line(self.console, line)
        return ConfirmJob(trial, self.info.name, description)

    def _record_result(self, number: int, plan: Plan, outcome: Outcome, progress: ConfirmProgress) -> None:
        index, seed = plan[number]
        folder = training_dir(self.settings.run, self.record["looks"], number)
        result: dict[str, Any] = {"candidate": index, "seed": seed}
        if outcome.status == "completed":
            result |= {"seconds": sum(row["seconds"] for row in outcome.rows), "tests": outcome.result}
        else:
            result["why"] = outcome.message
            progress.say(f"  failed: {result['why']}")
        trainings = [*self.record["trainings"], result]
        self.record["trainings"] = sorted(trainings, key=lambda training: (training["seed"], training["candidate"]))
        write_confirm_json(self.settings.run, self.record)
        progress.end_training(number)
        CrashMarker(folder).clear()
        remove_other_checkpoints(folder, ())

    def _make_trial(self, candidate: Candidate, number: int, folder: Path) -> Trial:
        return Trial(
            candidate.design,
            candidate.epochs,
            folder,
            seed=self.info.seed or 0,
            number=FIRST_TRIAL_NUMBER + number,
            weights_dir=self.settings.weights_dir,
            devices=self.settings.devices,
            micro_batches=candidate.micro_batches,
            schedule_losses=candidate.val_losses,
            horizon=candidate.horizon,
        )

    def _record_ensembles(self) -> None:
        """Record the scores of the mean probabilities of each candidate's networks."""
        ensembles = []
        for index in range(len(self.candidates)):
            members = self._read_predictions(index)
            if len(members) > 1:
                tests = self.data.test.score(np.mean(members, axis=0))
                ensembles.append({"candidate": index, "members": len(members), "tests": tests})
        if self.record["ensembles"] != ensembles:
            self.record["ensembles"] = ensembles
            write_confirm_json(self.settings.run, self.record)

    def _read_predictions(self, index: int) -> list[np.ndarray]:
        """Return the test probabilities of each trained network of a candidate, float64 (n, classes)."""
        members = []
        for training in self.record["trainings"]:
            if training["candidate"] == index and "tests" in training:
                probabilities = read_test_predictions(self._training_dir(training), len(self.data.test.labels))
                assert probabilities is not None  # _drop_damaged saw to it
                members.append(probabilities)
        return members

    def _training_dir(self, training: dict[str, Any]) -> Path:
        number = training["seed"] * len(self.candidates) + training["candidate"]
        return training_dir(self.settings.run, self.record["looks"], number)
