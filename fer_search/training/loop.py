"""Training and validation of a trial's epochs on one engine."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable

import keras
import numpy as np

from fer_search.augment import EpochDraws, draw_epoch, mirror_maps, tta_maps
from fer_search.design import Augmentation
from fer_search.models import freeze_backbone_for, training_loss, user_training
from fer_search.runfolder.epochs import Row
from fer_search.runfolder.schema import MID_EPOCH_FILE
from fer_search.training import rng
from fer_search.training.batches import balanced_weights, draw_batches, loss_weights, sequential_batches
from fer_search.training.batchnorm_stats import draw_measurement_batches, trainable_batchnorms
from fer_search.training.ema import ema_weights
from fer_search.training.engine import random_states
from fer_search.training.engines import make_engine
from fer_search.training.mid_epoch import SAVE_INTERVAL, load_mid_epoch, save_mid_epoch
from fer_search.training.predict import accept_any_size, predict_views, shrinking
from fer_search.training.schedule import learning_rates
from fer_search.training.score import score
from fer_search.training.streaming import ImageRows, StreamingEngine
from fer_search.training.types import Progress, Stopped, Trial, TrialData, TrialFailed, TrialHooks

CHUNK_SECONDS = 1.0  # target device time between two polls of the hooks
GEOMETRY = ("rotation", "shear", "zoom", "shift", "flip", "crop", "resized_crop")
UNCHANGED = np.array([[1, 0, 0], [0, 1, 0]], np.float32)  # the map of an image that is not augmented


class EpochLoop:
    """Trains and validates the epochs of a trial.

    Args:
        trial: The trial.
        data: Training and validation data.
        model: Compiled model in the state from which the next epoch starts.
        hooks: Polled and called between chunks of steps.
        before_mid_epoch: Called before a mid-epoch state is written.
    """

    def __init__(
        self,
        trial: Trial,
        data: TrialData,
        model: keras.Model,
        hooks: TrialHooks,
        before_mid_epoch: Callable[[], None] = lambda: None,
    ) -> None:
        self.trial, self.data, self.model, self.hooks = trial, data, model, hooks
        self.before_mid_epoch = before_mid_epoch
        self.optimisation, self.size = trial.design.optimisation, data.spec.image_size
        freeze_backbone_for(model, trial.design, math.ceil(len(data.labels) / self.optimisation.batch_size))
        if self.optimisation.low_resolution:
            accept_any_size(model)
        self.engine = make_engine(model, training_loss(model, self.optimisation), trial.micro_batches)
        if isinstance(data.images, ImageRows):
            self.engine = StreamingEngine(self.engine)
        images, labels, self.val_images = data.on_device(self.engine.put, trial.devices)
        self.train_data = (images, labels)
        balanced = self.optimisation.class_weights == "balanced"
        self.image_weights = balanced_weights(data.labels, len(data.class_names)) if balanced else None
        self.chunk = 1  # steps per dispatch; adapts to CHUNK_SECONDS

    def run_epoch(self, epoch: int, val_losses: list[float]) -> Row:
        """Train and validate one epoch.

        Args:
            epoch: The epoch, counted from 1.
            val_losses: Validation loss of each epoch before.

        Returns:
            The epoch's row of epochs.csv.

        Raises:
            TrialFailed: A loss is not finite.
            Stopped: ``hooks.should_stop`` returned True.
        """
        started = time.perf_counter()
        batches = self._draw(epoch, val_losses)
        loss, accuracy, earlier_seconds = self._train(epoch, batches)
        with ema_weights(self.model):
            self._measure_batchnorm(epoch)
            clean = self._validate(epoch)
            validation = self._validate_augmented(epoch) if self.data.augment_validation else clean
        losses = {"training": loss} | ({"validation": clean["loss"]} if len(self.data.val_labels) else {})
        for name, value in losses.items():
            if not np.isfinite(value):
                raise TrialFailed(f"the {name} loss was {value} in epoch {epoch}")
        rate, seconds = float(batches["learning_rates"][-1]), earlier_seconds + time.perf_counter() - started
        row = {"epoch": epoch, "loss": loss, "accuracy": accuracy, "learning_rate": rate, "seconds": seconds}
        row |= {name if name.startswith("recall_") else f"val_{name}": value for name, value in validation.items()}
        return row | {"clean_val_loss": clean["loss"], "clean_val_accuracy": clean["accuracy"]}

    def _random(self, stream: int, epoch: int) -> np.random.Generator:
        return rng.generator(stream, self.trial.seed, self.trial.number, epoch)

    def _draw(self, epoch: int, val_losses: list[float]) -> EpochDraws:
        """Draw an epoch's batches in the form that ``Engine.begin_epoch`` takes."""
        order = self._random(rng.ORDER, epoch)
        rows, weights = draw_batches(order, len(self.data.labels), self.optimisation.batch_size)
        steps, batch = rows.shape
        draws = draw_epoch(
            self._random(rng.AUGMENTATION, epoch), steps, batch, self.trial.design.augmentation, self.size
        )
        draws |= shrinking(self.trial.resolution(epoch), self.size, steps)
        return draws | {
            "rows": rows,
            "weights": weights,
            "loss_weights": loss_weights(weights, rows, draws, self.image_weights),
            "learning_rates": self._learning_rates(val_losses, len(rows), self.trial.horizon or self.trial.epochs),
        }

    def _learning_rates(self, val_losses: list[float], steps: int, horizon: int) -> np.ndarray:
        user = user_training(self.model)
        if user is not None:
            return user.rates(len(val_losses) + 1, steps)
        return learning_rates(self.optimisation, val_losses, steps, horizon)

    def _train(self, epoch: int, batches: EpochDraws) -> tuple[float, float, float]:
        """Return the mean loss, the accuracy, and the seconds spent on the epoch before an interruption."""
        resumed = load_mid_epoch(self.model, self.trial.folder, epoch)
        seeds = resumed.states if resumed else self._random(rng.DROPOUT, epoch)
        self.engine.begin_epoch(self.train_data, batches, seeds)
        sums, step, before = (resumed.sums, resumed.step, resumed.seconds) if resumed else (np.zeros(3), 0, 0.0)
        started = saved = time.perf_counter()
        steps = len(batches["rows"])
        while step < steps:
            chunk_started = time.perf_counter()
            stop = min(step + self.chunk, steps)
            sums += self.engine.train(step, stop)
            if stop - step == self.chunk:
                self._adapt_chunk(time.perf_counter() - chunk_started)
            step = stop
            loss, accuracy = sums[:2] / sums[2]
            self.hooks.on_progress(Progress(epoch, int(sums[2]), len(self.data.labels), loss, accuracy))
            stopped, now = self.hooks.should_stop(), time.perf_counter()
            if stopped or now - saved > SAVE_INTERVAL:
                self._save(epoch, step, sums, before + now - started)
                if stopped:
                    raise Stopped
                saved = now
                states = [keras.ops.convert_to_numpy(state) for state in random_states(self.model)]
                self.engine.begin_epoch(self.train_data, batches, states)
        self.engine.end_epoch()
        return float(sums[0] / sums[2]), float(sums[1] / sums[2]), before

    def _save(self, epoch: int, step: int, sums: np.ndarray, seconds: float) -> None:
        """Write the mid-epoch state; ends the engine's epoch."""
        self.engine.end_epoch()
        (self.trial.folder / MID_EPOCH_FILE).unlink(missing_ok=True)  # first, to free its disk space
        self.before_mid_epoch()
        save_mid_epoch(self.model, self.trial.folder, epoch, step, sums, seconds, self.trial.label("partial"))

    def _adapt_chunk(self, seconds: float) -> None:
        if seconds < CHUNK_SECONDS / 2:
            self.chunk *= 2
        elif seconds > CHUNK_SECONDS * 2:
            self.chunk = max(1, self.chunk // 2)

    def _measure_batchnorm(self, epoch: int) -> None:
        """Re-estimate BN statistics on training images, preprocessed like the first view of a prediction.

        The report's protocol predicts with Keras' moving averages, as the report did.
        """
        if self.data.augment_validation or not trainable_batchnorms(self.model):
            return
        source = self._random(rng.STATISTICS, epoch)
        rows = draw_measurement_batches(source, len(self.data.labels), self.optimisation.batch_size)
        batches: EpochDraws = {"rows": rows, **self._validated_at(epoch, len(rows))}
        maps = tta_maps(self.trial.design.augmentation, self.trial.design.evaluation, self.size)
        if maps is not None:
            batches["maps"] = np.tile(maps[0], (*rows.shape, 1, 1))
        self.engine.measure_batchnorm(self.train_data[0], batches)

    def _validated_at(self, epoch: int, steps: int) -> EpochDraws:
        return shrinking(self.trial.resolution(epoch, validation=True), self.size, steps)

    def _validate(self, epoch: int) -> dict[str, float]:
        labels, names = self.data.val_labels, self.data.class_names
        if not len(labels):
            return score(np.empty((0, len(names))), labels, names)
        resolution = self.trial.resolution(epoch, validation=True)
        probabilities = predict_views(self.engine, self.val_images, len(labels), self.trial.design, resolution)
        return score(probabilities, labels, names)

    def _validate_augmented(self, epoch: int) -> dict[str, float]:
        """Validate under geometric augmentation: the report fed validation images through its training generator.

        A design with flipped views predicts the mirror image of each augmented image, too. Ten crops are not taken.
        """
        design, labels = self.trial.design.augmentation, self.data.val_labels
        geometry = dataclasses.replace(Augmentation(), **{name: getattr(design, name) for name in GEOMETRY})
        rows = sequential_batches(len(labels), self.optimisation.batch_size)
        draws = draw_epoch(self._random(rng.VALIDATION, epoch), rows.shape[0], rows.shape[1], geometry, self.size)
        draws |= {"rows": rows} | self._validated_at(epoch, len(rows))
        probabilities = self.engine.predict(self.val_images, draws)
        if self.trial.design.evaluation.views == "flip" and self.trial.mirror_augmented:
            maps = draws.get("maps", np.tile(UNCHANGED, (*rows.shape, 1, 1)))
            mirrored = self.engine.predict(self.val_images, draws | {"maps": mirror_maps(maps, self.size)})
            probabilities = (probabilities + mirrored) / 2
        return score(probabilities[: len(labels)], labels, self.data.class_names)
