"""Keras callbacks during training."""

import keras
from cases import make_trial, timeless

from fer_search.training import checkpoint_writer
from fer_search.training.checkpoint import checkpointed_epochs
from fer_search.training.trial import TrialHooks, train


def test_stopping_by_a_callback_saves_the_last_epochs_checkpoint(tmp_path, data, monkeypatch):
    monkeypatch.setattr(checkpoint_writer, "MIN_TRAIN_WRITE_RATIO", 1e9)

    class Ends(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    rows = train(make_trial(tmp_path), data, TrialHooks(callbacks=(Ends(),)))
    assert [row["epoch"] for row in rows] == [1, 2]
    assert checkpointed_epochs(tmp_path) == [2]


class Recorder(keras.callbacks.Callback):
    def __init__(self):
        self.calls = []

    def on_train_begin(self, logs=None):
        self.calls.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(epoch)

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append((epoch, logs["val_loss"]))

    def on_train_end(self, logs=None):
        self.calls.append("end")


def test_keras_callbacks_are_called_each_epoch_and_can_stop_training(tmp_path, data):
    recorder = Recorder()
    rows = train(make_trial(tmp_path / "recorded", 2), data, TrialHooks(callbacks=[recorder]))
    losses = [row["val_loss"] for row in rows]
    assert recorder.calls == ["begin", 0, (0, losses[0]), 1, (1, losses[1]), "end"]

    def never_better():  # patience of one epoch: stops after the second
        return keras.callbacks.EarlyStopping("val_loss", min_delta=100, patience=1)

    board = keras.callbacks.TensorBoard(tmp_path / "board")
    rows = train(make_trial(tmp_path / "early", 9), data, TrialHooks(callbacks=[never_better(), board]))
    assert len(rows) == 2
    assert list((tmp_path / "board").rglob("events.*"))
    again = train(make_trial(tmp_path / "early", 9), data, TrialHooks(callbacks=[never_better()]))
    assert timeless(again) == timeless(rows)  # the trial remembers that it was stopped early
