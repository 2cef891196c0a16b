"""One trial: a Design trained for some epochs, in a folder from which it can always go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fer_search.augment import Plan, draw_plan
from fer_search.data.dataset import CLASSES
from fer_search.design import Augmentation, Design
from fer_search.models import build_model
from fer_search.training import random
from fer_search.training.batches import draw_batches, in_order
from fer_search.training.checkpoint import (
    checkpointed_epochs,
    keep_only,
    load_checkpoint,
    mark_best,
    save_checkpoint,
)
from fer_search.training.engine import Engine, make_engine
from fer_search.training.epochs import Row, append_epoch, read_epochs, rewrite_epochs
from fer_search.training.schedule import learning_rate

CHUNK_SECONDS = 1.0  # about how long the device works between two looks at the stop flag and the clock


class TrialFailed(Exception):
    """The trial cannot give a result; the message is the reason, in words for the user."""


class Stopped(Exception):
    """The trial was asked to stop; its folder holds all epochs that ended."""


@dataclass(frozen=True, eq=False)
class TrialData:
    """What a trial sees, as NumPy arrays.

    Args:
        images: uint8 (n, 48, 48), to train on.
        labels: int (n,), from 0 to 6.
        val_images: uint8 (m, 48, 48), to validate on.
        val_labels: int (m,).
        augment_validation: show the validation images through the design's geometry too, as the report did.
    """

    images: np.ndarray
    labels: np.ndarray
    val_images: np.ndarray
    val_labels: np.ndarray
    augment_validation: bool = False
    _placed: list[Any] = field(default_factory=list, repr=False)

    def placed(self, put: Callable[[np.ndarray], Any]) -> list[Any]:
        """Return images, labels and validation images on the device; moved there by the first trial, for all of them."""
        if not self._placed:
            self._placed.extend(map(put, (self.images, self.labels.astype(np.int32), self.val_images)))
        return self._placed


@dataclass(frozen=True)
class Trial:
    """What to train, how long, and where.

    Args:
        design: the design.
        epochs: the epoch to train up to, 1 being the first.
        folder: where epochs.csv and the checkpoints are.
        seed: of the run.
        number: of the trial in the run; together with the seed it determines all randomness.
        parent: folder of the trial whose last weights and optimiser state this one goes on from.
        history: rows of the epochs that the parent and its ancestors trained.
    """

    design: Design
    epochs: int
    folder: Path
    seed: int
    number: int
    parent: Path | None = None
    history: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Progress:
    """Where a running trial is: ``done`` of ``images`` images of an epoch, with the mean loss and accuracy so far."""

    epoch: int
    done: int
    images: int
    loss: float
    accuracy: float


@dataclass
class Watcher:
    """What the caller of ``train`` wants to know and to decide.

    Args:
        stop: asked between chunks of about a second; True ends the trial with ``Stopped``.
        progress: called after each chunk.
        epoch: called after each epoch, with its row.
    """

    stop: Callable[[], bool] = lambda: False
    progress: Callable[[Progress], None] = lambda progress: None
    epoch: Callable[[Row], None] = lambda row: None


def train(trial: Trial, data: TrialData, watcher: Watcher | None = None) -> list[Row]:
    """Train a trial from where its folder is to its last epoch.

    Args:
        trial: what to train; its folder must exist.
        data: what to train and validate on.
        watcher: see there.

    Returns:
        The rows of its own epochs, first to last, as in its epochs.csv.

    Raises:
        TrialFailed: the loss is not a number.
        Stopped: ``watcher.stop`` said so.
    """
    watcher = watcher or Watcher()
    keras.utils.clear_session()
    keras.utils.set_random_seed(random.whole_number(random.WEIGHTS, trial.seed, trial.number))
    model = build_model(trial.design)
    rows = _resume(trial, model)
    loop = _Loop(trial, data, model, watcher)
    for epoch in range(len(trial.history) + len(rows) + 1, trial.epochs + 1):
        row = loop.run_epoch(epoch, [r["val_loss"] for r in trial.history + rows])
        rows.append(row)
        _keep(trial, model, rows)
        watcher.epoch(row)
    return rows


def _resume(trial: Trial, model: keras.Model) -> list[Row]:
    """Load the newest state that is whole; return the rows that go with it."""
    table = trial.folder / "epochs.csv"
    rows, before = read_epochs(table), len(trial.history)
    whole = [e for e in checkpointed_epochs(trial.folder) if e <= before + len(rows)]
    if whole:
        load_checkpoint(model, trial.folder, whole[-1])
    elif trial.parent is not None:
        load_checkpoint(model, trial.parent, before)
    kept = rows[: (whole[-1] if whole else before) - before]
    if table.exists():
        rewrite_epochs(table, kept)
    return kept


def _keep(trial: Trial, model: keras.Model, rows: list[Row]) -> None:
    """Record an epoch that ended; the order matters (see ``fer_search.training.checkpoint``)."""
    epoch = int(rows[-1]["epoch"])
    save_checkpoint(model, trial.folder, epoch)
    if rows[-1]["val_accuracy"] > max((row["val_accuracy"] for row in rows[:-1]), default=-1.0):
        mark_best(trial.folder, epoch)
    append_epoch(trial.folder / "epochs.csv", rows[-1])
    keep_only(trial.folder, (epoch,))


class _Loop:
    """The epochs of one trial on one engine."""

    def __init__(self, trial: Trial, data: TrialData, model: keras.Model, watcher: Watcher) -> None:
        self.trial, self.data, self.watcher = trial, data, watcher
        self.engine: Engine = make_engine(model)
        images, labels, self.val_images = data.placed(self.engine.put)
        self.train_data = (images, labels)
        self.chunk = 1  # steps a dispatch; grows until it takes about CHUNK_SECONDS

    def run_epoch(self, epoch: int, val_losses: list[float]) -> Row:
        started = time.perf_counter()
        rate = learning_rate(self.trial.design.optimisation, val_losses)
        loss, accuracy = self._train(epoch, rate)
        clean = self._validate(None)
        for name, value in (("training", loss), ("validation", clean["loss"])):
            if not np.isfinite(value):
                raise TrialFailed(f"the {name} loss was {value} in epoch {epoch}")
        shown = self._validate(self._validation_plan(epoch)) if self.data.augment_validation else clean
        seconds = time.perf_counter() - started
        row = {"epoch": epoch, "loss": loss, "accuracy": accuracy, "learning_rate": rate, "seconds": seconds}
        row |= {f"val_{name}" if name in ("loss", "accuracy") else name: value for name, value in shown.items()}
        return row | {"clean_val_loss": clean["loss"], "clean_val_accuracy": clean["accuracy"]}

    def _random(self, stream: int, epoch: int) -> np.random.Generator:
        return random.generator(stream, self.trial.seed, self.trial.number, epoch)

    def _train(self, epoch: int, rate: float) -> tuple[float, float]:
        design, count = self.trial.design, len(self.data.labels)
        rows, weights = draw_batches(self._random(random.ORDER, epoch), count, design.optimisation.batch_size)
        batches: Plan = {"rows": rows, "weights": weights}
        batches |= draw_plan(self._random(random.AUGMENTATION, epoch), *rows.shape, design.augmentation)
        self.engine.begin_epoch(rate, self._random(random.DROPOUT, epoch))
        sums, start, steps = np.zeros(3), 0, len(rows)
        while start < steps:
            began = time.perf_counter()
            stop = min(start + self.chunk, steps)
            sums += self.engine.train(self.train_data, batches, start, stop)
            self._adapt(time.perf_counter() - began)
            start = stop
            self.watcher.progress(Progress(epoch, int(sums[2]), count, sums[0] / sums[2], sums[1] / sums[2]))
            if self.watcher.stop():
                raise Stopped
        self.engine.end_epoch()
        return float(sums[0] / sums[2]), float(sums[1] / sums[2])

    def _adapt(self, seconds: float) -> None:
        if seconds < CHUNK_SECONDS / 2:
            self.chunk *= 2
        elif seconds > CHUNK_SECONDS * 2:
            self.chunk = max(1, self.chunk // 2)

    def _validation_plan(self, epoch: int) -> Plan:
        """The report fed its validation images through the generator of its training images: the geometry alone."""
        a = self.trial.design.augmentation
        seen = Augmentation(rotation=a.rotation, shear=a.shear, zoom=a.zoom, shift=a.shift, flip=a.flip)
        rows = in_order(len(self.data.val_labels), self.trial.design.optimisation.batch_size)
        return draw_plan(self._random(random.VALIDATION, epoch), *rows.shape, seen)

    def _validate(self, plan: Plan | None) -> dict[str, float]:
        labels = self.data.val_labels
        rows = in_order(len(labels), self.trial.design.optimisation.batch_size)
        probabilities = self.engine.predict(self.val_images, {"rows": rows} | (plan or {}))[: len(labels)]
        return score(probabilities, labels)


def score(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Score predictions: mean cross-entropy, accuracy, and the recall of each class (NaN for one without images).

    Args:
        probabilities: float (n, 7).
        labels: int (n,).
    """
    hit = probabilities.argmax(axis=1) == labels
    given = np.clip(probabilities[np.arange(len(labels)), labels].astype(np.float64), 1e-7, 1.0)  # Keras' epsilon
    recalls = {
        f"recall_{name}": float(hit[labels == c].mean()) if (labels == c).any() else float("nan")
        for c, name in enumerate(CLASSES)
    }
    return {"loss": float(-np.log(given).mean()), "accuracy": float(hit.mean())} | recalls
