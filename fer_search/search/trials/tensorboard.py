"""TensorBoard: scalars and hyperparameters of every trial, under ``tensorboard/`` in the run folder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
from keras_tuner.engine.trial import Trial as TunerTrial

LEFT_OUT = ("epoch",)


class Board(keras.callbacks.Callback):
    """Writes a trial's epochs as scalars, and its choices as hyperparameters.

    Args:
        folder: the trial's under ``tensorboard/``.
        choices: of the trial.
        name: of the baseline that it is, if any.
    """

    def __init__(self, folder: Path, choices: dict[str, Any], name: str | None) -> None:
        super().__init__()
        self.folder, self.choices, self.name = folder, choices, name

    def on_train_begin(self, logs: Any = None) -> None:
        import tensorflow as tf
        from tensorboard.plugins.hparams import api

        self.tf = tf
        self.writer = tf.summary.create_file_writer(str(self.folder))
        plain = {k: v if isinstance(v, (bool, int, float, str)) else str(v) for k, v in self.choices.items()}
        with self.writer.as_default():
            api.hparams(plain | ({"baseline": self.name} if self.name else {}), trial_id=self.folder.name)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        with self.writer.as_default(step=epoch + 1):
            for name, value in (logs or {}).items():
                if name not in LEFT_OUT and math.isfinite(value):
                    self.tf.summary.scalar(name, value)
        self.writer.flush()

    def on_train_end(self, logs: Any = None) -> None:
        self.writer.close()


def trial_callbacks(run: Path, proposed: TunerTrial, name: str | None) -> tuple[keras.callbacks.Callback, ...]:
    """Return the callbacks that write a trial's board."""
    choices = {k: v for k, v in proposed.hyperparameters.values.items() if not k.startswith("tuner/")}
    return (Board(run / "tensorboard" / f"trial_{proposed.trial_id}", choices, name),)
