"""Checkpoint frequency; test_trial.py checks that nothing is lost between checkpoints."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from fer_search.design import Design
from fer_search.training import checkpoint_writer
from fer_search.training.trial import Trial


@pytest.mark.parametrize(
    ("epoch", "write", "expected"),
    [
        (10.0, 0.125, [1, 2, 3, 4, 5, 6, 7, 8]),  # 30 times 0.125 s is less than an epoch
        (1.0, 0.0625, [1, 3, 5, 7, 8]),  # every 1.9 s
        (20.0, 5.0, [1, 4, 7, 8]),  # at least once per minute, although 30 times 5 s is longer
        (100.0, 5.0, [1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_checkpoints_take_a_thirtieth_of_the_time_or_come_every_minute(monkeypatch, tmp_path, epoch, write, expected):
    clock, written = SimpleNamespace(now=0.0), []

    def save(model, folder, number, label):
        clock.now += write
        written.append(number)

    monkeypatch.setattr(checkpoint_writer, "save_checkpoint", save)
    monkeypatch.setattr(checkpoint_writer, "link_best", lambda *arguments: None)
    monkeypatch.setattr(checkpoint_writer, "append_epoch", lambda *arguments: None)
    monkeypatch.setattr(checkpoint_writer.time, "perf_counter", lambda: clock.now)
    writer = checkpoint_writer.CheckpointWriter(Trial(Design(), 8, Path(tmp_path), 0, 0), SimpleNamespace(), [])
    for number in range(1, 9):
        clock.now += epoch
        writer.record({"epoch": number, "val_accuracy": 1 / number})
    writer.finish()
    assert written == expected
