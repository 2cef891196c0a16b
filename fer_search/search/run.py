"""A search, from its settings to its end: prepares the run folder, then runs trials until the budget is reached."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import time
from typing import Any

import numpy as np
from keras_tuner.engine.trial import Trial as TunerTrial

from fer_search import backend
from fer_search.data.dataset import Dataset
from fer_search.data.load import describe, load_dataset
from fer_search.data.split import Split, make_split
from fer_search.design import Design
from fer_search.errors import UserError
from fer_search.files import disk_is_full, write_json
from fer_search.runfolder.epochs import Row, read_epochs
from fer_search.runfolder.folder import DIFFERENT, LIVE, LOCKED, RunFolder, check_same
from fer_search.search.display import events
from fer_search.search.display.messages import again, announcement, farewell
from fer_search.search.run_record import BEFORE, EXTENSIBLE, first_change, identity, new_info
from fer_search.search.scheduling.budget import planned
from fer_search.search.scheduling.clock import Clock
from fer_search.search.scheduling.setup import baseline_names, estimate, new_oracle, trial_limit
from fer_search.search.settings import Settings
from fer_search.search.trials.checkpoint_retention import most_bytes, ranked, tidy
from fer_search.search.trials.crash_guard import Mark
from fer_search.search.trials.predictions import keep_predictions, predicted_trial
from fer_search.search.trials.pretrained import settle_weights
from fer_search.search.trials.signals import Stop, stopping
from fer_search.search.trials.tensorboard import trial_callbacks
from fer_search.search.trials.trial_runner import Attempts
from fer_search.space import Space, load_space
from fer_search.training.trial import Progress, Stopped, TrialData, Watcher, whole_epochs

NO_TRIAL = 3  # exit code: no trial completed, or too many failed in a row
HEARTBEAT = 2.0  # seconds between two writes of live.json


def run_search(settings: Settings, view: events.View) -> int:
    """Start a search, or go on with it where its folder is; return the exit code of the command.

    Args:
        settings: what to search.
        view: shows what happens.

    Returns:
        0 the budget is reached, 3 no trial completed or too many failed in a row, 130 or 143 stopped by SIGINT or
        SIGTERM.

    Raises:
        UserError: something that the user can mend: 2 an input, 4 the folder is in use, broken or its disk is full, 5
            it was started as another run.
    """
    found = load_space(settings.space, settings.width, settings.batch_size, settings.fix)
    space, skipped = settle_weights(found, settings)
    dataset, split = load_data(settings)
    view.show(events.Note(describe(dataset)))
    folder = RunFolder(settings.folder)
    try:
        with folder.lock(), stopping(lambda text: view.show(events.Note(text))) as stop:
            if settings.overwrite:
                folder.clear()
            folder.remove_leftovers()
            return _Search(settings, space, skipped, dataset, split, folder, view).run(stop)
    except Exception as error:
        if not isinstance(error, UserError) and disk_is_full(error):
            message = (
                f"no room left on the disk of {folder.path}; nothing is lost: make room, and the same command goes on"
            )
            raise UserError(message, LOCKED) from error
        raise
    finally:
        view.close()


def load_data(settings: Settings) -> tuple[Dataset, Split]:
    """Return the data set of a run and the images that it uses."""
    dataset = load_dataset(settings.data, labels=settings.labels, ferplus_csv=settings.ferplus_csv)
    split = make_split(
        dataset,
        protocol=settings.protocol,
        validation=settings.validation,
        seed=settings.seed,
        limit_train=settings.limit_train,
        drop_duplicates=settings.drop_duplicates,
    )
    return dataset, split


def trial_data(dataset: Dataset, split: Split) -> TrialData:
    """Return what the trials of a run see."""
    train, validation = split.train, split.validation
    images, labels = dataset.images, dataset.labels
    augmented = split.protocol == "report"
    return TrialData(images[train], labels[train], images[validation], labels[validation], augment_validation=augmented)


class _Search:
    """One start of a search."""

    def __init__(
        self,
        settings: Settings,
        space: Space,
        skipped: list[dict[str, str]],
        dataset: Dataset,
        split: Split,
        folder: RunFolder,
        view: events.View,
    ) -> None:
        self.settings, self.space, self.folder, self.view = settings, space, folder, view
        self.skipped, self.dataset, self.split = skipped, dataset, split
        self.names = baseline_names(settings, space)
        self.max_trials = trial_limit(settings, self.names)
        self.oracle = new_oracle(settings, space)
        self.amount = planned(self.oracle, len(self.names), self.max_trials, settings.max_epochs)
        self.data = trial_data(dataset, split)
        self.attempts = Attempts(settings, space, self.names, folder, self.oracle, self.data)
        self._beaten = 0.0

    def run(self, stop: Stop) -> int:
        try:
            self.info = self._open(stop)
        except Stopped:
            text = f"Stopped before the first trial. {again(self.settings)} starts it."
            self.view.show(events.SearchEnded(str(self.folder.path), "interrupted", text, 0, 0, None))
            return 128 + (stop.number or signal.SIGINT)
        self._announce()
        self.clock = self._start_clock()
        if self.settings.time_budget is not None:
            stop.deadline = time.monotonic() + self.settings.time_budget - self.seconds_before
        done, low_high = len(self.oracle.end_order), self.clock.left()
        begun = events.SearchBegun(
            str(self.folder.path), self.settings.tuner, *self._planned(), done, low_high, self._best()
        )
        self.view.show(begun)
        state = self._trials(stop)
        self._write_state(state)
        (self.folder.path / LIVE).unlink(missing_ok=True)
        return self._farewell(state, stop)

    def _trials(self, stop: Stop) -> str:
        """Run trials; return why no more: finished, interrupted, out_of_time or failing."""
        while not stop():
            if self._failures_in_a_row() >= self.settings.max_failures:
                return "failing"
            trial = self.oracle.ongoing() or self._next()
            if trial is None:
                return "finished"
            try:
                self._run_trial(trial, stop)
            except Stopped:
                break
            self._write_state("running")
        return "interrupted" if stop.number is not None else "out_of_time"

    def _next(self) -> TunerTrial | None:
        """Start the next trial: the baselines first, then what the oracle proposes."""
        count = len(self.oracle.trials)
        if self.max_trials is not None and count >= self.max_trials:
            return None
        if count < len(self.names):
            return self.oracle.adopt(self.space.baseline(self.names[count]))
        return self.oracle.propose()

    def _run_trial(self, proposed: TunerTrial, stop: Stop) -> None:
        try:
            prepared = self.attempts.prepare(proposed)
            trial = prepared.trial
            tidy(self.folder, self.oracle, self._max_bytes(), most_bytes(trial.design, prepared.parameters))
            own = whole_epochs(trial)
            curve = tuple(row["val_accuracy"] for row in (*trial.history, *own))
            values = proposed.hyperparameters.values
            self.begun = events.TrialBegun(
                trial.number, self.amount.trials, prepared.name, values, trial.epochs, prepared.parameters, curve
            )
            self.begun_from_parent = trial.parent is not None
            self.clock.begin_trial(len(own))
            self.view.show(self.begun)
            self._beat(Progress(len(curve) + 1, 0, len(self.data.labels), 0.0, 0.0), self.clock.left())
            watcher = Watcher(stop=stop, progress=self._progress, epoch=self._epoch)
            board = trial_callbacks(self.folder.path, proposed, prepared.name) if self.settings.tensorboard else ()
            stop.goodbye = self.attempts.mark(proposed).clear
            self.attempts.run(proposed, prepared, watcher, board)
        except Exception as error:
            self.attempts.fail(proposed, error)
        self._end_trial(proposed)

    def _end_trial(self, ended: TunerTrial) -> None:
        self.clock.end_trial()
        tidy(self.folder, self.oracle, self._max_bytes())
        self._keep_predictions()
        name = self.attempts.name(ended.trial_id)
        status, epoch = ended.status.lower(), ended.best_step if ended.score is not None else None
        facts = (status, ended.score, epoch, ended.message or "", self._best(), self._failed())
        self.view.show(events.TrialEnded(int(ended.trial_id), name, *facts))

    def _progress(self, at: Progress) -> None:
        left = self.clock.left(at.done / at.images)
        self.view.show(events.Steps(at.epoch, at.done, at.images, at.loss, at.accuracy, left))
        if time.monotonic() - self._beaten >= HEARTBEAT:
            self._beat(at, left)

    def _beat(self, at: Progress, left: events.Range) -> None:
        """Tell ``fer-search status`` where the run is."""
        self._beaten = time.monotonic()
        live: dict[str, Any] = {"pid": os.getpid(), "time": time.time(), "trials": self.amount.trials}
        live |= {"trial": self.begun.number, "epochs": self.begun.epochs, "left": left, "seconds": self._seconds()}
        self.folder.write_live(live | dataclasses.asdict(at))

    def _epoch(self, row: Row) -> None:
        self.clock.end_epoch(row["seconds"])
        if self.begun_from_parent:  # whose checkpoint is wanted until the first epoch has its own
            tidy(self.folder, self.oracle)
            self.begun_from_parent = False
        self.view.show(events.EpochEnded(self.begun.number, row, self.clock.left()))

    def _keep_predictions(self) -> None:
        """Keep the best network's predictions for the report; a search must not fail for want of them."""
        best = ranked(self.oracle)[:1]
        if not best or predicted_trial(self.folder.path) == best[0]:
            return
        data, rows = self.data, np.asarray(self.split.validation)
        try:
            record = json.loads((self.folder.path / f"trial_{best[0]}" / "design.json").read_text(encoding="utf-8"))
            design = Design.from_dict(record["design"])
            keep_predictions(self.folder.path, best[0], design, data.val_images, data.val_labels, rows)
        except Exception as error:
            if disk_is_full(error):
                raise
            self._say(f"The predictions of trial {best[0]} could not be kept: {type(error).__name__}: {error}")

    def _best(self) -> events.Best | None:
        best = ranked(self.oracle)[:1]
        if not best:
            return None
        trial = self.oracle.trials[best[0]]
        choices = {k: v for k, v in trial.hyperparameters.values.items() if not k.startswith("tuner/")}
        return events.Best(int(best[0]), self.attempts.name(best[0]), trial.score, choices)

    def _failed(self) -> int:
        return sum(trial.status == "FAILED" for trial in self.oracle.trials.values())

    def _failures_in_a_row(self) -> int:
        statuses = [self.oracle.trials[trial_id].status for trial_id in reversed(self.oracle.end_order)]
        return next((at for at, status in enumerate(statuses) if status != "FAILED"), len(statuses))

    def _max_bytes(self) -> int | None:
        limit = self.settings.max_disk
        return None if limit is None or limit == float("inf") else int(limit)

    def _open(self, stop: Stop) -> dict[str, Any]:
        """Start the folder, or take it up where it is."""
        info = self.folder.read()
        self.folder.check_whole()
        self.resumed = False
        if info is None:
            info = new_info(self.settings, self.space, self.dataset, self.split, self.skipped)
            write_json(self.folder.path / "tuner0.json", {})  # Keras Tuner's own, always empty
            self.folder.write(info)
        else:
            self._check_same(info)
            self.resumed = self.folder.started()
            if self.resumed:
                self.oracle.restore()
                tidy(self.folder, self.oracle, self._max_bytes())
                self._keep_predictions()
        if not self.folder.started():
            self.oracle.save()
        info["tuner"]["trials"] = self.amount.trials
        if "estimate_seconds" not in info:
            self._say("Training a cheap and a dear design for a moment, to say how long the search will take.")
            info["estimate_seconds"] = [round(s, 1) for s in self._estimate(stop)]
            self.folder.write(info)
        self.started, self.seconds_before = time.monotonic(), self._seconds_of(info)
        return info

    def _estimate(self, stop: Stop) -> events.Range:
        """Say how long it will take; where a start died of the dear design, from the cheap one alone."""
        mark = Mark(self.folder.path)
        stop.goodbye = mark.clear
        try:
            seconds = estimate(self.settings, self.space, self.data, stop, mark.set() == 0)
        except Exception:
            mark.clear()
            raise
        mark.clear()
        return seconds

    def _check_same(self, info: dict[str, Any]) -> None:
        """Refuse to go on with another run; record what --extend adds."""
        s, now = self.settings, identity(self.settings, self.space, self.dataset)
        if info.get("skipped", []) != self.skipped:
            raise UserError(
                f"{self.folder.path} was started with other pretrained weights at hand: "
                f"{_names(info.get('skipped', []))} was left out then, {_names(self.skipped)} now",
                DIFFERENT,
            )
        then, words = BEFORE | info["identity"], {"data": f"was {info['data']['name']}, is {self.dataset.name}"}
        if info["data"]["name"] == self.dataset.name:
            words["data"] = f"({self.dataset.name}) has other images or labels than it had"
        words["space"] = first_change(info["space"], self.space)
        if not words["space"]:  # other comments, or a run.json from before it held the modules
            now["space"] = then["space"]
        more = check_same(self.folder.path, then, now, EXTENSIBLE if s.extend else (), words)
        if "--max-epochs" in more and s.tuner == "hyperband":
            raise UserError(
                "--extend: Hyperband's rungs follow from --max-epochs; choose another --name for more", DIFFERENT
            )
        if "modules" not in info["space"] and self.space.modules:
            info["space"]["modules"] = self.space.modules
            self.folder.write(info)
        if more:
            before = {name: info["identity"].get(name) for name in more}
            done = len(list(self.folder.path.glob("trial_*/trial.json")))
            info["extended"] = [
                *info.get("extended", ()),
                {"after_trials": done, "from": before, "to": {n: now[n] for n in more}},
            ]
            info["identity"] = now
            info["tuner"] |= {"max_trials": s.max_trials, "max_epochs": s.max_epochs, "time_budget": s.time_budget}
            self.folder.write(info)

    def _seconds_of(self, info: dict[str, Any]) -> float:
        """Return how long earlier starts took, the last one up to its last sign of life."""
        live = self.folder.read_live() or {}
        return max(float(live.get("seconds", 0.0)), float(info.get("seconds", 0.0)))

    def _start_clock(self) -> Clock:
        tables = [read_epochs(path) for path in sorted(self.folder.path.glob("trial_*/epochs.csv"))]
        seconds = [[row["seconds"] for row in rows] for rows in tables]
        low, high = self.info["estimate_seconds"]
        return Clock(self.amount, (low, high), len(self.oracle.end_order), seconds)

    def _seconds(self) -> float:
        return round(self.seconds_before + time.monotonic() - self.started, 1)

    def _write_state(self, state: str) -> None:
        self.info |= {"state": state, "seconds": self._seconds()}
        self.folder.write(self.info)

    def _planned(self) -> tuple[int, int]:
        return self.amount.trials, self.amount.epochs

    def _say(self, text: str) -> None:
        self.view.show(events.Note(text))

    def _announce(self) -> None:
        s = self.settings
        self._say(f"Protocol: {self.split.note}.")
        if s.width != 1:
            self._say(
                f"Width: every filter count times {s.width:g}, so accuracies are below those of the full networks."
            )
        shared = f"; {s.devices} such devices share each batch" if s.devices > 1 else ""
        self._say(f"Device: {backend.device()}, {backend.start()} backend{shared}.")
        for one in self.skipped:
            self._say(f"Missing here: {one['what']} ({one['why']}).")
        low, high = self.info["estimate_seconds"]
        what = (self.names, self.max_trials, self._planned(), len(self.data.labels), (low, high))
        for line in announcement(s, *what):
            self._say(line)
        if self.resumed:
            done = len(self.oracle.end_order)
            self._say(f"Going on with {self.folder.path}: {done} of {self.amount.trials} trials are done.")
        else:
            same = again(s)
            self._say(f"Run folder: {self.folder.path}. Ctrl-C stops; {same[0].lower()}{same[1:]} goes on.")

    def _farewell(self, state: str, stop: Stop) -> int:
        ended, failed, best = len(self.oracle.end_order), self._failed(), self._best()
        last = self.oracle.trials[self.oracle.end_order[-1]].message or "" if ended else ""
        counts, in_a_row = (ended, failed, self.amount.trials), (self._failures_in_a_row(), last)
        text = farewell(state, self.settings, counts, best, self.clock.left(), in_a_row)
        self.view.show(events.SearchEnded(str(self.folder.path), state, text, ended, failed, best))
        if state == "interrupted":
            return 128 + (stop.number or signal.SIGINT)
        return NO_TRIAL if state == "failing" or (ended and ended == failed) else 0


def _names(skipped: list[dict[str, str]]) -> str:
    return ", ".join(one["what"] for one in skipped) or "nothing"
