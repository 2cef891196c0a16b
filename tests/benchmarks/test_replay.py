"""Replays of search methods on recorded curves: they run, and the figure is drawn from their results."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fer_search.space import load_space

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


@pytest.mark.slow
def test_a_search_that_knows_the_time_left_ends_with_full_trainings():
    script = BENCHMARKS / "study" / "little_time.py"
    command = [sys.executable, str(script), "--replays", "2", "--budgets", "24"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[2:]]
    assert [row[:2] for row in rows] == [["one", "24"], ["poor", "24"]]
    for row in rows:
        assert row[2:4] == ["0%", "100%"]
        assert all(25 < float(accuracy) < 56 for accuracy in row[4:])


def test_scrambled_curves_are_recorded_ones_that_the_choices_tell_nothing_about(module):
    surrogate, space = module("study.surrogate"), load_space(BENCHMARKS / "study" / "micro_space.py")
    table = BENCHMARKS / "study" / "micro_table.csv"
    scrambled = surrogate.ScrambledSurrogate(table, space.choices())
    recorded = surrogate.Surrogate(table, space.choices()).mean_curves(scrambled.designs)
    found = scrambled.mean_curves(scrambled.designs)
    assert all((recorded == curve).all(axis=1).any() for curve in found)
    assert abs(np.corrcoef(found[:, -1], recorded[:, -1])[0, 1]) < 0.5
    assert (scrambled.mean_curves(scrambled.designs) == found).all()
