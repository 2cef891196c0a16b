"""Counting crashes of the process without progress in between."""

import json

from fer_search.runfolder.schema import CRASH_MARKER_FILE
from fer_search.search.trials.crash_guard import CrashMarker


def test_a_marker_counts_the_starts_that_crashed_at_the_current_progress(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    marker = CrashMarker(tmp_path, [other])
    assert [marker.set() for _ in range(4)] == [0, 1, 2, 3]
    (other / "epoch_0001.weights.h5").touch()
    assert [marker.set() for _ in range(2)] == [1, 2]
    (tmp_path / "partial.weights.h5").write_text("middle of an epoch")
    assert marker.set() == 1
    (tmp_path / "epoch_0002.weights.h5").touch()
    assert marker.set() == 1
    (tmp_path / "epochs.csv").write_text("epoch\n1\n2\n3\n")  # the third epoch has no checkpoint: no progress
    assert [marker.set() for _ in range(2)] == [2, 3]
    for text in ("", "[]", '{"starts": "two"}'):
        (tmp_path / CRASH_MARKER_FILE).write_text(text)
        assert [marker.set() for _ in range(2)] == [0, 1]
    marker.clear()
    assert marker.set() == 0
    assert json.loads((tmp_path / CRASH_MARKER_FILE).read_text())["starts"] == 1
