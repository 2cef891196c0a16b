"""A confirmation, from its settings to its end; killed anywhere, the same command goes on."""

from __future__ import annotations

import shutil
import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from fer_search import backend
from fer_search.confirm.candidates import Candidate, choose
from fer_search.confirm.progress import Shown
from fer_search.confirm.record import FOLDER, FORMAT, check_same, looks_before, read_record, write_record
from fer_search.confirm.testset import TestSet, make_test_set
from fer_search.data.dataset import SIZE, Dataset
from fer_search.data.load import load_dataset
from fer_search.data.split import make_split
from fer_search.errors import UserError
from fer_search.files import disk_is_full, write_atomic
from fer_search.models import measure
from fer_search.report import RunInfo, load_run, load_trials
from fer_search.runfolder.epochs import read_epochs
from fer_search.runfolder.folder import DIFFERENT, LOCKED, RunFolder
from fer_search.search.trials.crash_guard import DIED, MOST, Mark
from fer_search.search.trials.failures import reason
from fer_search.search.trials.signals import Stop, stopping
from fer_search.training.checkpoint import keep_only
from fer_search.training.predict import predict_images
from fer_search.training.trial import Stopped, Trial, TrialData, TrialFailed, Watcher, train, trained_model

FIRST_NUMBER = 1_000_000  # of the trainings, as trials: no search gets there, so their random numbers are their own
MODEL, PREDICTIONS = "model.keras", "test.npz"  # of a training: the network, and what it predicts


@dataclass(frozen=True)
class Settings:
    """The options of ``fer-search confirm``; its help says what each means."""

    run: Path
    top: int = 3
    seeds: int = 3
    trials: tuple[str, ...] = ()
    epochs: int | None = None
    data: str | None = None
    ferplus_csv: Path | None = None
    weights_dir: Path | None = None
    devices: int = 1
    overwrite: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        for name, value in (("--top", self.top), ("--seeds", self.seeds), ("--epochs", self.epochs)):
            if value is not None and value < 1:
                raise UserError(f"{name} must be at least 1, not {value}")


def run_confirm(settings: Settings, console: Console) -> int:
    """Train the best designs of a run on training and validation images, and test them once.

    Args:
        settings: what to confirm.
        console: where progress goes.

    Returns:
        The exit code: 0, 3 where no training succeeded, 130 or 143 stopped by SIGINT or SIGTERM.

    Raises:
        UserError: something that the user can mend: 2 an input, 3 the run has no completed trial, 4 the folder is in
            use, broken or its disk is full, 5 the data or the options are not those of before.
    """
    info = load_run(settings.run)
    if info.protocol != "holdout":
        why = "validated on the test images" if info.protocol == "report" else "is a stock Keras Tuner project"
        raise UserError(f"{settings.run} {why}: confirm needs a run of fer-search with --protocol holdout")
    folder = RunFolder(settings.run)
    try:
        with folder.lock(), stopping(lambda text: console.print(text, highlight=False)) as stop:
            return _Confirmation(settings, info, console).run(stop)
    except OSError as error:
        if disk_is_full(error):
            raise UserError(
                f"no room left on the disk of {settings.run}; nothing is lost: make room, and the same command goes on",
                LOCKED,
            ) from error
        raise


