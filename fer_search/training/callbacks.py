"""Keras callbacks at training and epoch level: EarlyStopping, TensorBoard, user-defined ones.

They are called as ``fit`` calls them, except for the batch-level methods: many steps run on the device in one dispatch.
A learning rate set by a callback has no effect, because the design's schedule sets it in every step.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

from fer_search.runfolder.epochs import Row


class Callbacks:
    """The Keras callbacks of one training.

    Args:
        callbacks: Keras callbacks.
        model: Compiled model.
        epochs: Number of epochs of the training.
        rows: Rows of the epochs trained before an interruption. They are replayed to EarlyStopping, so that its
            patience continues; other callbacks already saw them.
    """

    def __init__(
        self, callbacks: Sequence[keras.callbacks.Callback], model: keras.Model, epochs: int, rows: Sequence[Row]
    ) -> None:
        self.model, self.count = model, len(callbacks)
        model.stop_training = False
        self.list = keras.callbacks.CallbackList(list(callbacks), add_history=False, model=model, epochs=epochs)
        if not self.count:
            return
        self.list.on_train_begin()
        for row in rows:
            for callback in callbacks:
                if isinstance(callback, keras.callbacks.EarlyStopping):
                    callback.on_epoch_end(int(row["epoch"]) - 1, _logs(row))

    @property
    def stopping(self) -> bool:
        """Whether a callback requested the end of the training."""
        return bool(self.model.stop_training)

    def begin(self, epoch: int) -> None:
        """Call ``on_epoch_begin`` for an epoch counted from 1 (Keras counts from 0)."""
        if self.count:
            self.list.on_epoch_begin(epoch - 1)

    def end(self, row: Row) -> None:
        """Call ``on_epoch_end`` with an epoch's row as logs."""
        if self.count:
            self.list.on_epoch_end(int(row["epoch"]) - 1, _logs(row))

    def finish(self, row: Row | None) -> None:
        """Call ``on_train_end`` with the last epoch's row, if there is one."""
        if self.count:
            self.list.on_train_end(_logs(row) if row else None)


def _logs(row: Row) -> dict[str, float]:
    return {name: value for name, value in row.items() if name != "epoch"}
