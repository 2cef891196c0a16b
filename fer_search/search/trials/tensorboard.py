"""TensorBoard files of a search: scalars and hyperparameters of every trial, in ``tensorboard/`` of the run folder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

SKIPPED = ("epoch",)


@dataclass(frozen=True)
class BoardSettings:
    """What a trial's TensorBoard callback needs, as plain data.

    Args:
        folder: The trial's log directory.
        choices: Hyperparameter values of the trial.
        name: Baseline name; None for a proposed design.
    """

    folder: Path
    choices: dict[str, Any]
    name: str | None


class Board(keras.callbacks.Callback):
    """Writes a trial's epoch metrics as scalars and its choices as hyperparameters.

    Args:
        settings: Where to write, and what describes the trial.
    """

    def __init__(self, settings: BoardSettings) -> None:
        super().__init__()
        self.settings = settings

    def on_train_begin(self, logs: Any = None) -> None:
        import tensorflow as tf
        from tensorboard.plugins.hparams import api

        folder, choices, name = self.settings.folder, self.settings.choices, self.settings.name
        self.tf = tf
        self.writer = tf.summary.create_file_writer(str(folder))
        plain = {k: v if isinstance(v, (bool, int, float, str)) else str(v) for k, v in choices.items()}
        with self.writer.as_default():
            api.hparams(plain | ({"baseline": name} if name else {}), trial_id=folder.name)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        with self.writer.as_default(step=epoch + 1):
            for name, value in (logs or {}).items():
                if name not in SKIPPED and math.isfinite(value):
                    self.tf.summary.scalar(name, value)
        self.writer.flush()

    def on_train_end(self, logs: Any = None) -> None:
        self.writer.close()
