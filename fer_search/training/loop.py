"""The epochs of one trial on one engine."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable

import keras
import numpy as np

from fer_search.augment import Plan, draw_plan, view_maps
from fer_search.data.dataset import CLASSES
from fer_search.design import Augmentation
from fer_search.models import hold_backbone, make_loss
from fer_search.runfolder.epochs import Row
from fer_search.training import rng
from fer_search.training.batches import balanced_weights, draw_batches, in_order, loss_weights
from fer_search.training.batchnorm_stats import draw_rows, measured_layers
from fer_search.training.ema import averaged
from fer_search.training.engine import make_engine, random_states
from fer_search.training.mid_epoch import PARTIAL, PERIOD, load_partial, save_partial
from fer_search.training.predict import predict_views
from fer_search.training.schedule import learning_rates
from fer_search.training.score import score
from fer_search.training.types import Progress, Stopped, Trial, TrialData, TrialFailed, Watcher

CHUNK_SECONDS = 1.0  # about how long the device works between two looks at the stop flag and the clock
GEOMETRY = ("rotation", "shear", "zoom", "shift", "flip", "crop", "resized_crop")


class Loop:
    """Trains and validates the epochs of a trial.

    Args:
        trial: what to train.
        data: what to train and validate on.
        model: compiled, in the state from which the next epoch starts.
        watcher: asked and told between chunks of steps.
        before_partial: called before the state in the middle of an epoch is written.
    """

    def __init__(
        self,
        trial: Trial,
        data: TrialData,
        model: keras.Model,
        watcher: Watcher,
        before_partial: Callable[[], None] = lambda: None,
    ) -> None:
        self.trial, self.data, self.model, self.watcher = trial, data, model, watcher
        self.before_partial = before_partial
        self.optimisation = trial.design.optimisation
        hold_backbone(model, trial.design, math.ceil(len(data.labels) / self.optimisation.batch_size))
        self.engine = make_engine(model, make_loss(self.optimisation, reduction="none"), trial.micro_batches)
        images, labels, self.val_images = data.placed(self.engine.put, trial.devices)
        self.train_data = (images, labels)
        balanced = self.optimisation.class_weights == "balanced"
        self.image_weights = balanced_weights(data.labels) if balanced else None
        self.chunk = 1  # steps a dispatch; grows until it takes about CHUNK_SECONDS

    def run_epoch(self, epoch: int, val_losses: list[float]) -> Row:
        """Train and validate one epoch; return its row of epochs.csv.

        Args:
            epoch: 1 is the first.
            val_losses: validation loss of each epoch before.

        Raises:
            TrialFailed: a loss is not a number.
            Stopped: the watcher said so.
        """
        started = time.perf_counter()
        batches = self._draw(epoch, val_losses)
        loss, accuracy, before = self._train(epoch, batches)
        with averaged(self.model):
            self._measure_statistics(epoch)
            clean = self._validate()
            shown = self._validate_augmented(epoch) if self.data.augment_validation else clean
        losses = {"training": loss} | ({"validation": clean["loss"]} if len(self.data.val_labels) else {})
        for name, value in losses.items():
            if not np.isfinite(value):
                raise TrialFailed(f"the {name} loss was {value} in epoch {epoch}")
        rate, seconds = float(batches["learning_rates"][-1]), before + time.perf_counter() - started
        row = {"epoch": epoch, "loss": loss, "accuracy": accuracy, "learning_rate": rate, "seconds": seconds}
        row |= {f"val_{name}" if name in ("loss", "accuracy") else name: value for name, value in shown.items()}
        return row | {"clean_val_loss": clean["loss"], "clean_val_accuracy": clean["accuracy"]}

    def _random(self, stream: int, epoch: int) -> np.random.Generator:
        return rng.generator(stream, self.trial.seed, self.trial.number, epoch)

    def _draw(self, epoch: int, val_losses: list[float]) -> Plan:
        """Draw an epoch's batches, as ``Engine.begin_epoch`` takes them."""
        rows, weights = draw_batches(
            self._random(rng.ORDER, epoch), len(self.data.labels), self.optimisation.batch_size
        )
        steps, batch = rows.shape
        plan = draw_plan(self._random(rng.AUGMENTATION, epoch), steps, batch, self.trial.design.augmentation)
        horizon = self.trial.horizon or self.trial.epochs
        return plan | {
            "rows": rows,
            "weights": weights,
            "loss_weights": loss_weights(weights, rows, plan, self.image_weights),
            "learning_rates": learning_rates(self.optimisation, val_losses, len(rows), horizon),
        }

    def _train(self, epoch: int, batches: Plan) -> tuple[float, float, float]:
        """Return the mean loss, the accuracy, and the seconds that an interrupted part of the epoch took."""
        part = load_partial(self.model, self.trial.folder, epoch)
        self.engine.begin_epoch(self.train_data, batches, part.states if part else self._random(rng.DROPOUT, epoch))
        sums, start, before = (part.sums, part.step, part.seconds) if part else (np.zeros(3), 0, 0.0)
        opened = kept = time.perf_counter()
        steps = len(batches["rows"])
        while start < steps:
            began = time.perf_counter()
            stop = min(start + self.chunk, steps)
            sums += self.engine.train(start, stop)
            if stop - start == self.chunk:
                self._adapt(time.perf_counter() - began)
            start = stop
            loss, accuracy = sums[:2] / sums[2]
            self.watcher.progress(Progress(epoch, int(sums[2]), len(self.data.labels), loss, accuracy))
            stopped, now = self.watcher.stop(), time.perf_counter()
            if stopped or now - kept > PERIOD:
                self.engine.end_epoch()
                (self.trial.folder / PARTIAL).unlink(missing_ok=True)  # first, for its room
                self.before_partial()
                save_partial(self.model, self.trial.folder, epoch, start, sums, before + now - opened)
                if stopped:
                    raise Stopped
                kept = now
                states = [keras.ops.convert_to_numpy(state) for state in random_states(self.model)]
                self.engine.begin_epoch(self.train_data, batches, states)
        self.engine.end_epoch()
        return float(sums[0] / sums[2]), float(sums[1] / sums[2]), before

    def _adapt(self, seconds: float) -> None:
        if seconds < CHUNK_SECONDS / 2:
            self.chunk *= 2
        elif seconds > CHUNK_SECONDS * 2:
            self.chunk = max(1, self.chunk // 2)

    def _measure_statistics(self, epoch: int) -> None:
        """Give BN the statistics of training images, seen as the first view of a prediction sees them.

        The report's protocol predicts with Keras' moving ones, as the report did.
        """
        if self.data.augment_validation or not measured_layers(self.model):
            return
        random = self._random(rng.STATISTICS, epoch)
        batches: Plan = {"rows": draw_rows(random, len(self.data.labels), self.optimisation.batch_size)}
        maps = view_maps(self.trial.design.augmentation, self.trial.design.evaluation)
        if maps is not None:
            batches["maps"] = np.tile(maps[0], (*batches["rows"].shape, 1, 1))
        self.engine.measure(self.train_data[0], batches)

    def _validate(self) -> dict[str, float]:
        labels = self.data.val_labels
        if not len(labels):
            return score(np.empty((0, len(CLASSES))), labels)
        return score(predict_views(self.engine, self.val_images, len(labels), self.trial.design), labels)

    def _validate_augmented(self, epoch: int) -> dict[str, float]:
        """The report fed its validation images through the generator of its training images: the geometry alone."""
        whole, labels = self.trial.design.augmentation, self.data.val_labels
        seen = dataclasses.replace(Augmentation(), **{name: getattr(whole, name) for name in GEOMETRY})
        rows = in_order(len(labels), self.optimisation.batch_size)
        plan = draw_plan(self._random(rng.VALIDATION, epoch), rows.shape[0], rows.shape[1], seen)
        return score(self.engine.predict(self.val_images, {"rows": rows} | plan)[: len(labels)], labels)
