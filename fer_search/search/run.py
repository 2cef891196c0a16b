"""A search, from its settings to its end: prepares the run folder, then runs trials until the budget is reached."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from keras_tuner.engine.trial import Trial as TunerTrial
from rich.console import Console

from fer_search import backend
from fer_search.data.dataset import Dataset
from fer_search.data.load import describe, load_dataset
from fer_search.data.split import Split, make_split
from fer_search.errors import UserError
from fer_search.files import write_json
from fer_search.models import build_model, count_flops, count_parameters
from fer_search.search.folder import FORMAT, RunFolder, check_same
from fer_search.search.oracles import SafeOracle, make_oracle
from fer_search.search.plan import Amount, estimate_seconds, planned
from fer_search.search.progress import Display, in_words
from fer_search.search.settings import Settings
from fer_search.space import Space, load_space
from fer_search.training.checkpoint import BEST, keep_only
from fer_search.training.epochs import Row, read_epochs
from fer_search.training.trial import Stopped, Trial, TrialData, TrialFailed, Watcher, train

NO_TRIAL = 3  # exit code: the search ended and no trial completed
KEPT_WEIGHTS = 5  # the best trials keep the weights of their best epoch
"""Exit codes: 0 the budget is reached, 3 no trial completed, 130 or 143 stopped by SIGINT or SIGTERM."""


@dataclass
class Stop:
    """Whether the user or the system asked the run to end, and with which signal."""

    number: int | None = None

    def __call__(self) -> bool:
        return self.number is not None


def run_search(settings: Settings, console: Console) -> int:
    """Start a search, or go on with it where its folder is; return the exit code of the command.

    Args:
        settings: what to search.
        console: for what the user sees; on stderr.

    Raises:
        UserError: something that the user can mend.
    """
    space = load_space(settings.space, settings.width, settings.batch_size)
    dataset = load_dataset(settings.data, labels=settings.labels, ferplus_csv=settings.ferplus_csv)
    console.print(describe(dataset), highlight=False, markup=False, soft_wrap=True)
    split = make_split(
        dataset,
        protocol=settings.protocol,
        validation=settings.validation,
        seed=settings.seed,
        limit_train=settings.limit_train,
        drop_duplicates=settings.drop_duplicates,
    )
    folder = RunFolder(settings.folder)
    with folder.lock(), _stopping(console) as stop:
        if settings.overwrite:
            folder.clear()
        return _Search(settings, space, dataset, split, folder, console).run(stop)


class _Search:
    """One start of a search."""

    def __init__(
        self, settings: Settings, space: Space, dataset: Dataset, split: Split, folder: RunFolder, console: Console
    ) -> None:
        self.settings, self.space, self.folder, self.console = settings, space, folder, console
        self.split, self.dataset = split, dataset
        self.names = list(space.baselines) if settings.baselines != "none" else []
        limit = len(self.names) if settings.baselines == "only" else settings.max_trials
        if settings.baselines == "only" and not self.names:
            raise UserError(f"--baselines only: {space.path} has no baselines")
        self.max_trials = (
            limit if settings.max_trials is None else min(limit or settings.max_trials, settings.max_trials)
        )
        self.oracle = self._new_oracle()
        self.amount = planned(self.oracle, len(self.names), self.max_trials, settings.max_epochs)
        images, labels = dataset.images, dataset.labels
        self.data = TrialData(
            images[split.train],
            labels[split.train],
            images[split.validation],
            labels[split.validation],
            augment_validation=split.protocol == "report",
        )

    def run(self, stop: Stop) -> int:
        self.info = self._open()
        self._announce()
        done = [read_epochs(path) for path in self.folder.path.glob("trial_*/epochs.csv")]
        amount, ended = self.amount, len(self.oracle.end_order)
        with Display(self.console, amount, ended, sum(map(len, done)), self.info["estimate_seconds"]) as display:
            self.display = display
            finished = self._trials(stop)
        self._write_state("finished" if finished else "interrupted")
        return self._farewell(finished, stop)

    def _trials(self, stop: Stop) -> bool:
        """Run trials to the end of the search; False where it was stopped before."""
        try:
            while not stop():
                trial = self.oracle.ongoing() or self._next()
                if trial is None:
                    return True
                self._run_trial(trial, stop)
                self._write_state("running")
        except Stopped:
            pass
        return False

    def _next(self) -> TunerTrial | None:
        """Start the next trial: the baselines first, then what the oracle proposes."""
        count = len(self.oracle.trials)
        if self.max_trials is not None and count >= self.max_trials:
            return None
        if count < len(self.names):
            return self.oracle.adopt(self.space.baseline(self.names[count]))
        return self.oracle.propose()

    def _run_trial(self, proposed: TunerTrial, stop: Stop) -> None:
        number, values = int(proposed.trial_id), proposed.hyperparameters.values
        name = self.names[number] if number < len(self.names) else None
        folder = self.folder.trial(proposed.trial_id)
        epochs = values.get("tuner/epochs", self.settings.max_epochs)
        title = name or ", ".join(f"{k} {v}" for k, v in values.items() if not k.startswith("tuner/"))
        try:
            trial = self._prepare(proposed, name, folder, epochs)
            done = len(trial.history) + len(read_epochs(folder / "epochs.csv"))
            self.display.begin_trial(number, title, epochs, done)
            watcher = Watcher(stop=stop, progress=self.display.progress, epoch=self.display.end_epoch)
            rows = train(trial, self.data, watcher)
        except Stopped:
            raise
        except Exception as error:
            reason = str(error) if isinstance(error, (TrialFailed, UserError)) else f"{type(error).__name__}: {error}"
            self.oracle.fail(proposed, reason)
            self.display.end_trial(self._best(), f"failed: {reason.splitlines()[0]:.200}")
        else:
            self.oracle.finish(proposed, rows)
            self.display.end_trial(
                self._best(), f"validation accuracy {proposed.score:.3f} in epoch {proposed.best_step}"
            )
        self._tidy(folder)

    def _prepare(self, proposed: TunerTrial, name: str | None, folder: Path, epochs: int) -> Trial:
        """Make the trial of a proposal, and record its design and what it costs."""
        design = self.space.design(proposed.hyperparameters.copy())
        if not (folder / "design.json").exists():
            model = build_model(design)
            cost = {"parameters": count_parameters(model), "flops": count_flops(model)}
            write_json(folder / "design.json", {"name": name, "design": design.to_dict()} | cost)
        parent = proposed.hyperparameters.values.get("tuner/trial_id")
        return Trial(
            design=design,
            epochs=epochs,
            folder=folder,
            seed=self.settings.seed,
            number=int(proposed.trial_id),
            parent=self.folder.trial(parent) if parent else None,
            history=self._history(parent) if parent else [],
        )

    def _history(self, trial_id: str) -> list[Row]:
        """Return the epochs of a trial and of those that it went on from, first to last."""
        parent = self.oracle.trials[trial_id].hyperparameters.values.get("tuner/trial_id")
        before = self._history(parent) if parent else []
        return before + read_epochs(self.folder.trial(trial_id) / "epochs.csv")

    def _best(self) -> str:
        scored = [t for t in self.oracle.trials.values() if t.score is not None]
        if not scored:
            return "none yet"
        best = max(scored, key=lambda t: t.score)
        number = int(best.trial_id)
        name = f" ({self.names[number]})" if number < len(self.names) else ""
        return f"{best.score:.3f} by trial {number}{name}"

    def _tidy(self, folder: Path) -> None:
        """Remove the weights that cannot matter any more."""
        if self.settings.tuner != "hyperband" or int(folder.name.removeprefix("trial_")) < len(self.names):
            keep_only(folder, ())  # nothing goes on from it
        scored = sorted((t for t in self.oracle.trials.values() if t.score is not None), key=lambda t: -t.score)
        for trial in scored[KEPT_WEIGHTS:]:
            (self.folder.trial(trial.trial_id) / BEST).unlink(missing_ok=True)

    def _new_oracle(self) -> SafeOracle:
        s = self.settings
        return make_oracle(
            s.tuner,
            self.space.choices(),
            self.folder.path,
            seed=s.seed,
            max_trials=s.max_trials,
            max_epochs=s.max_epochs,
            factor=s.factor,
        )

    def _open(self) -> dict[str, Any]:
        """Start the folder, or take it up where it is."""
        info = self.folder.read()
        if info is None:
            self.resumed = False
            estimate = estimate_seconds(self.space, self.amount, len(self.data.labels), len(self.data.val_labels))
            info = self._new_info() | {"estimate_seconds": round(estimate, 1)}
            write_json(self.folder.path / "tuner0.json", {})  # Keras Tuner's own, always empty
            self.folder.write(info)
        else:
            check_same(self.folder.path, info["identity"], self._identity())
            self.resumed = self.folder.started()
            if self.resumed:
                self.oracle.restore()
        if not self.folder.started():
            self.oracle.save()
        self.started, self.seconds_before = time.monotonic(), info.get("seconds", 0.0)
        return info

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a run to go on."""
        s = self.settings
        return {
            "space": self.space.sha256,
            "data": self.dataset.fingerprint,
            "backend": backend.start(),
            "--tuner": s.tuner,
            "--max-trials": s.max_trials,
            "--max-epochs": s.max_epochs,
            "--factor": s.factor,
            "--baselines": s.baselines,
            "--seed": s.seed,
            "--protocol": s.protocol,
            "--validation": s.validation,
            "--limit-train": s.limit_train,
            "--width": s.width,
            "--batch-size": s.batch_size,
            "--drop-duplicates": s.drop_duplicates,
            "--labels": s.labels,
        }

    def _new_info(self) -> dict[str, Any]:
        s, space, data = self.settings, self.space, self.dataset
        tuner = {"name": s.tuner, "max_trials": s.max_trials, "max_epochs": s.max_epochs, "factor": s.factor}
        settings = {"width": s.width, "limit_train": s.limit_train, "batch_size": s.batch_size, "labels": s.labels}
        counts = {"train": len(self.data.labels), "validation": len(self.data.val_labels)}
        about = {"name": data.name, "source": data.source, "fingerprint": data.fingerprint, "toy": data.toy}
        return {
            "format": FORMAT,
            "name": self.folder.path.name,
            "command": s.command,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": backend.versions().get("fer-search"),
            "space": {"name": space.name, "path": str(space.path), "sha256": space.sha256, "text": space.text},
            "references": space.references,
            "baselines": space.baselines,
            "data": about | counts | {"notes": list(data.notes)},
            "protocol": self.split.protocol,
            "protocol_note": self.split.note,
            "seed": s.seed,
            "tuner": tuner | {"baselines": s.baselines},
            "settings": settings | {"drop_duplicates": s.drop_duplicates, "validation": s.validation},
            "versions": backend.versions(),
            "backend": backend.start(),
            "device": backend.device(),
            "skipped": [],
            "identity": self._identity(),
            "state": "running",
            "seconds": 0.0,
        }

    def _write_state(self, state: str) -> None:
        self.info |= {"state": state, "seconds": round(self.seconds_before + time.monotonic() - self.started, 1)}
        self.folder.write(self.info)

    def _announce(self) -> None:
        s, amount = self.settings, self.amount
        lines = [f"Protocol: {self.split.note}."]
        if s.width != 1:
            lines.append(
                f"Width: every filter count times {s.width:g}, so accuracies are below those of the full networks."
            )
        lines.append(f"Device: {backend.device()}, {backend.start()} backend.")
        if s.baselines == "first" and self.names and self.max_trials is not None and self.max_trials <= len(self.names):
            lines.append(
                f"--max-trials {self.max_trials} is used up by the space's {len(self.names)} baselines before the tuner "
                "proposes anything; --baselines none leaves them out."
            )
        first = ", ".join(self.names[: self.max_trials])
        baselines = f" (the baselines {first} first)" if first else ""
        lines.append(
            f"Search: {s.tuner}, {amount.trials} trials{baselines}, {amount.epochs} epochs of {len(self.data.labels)} images "
            f"in all; estimated {in_words(self.info['estimate_seconds'])} on this device."
        )
        if self.resumed:
            done = len(self.oracle.end_order)
            lines.append(f"Going on with {self.folder.path}: {done} of {amount.trials} trials are done.")
        else:
            lines.append(f"Run folder: {self.folder.path}. Ctrl-C stops; the same command goes on.")
        for line in lines:
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _farewell(self, finished: bool, stop: Stop) -> int:
        path, ended = self.folder.path, len(self.oracle.end_order)
        failed = sum(t.status == "FAILED" for t in self.oracle.trials.values())
        failures = f", {failed} failed" if failed else ""
        if finished:
            line = f"Done: {ended} trials{failures}; best {self._best()}. See it: fer-search report {path}"
        else:
            line = f"Stopped: {ended} of {self.amount.trials} trials done{failures}, nothing lost. The same command goes on."
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)
        if not finished:
            return 128 + (stop.number or signal.SIGINT)
        return NO_TRIAL if ended == failed else 0


@contextmanager
def _stopping(console: Console) -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a wish to stop; the second SIGINT ends the process at once."""
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.number = number
        console.print("Stopping after this step; once more to stop at once.", highlight=False)

    before: dict[int, Callable[..., Any] | int | None] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
