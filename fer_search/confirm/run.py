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
from fer_search.confirm.candidates import Candidate, choose_candidates
from fer_search.confirm.network import save_and_predict
from fer_search.confirm.progress import ConfirmProgress
from fer_search.confirm.settings import Settings
from fer_search.confirm.testset import TestSet, make_test_set
from fer_search.data.dataset import Dataset
from fer_search.data.load import load_dataset
from fer_search.data.options import DataOptions
from fer_search.data.spec import DataSpec
from fer_search.data.split import make_split
from fer_search.design import Custom
from fer_search.errors import EXIT_MISMATCH, EXIT_NO_TRIAL, EXIT_RUN_FOLDER, UserError
from fer_search.files import disk_is_full
from fer_search.models import measure_cost
from fer_search.report import RunInfo, load_run, load_trials
from fer_search.runfolder.confirmation import (
    check_settings,
    evaluation_dir,
    evaluation_dirs,
    previous_evaluations,
    read_confirm_json,
    read_test_predictions,
    training_dir,
    write_confirm_json,
    write_test_predictions,
)
from fer_search.runfolder.epochs import read_epochs
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.schema import EPOCHS_FILE, FORMAT, ConfirmJson
from fer_search.search.trials.crash_guard import CRASH_MESSAGE, MAX_CRASHES, CrashMarker
from fer_search.search.trials.failures import reason
from fer_search.search.trials.signals import Stop, stopping
from fer_search.space import load_functions
from fer_search.training.checkpoint import remove_other_checkpoints
from fer_search.training.trial import Stopped, Trial, TrialData, TrialFailed, TrialHooks, train

