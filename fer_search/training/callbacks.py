"""Keras callbacks at epoch level: EarlyStopping, TensorBoard, a user's own.

They are called as ``fit`` calls them, except for batches: steps are taken many at a time on the device. What a callback
sets the optimiser's learning rate to is not used, since the design's schedule sets it in every step.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

from fer_search.runfolder.epochs import Row


class Callbacks:
    """The callbacks of one training.

    Args:
        callbacks: Keras'.
        model: compiled.
        epochs: how many there will be.
        rows: of the epochs that were trained before an interruption. EarlyStopping is told of them, so that its
            patience goes on; the others have seen them in their time.
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
        """Whether a callback asked for the end of the training."""
        return bool(self.model.stop_training)

    def begin(self, epoch: int) -> None:
        """Announce an epoch, 1 being the first; Keras counts from 0."""
        if self.count:
            self.list.on_epoch_begin(epoch - 1)

    def end(self, row: Row) -> None:
        if self.count:
            self.list.on_epoch_end(int(row["epoch"]) - 1, _logs(row))

    def finish(self, row: Row | None) -> None:
        if self.count:
            self.list.on_train_end(_logs(row) if row else None)


def _logs(row: Row) -> dict[str, float]:
    return {name: value for name, value in row.items() if name != "epoch"}
