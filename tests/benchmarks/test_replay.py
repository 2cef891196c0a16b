"""Replays of search methods on recorded curves: they run, and the figure is drawn from their results."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
def test_methods_are_replayed_on_the_recorded_table(tmp_path, module):
    """Runs in a separate process because it uses Keras' NumPy backend."""
    measured = tmp_path / "replay.json"
    options = ["--replays", "2", "--epochs", "75", "--scenarios", "poor", "--only", "guided", "random"]
    command = [sys.executable, str(BENCHMARKS / "replay.py"), *options, "--json", str(measured)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    raw = json.loads(measured.read_text())["raw"]
    assert set(raw) == {"poor/guided", "poor/random"}
    for row in raw.values():
        assert all(
            0.3 < early <= late < 0.55 for early, late in zip(row["observed 48"], row["observed 75"], strict=True)
        )
        assert all(0.25 < true < 0.5 for true in row["true 75"])
    picture = module("replay_figure").draw(raw)
    assert picture.count("<polyline") == 2
    assert "poor baselines" in picture