FIRST_TRIAL_NUMBER = 1_000_000  # beyond any search, so that the trainings have random numbers of their own


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
        with folder.lock(), stopping(lambda text: console.print(text, highlight=False)) as stop:
            return _Confirmation(settings, info, console).run(stop)
    except OSError as error:
        if disk_is_full(error):
            raise UserError(
                f"the disk of {settings.run} is full; nothing is lost: free space and re-run the command to resume",
                EXIT_RUN_FOLDER,
            ) from error
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
        self.dataset = self._load_dataset()
        rows = self._training_rows()
        images, labels = self.dataset.images, self.dataset.labels
        self.data = TrialData(images[rows], labels[rows], images[:0], labels[:0], class_names=self.dataset.classes)
        self.test: TestSet = make_test_set(self.dataset, rows)
        self.record = self._open_record(len(rows))

    def run(self, stop: Stop) -> int:
        """Run the trainings that are not done yet; return the exit code."""
        done = [(training["candidate"], training["seed"]) for training in self.record["trainings"]]
        plan = [(index, seed) for seed in range(self.settings.seeds) for index in range(len(self.candidates))]
        progress = self._announce(plan, done)
        try:
            for number, (index, seed) in enumerate(plan):
                if (index, seed) not in done:
                    progress.begin(f"training {number + 1} of {len(plan)}: {self.candidates[index].title}, seed {seed}")
                    self._run_training(number, index, seed, stop, progress)
        except Stopped:
            command = "the same command without --overwrite" if self.settings.overwrite else "the same command"
            progress.say(f"Stopped; nothing is lost. Re-run {command} to resume.")
            return 128 + (stop.signum or signal.SIGINT)
        finally:
            progress.close()
        self._record_ensembles()
        return 0 if any("tests" in training for training in self.record["trainings"]) else EXIT_NO_TRIAL

    def _load_dataset(self) -> Dataset:
        """Return the data set of the run.

        Raises:
            UserError: It is missing, or differs from the one searched on (exit code 5).
        """
        known = self.info.data
        source = self.settings.data or known.get("sources") or known["source"]
        labels = self.info.settings.get("labels") or "fer2013"
        options = DataOptions.from_dict(known.get("options", {}))
        dataset = load_dataset(source, labels=labels, ferplus_csv=self.settings.ferplus_csv, options=options)
        if dataset.fingerprint != self.info.data["fingerprint"]:
            raise UserError(
                f"{dataset.source} is not the data set that {self.settings.run} was searched on; give --data",
                EXIT_MISMATCH,
            )
        return dataset

    def _training_rows(self) -> np.ndarray:
        """Return the indices of the images that the run trained and validated on, int (n,), ascending."""
        s = self.info.settings
        split = make_split(
            self.dataset,
            validation=s.get("validation", 0.1),
            near=bool(s.get("near_copies", False)),
            seed=self.info.seed or 0,
            limit_train=s.get("limit_train"),
            drop_duplicates=s.get("drop_duplicates", False),
        )
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
            "candidates": [_describe(candidate, self.dataset.spec) for candidate in self.candidates],
            "trainings": [],
            "ensembles": [],
        }

    def _announce(self, plan: list[tuple[int, int]], done: list[tuple[int, int]]) -> ConfirmProgress:
        epochs = sum(self.candidates[index].epochs for index, _ in plan)
        done_epochs = sum(self.candidates[index].epochs for index, _ in done)
        progress = ConfirmProgress(self.console, epochs, done_epochs)
        names = ", ".join(f"{candidate.title} ({candidate.epochs} epochs)" for candidate in self.candidates)
        progress.say(
            f"Confirming {names}: {self.settings.seeds} trainings each on {len(self.data.labels):,} images (training "
            f"and validation images of the search), then one evaluation on {len(self.test.labels):,} test images. "
            f"{backend.device()}, {backend.start()} backend."
        )
        if done:
            progress.say(f"Resuming: {len(done)} of {len(plan)} trainings are done.")
        return progress

    def _run_training(self, number: int, index: int, seed: int, stop: Stop, progress: ConfirmProgress) -> None:
        """Train and test one network, and record the result.

        Args:
            number: Index of the training.
            index: Index of the candidate.
            seed: Which of the candidate's seeds, from 0.
            stop: Whether the process was told to stop.
            progress: Shows progress.
        """
        candidate = self.candidates[index]
        folder = training_dir(self.settings.run, self.record["looks"], number)
        folder.mkdir(parents=True, exist_ok=True)
        trial = self._make_trial(candidate, number, folder)
        result: dict[str, Any] = {"candidate": index, "seed": seed}
        marker = CrashMarker(folder)
        try:
            if marker.set() >= MAX_CRASHES:
                raise TrialFailed(CRASH_MESSAGE)
            hooks = TrialHooks(should_stop=stop, on_progress=progress.steps, on_epoch_end=progress.epoch)
            rows = train(trial, self.data, hooks)
            result |= {"seconds": sum(row["seconds"] for row in rows), "tests": self._test(trial, candidate, seed)}
        except Exception as error:
            if isinstance(error, Stopped) or disk_is_full(error):
                marker.clear()
                raise
            result["why"] = reason(error)
            progress.say(f"  failed: {result['why']}")
            progress.skip(candidate.epochs - len(read_epochs(folder / EPOCHS_FILE)))
        self.record["trainings"].append(result)
        write_confirm_json(self.settings.run, self.record)
        marker.clear()
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
        )

    def _test(self, trial: Trial, candidate: Candidate, seed: int) -> dict[str, Any]:
        """Save a trained network and its predictions for the test images; return its scores."""
        description = f"{candidate.title}, confirmed, seed {seed}"
        probabilities = save_and_predict(trial, self.dataset.spec, self.info.name, description, self.test.images)
        write_test_predictions(trial.folder, probabilities, self.test.labels)
        return self.test.score(probabilities)

    def _record_ensembles(self) -> None:
        """Record the scores of the mean probabilities of each candidate's networks."""
        ensembles = []
        for index in range(len(self.candidates)):
            members = self._read_predictions(index)
            if len(members) > 1:
                tests = self.test.score(np.mean(members, axis=0))
                ensembles.append({"candidate": index, "members": len(members), "tests": tests})
        if self.record["ensembles"] != ensembles:
            self.record["ensembles"] = ensembles
            write_confirm_json(self.settings.run, self.record)

    def _read_predictions(self, index: int) -> list[np.ndarray]:
        """Return the test probabilities of each trained network of a candidate, float64 (n, classes)."""
        numbers = [
            training["seed"] * len(self.candidates) + index
            for training in self.record["trainings"]
            if training["candidate"] == index and "tests" in training
        ]
        run, looks = self.settings.run, self.record["looks"]
        return [read_test_predictions(training_dir(run, looks, number)) for number in numbers]


def _describe(candidate: Candidate, spec: DataSpec) -> dict[str, Any]:
    """Return a candidate as confirm.json lists it."""
    return {
        "trial": candidate.trial,
        "name": candidate.name,
        "title": candidate.title,
        "epochs": candidate.epochs,
        "val_accuracy": candidate.accuracy,
        "parameters": measure_cost(candidate.design, spec).parameters,
        "design": candidate.design.to_dict(),
    }