class _Confirmation:
    """One start of a confirmation."""

    def __init__(self, settings: Settings, info: RunInfo, console: Console) -> None:
        self.settings, self.info, self.console = settings, info, console
        self.candidates = choose(
            settings.run, settings.top, settings.trials, int(info.tuner["max_epochs"]), settings.epochs
        )
        self.dataset = self._load()
        rows = self._rows()
        nothing = np.empty((0, SIZE, SIZE), np.uint8), np.empty(0, np.int64)
        self.data = TrialData(self.dataset.images[rows], self.dataset.labels[rows], *nothing)
        self.test: TestSet = make_test_set(self.dataset, rows)
        self.record = self._open(len(rows))

    def run(self, stop: Stop) -> int:
        done = [(one["candidate"], one["seed"]) for one in self.record["trainings"]]
        plan = [(at, seed) for seed in range(self.settings.seeds) for at in range(len(self.candidates))]
        shown = self._announce(plan, done)
        try:
            for number, (at, seed) in enumerate(plan):
                if (at, seed) not in done:
                    self._train(number, at, seed, stop, shown, len(plan))
        except Stopped:
            again = ", without --overwrite," if self.settings.overwrite else ""
            shown.say(f"Stopped: nothing lost. The same command{again} goes on.")
            return 128 + (stop.number or signal.SIGINT)
        finally:
            shown.close()
        self._finish()
        return 0 if any("tests" in one for one in self.record["trainings"]) else 3

    def _load(self) -> Dataset:
        """Return the run's data set.

        Raises:
            UserError: it is not there, or is another one (exit code 5).
        """
        source = self.settings.data or self.info.data["source"]
        labels = self.info.settings.get("labels") or "fer2013"
        dataset = load_dataset(source, labels=labels, ferplus_csv=self.settings.ferplus_csv)
        if dataset.fingerprint != self.info.data["fingerprint"]:
            raise UserError(
                f"{source} is not the data that {self.settings.run} was searched on; give --data", DIFFERENT
            )
        return dataset

    def _rows(self) -> np.ndarray:
        """Return what the run trained and validated on, as rows of the data set."""
        s = self.info.settings
        split = make_split(
            self.dataset,
            validation=s["validation"],
            seed=self.info.seed or 0,
            limit_train=s.get("limit_train"),
            drop_duplicates=bool(s.get("drop_duplicates")),
        )
        return np.sort(np.concatenate([split.train, split.validation]))

    def _open(self, trained: int) -> dict[str, Any]:
        """Start confirm.json, or take it up where it is."""
        run = self.settings.run
        wanted = {
            "--seeds": self.settings.seeds,
            "--epochs": self.settings.epochs,
            "trials": [one.trial for one in self.candidates],
            "backend": backend.start(),
            "--devices": self.settings.devices,
        }
        record = read_record(run)
        if record is None or self.settings.overwrite:
            record = self._new_record(wanted, trained, looks_before(record) + 1)
            shutil.rmtree(self._folder(record), ignore_errors=True)  # of one that was stopped before its first test
            write_record(run, record)
        check_same(run, record, wanted)
        for folder in (run / FOLDER).glob("look_*"):  # of an earlier look: what it found is in no table any more
            if folder != self._folder(record):
                shutil.rmtree(folder)
        return record

    def _folder(self, record: dict[str, Any]) -> Path:
        return self.settings.run / FOLDER / f"look_{record['looks']}"

    def _new_record(self, wanted: dict[str, Any], trained: int, looks: int) -> dict[str, Any]:
        trials = load_trials(self.settings.run).set_index("trial")
        return {
            "format": FORMAT,
            "settings": wanted,
            "command": self.settings.command,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "device": backend.device(),
            "versions": backend.versions(),
            "trained": trained,
            "after_trials": int((trials["status"] != "running").sum()),
            "looks": looks,
            "candidates": [self._describe(one) for one in self.candidates],
            "trainings": [],
            "ensembles": [],
        }

    def _describe(self, one: Candidate) -> dict[str, Any]:
        return {
            "trial": one.trial,
            "name": one.name,
            "title": one.title,
            "epochs": one.epochs,
            "val_accuracy": one.accuracy,
            "parameters": measure(one.design).parameters,
            "design": one.design.to_dict(),
        }

    def _announce(self, plan: list[tuple[int, int]], done: list[tuple[int, int]]) -> Shown:
        epochs = [self.candidates[at].epochs for at, _ in plan]
        before = sum(self.candidates[at].epochs for at, _ in done)
        shown = Shown(self.console, sum(epochs), before)
        names = ", ".join(f"{one.title} ({one.epochs} epochs)" for one in self.candidates)
        shown.say(
            f"Confirming {names}: {self.settings.seeds} trainings each on {len(self.data.labels):,} images, those that "
            f"the search validated on included; then {len(self.test.labels):,} test images, once. {backend.device()}, "
            f"{backend.start()} backend."
        )
        if done:
            shown.say(f"Going on: {len(done)} of {len(plan)} trainings are done.")
        return shown

    def _train(self, number: int, at: int, seed: int, stop: Stop, shown: Shown, count: int) -> None:
        """Train and test one network, and record what came out."""
        one = self.candidates[at]
        folder = self._folder(self.record) / f"training_{number:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        shown.begin(f"training {number + 1} of {count}: {one.title}, seed {seed}")
        trial = Trial(
            one.design,
            one.epochs,
            folder,
            seed=self.info.seed or 0,
            number=FIRST_NUMBER + number,
            weights_dir=self.settings.weights_dir,
            devices=self.settings.devices,
            micro_batches=one.micro_batches,
            schedule_losses=one.val_losses,
        )
        result: dict[str, Any] = {"candidate": at, "seed": seed}
        mark = Mark(folder)
        try:
            if mark.set() >= MOST:
                raise TrialFailed(DIED)
            rows = train(trial, self.data, Watcher(stop=stop, progress=shown.steps, epoch=shown.epoch))
            result |= {"seconds": sum(row["seconds"] for row in rows), "tests": self._test(trial)}
        except Exception as error:
            if isinstance(error, Stopped) or disk_is_full(error):
                mark.clear()
                raise
            result["why"] = reason(error)
            shown.say(f"  failed: {result['why']}")
            shown.done = shown.done + one.epochs - len(read_epochs(folder / "epochs.csv"))
        self.record["trainings"].append(result)
        write_record(self.settings.run, self.record)
        mark.clear()
        keep_only(folder, ())

    def _test(self, trial: Trial) -> dict[str, Any]:
        with trained_model(trial) as model:
            write_atomic(trial.folder / MODEL, model.save)
            probabilities = predict_images(model, trial.design, self.test.images)
        halves, labels = probabilities.astype(np.float16), self.test.labels.astype(np.uint8)
        write_atomic(
            trial.folder / PREDICTIONS, lambda path: np.savez_compressed(path, probabilities=halves, labels=labels)
        )
        return self.test.score(probabilities)

    def _finish(self) -> None:
        """Add what the mean of each candidate's networks is worth."""
        ensembles = []
        for at in range(len(self.candidates)):
            members = self._predictions(at)
            if len(members) > 1:
                tests = self.test.score(np.mean(members, axis=0))
                ensembles.append({"candidate": at, "members": len(members), "tests": tests})
        if self.record["ensembles"] != ensembles:
            self.record["ensembles"] = ensembles
            write_record(self.settings.run, self.record)

    def _predictions(self, at: int) -> list[np.ndarray]:
        found = []
        for one in self.record["trainings"]:
            if one["candidate"] == at and "tests" in one:
                number = one["seed"] * len(self.candidates) + at
                with np.load(self._folder(self.record) / f"training_{number:02d}" / PREDICTIONS) as arrays:
                    found.append(arrays["probabilities"].astype(np.float64))
        return found
