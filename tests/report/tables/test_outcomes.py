"""What readers are told about trials without an end."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import runs

from fer_search import report
from fer_search.report.tables.analysis import load_analysis
from fer_search.report.tables.outcomes import outcomes_of, trials_of_workers
from fer_search.runfolder.folder import RunFolder
from fer_search.runs.show import describe_trial
from fer_search.runs.table import select_trials

WORKERS = [
    {"name": "0", "node": "a", "device": "CPU", "trial": 13, "images_per_second": None, "memory": None},
    {"name": "1", "node": "a", "device": "CPU", "trial": None, "images_per_second": None, "memory": None},
]
HEARTBEAT = {"trials": 20, "trial": 13, "epoch": 1, "epochs": 9, "done": 0, "images": 100, "loss": 1.2, "accuracy": 0.5}
HEARTBEAT |= {"left": [60.0, 120.0], "seconds": 70.0}


def write_heartbeat(folder: RunFolder, **changes: object) -> None:
    folder.write_live(HEARTBEAT | {"pid": os.getpid(), "time": time.time()} | changes)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with twelve trials that ended and three that did not, of which the last has no epoch yet."""
    run = runs.write_random(tmp_path / "run", trials=12, state="running")
    runs.write_running(run, 2)
    runs.write_trial(run, "0014", runs.DEFAULTS | {"blocks": 3, "flip": False, "rate": 2e-3}, status="RUNNING")
    return run


def outcomes(run: Path) -> list[str]:
    """Return the outcomes of the three trials without an end."""
    trials = report.load_trials(run)
    found = outcomes_of(report.load_run(run), trials).groupby(trials["trial"]).first()
    assert set(found[:12]) == {"completed", "failed"}
    return found[12:].tolist()


def test_trials_of_a_search_that_ended_are_unfinished(run: Path) -> None:
    assert outcomes(run) == ["unfinished"] * 3
    text = describe_trial(run, "13")[0]
    assert text.splitlines()[0].startswith("Trial 13: unfinished, validation accuracy")
    assert len(select_trials(run, ["status=unfinished"], None)) == 3
    assert select_trials(run, ["status=running"], None).empty
    assert report.to_markdown(run).count("| unfinished |") == 3


def test_trials_that_no_worker_has_begun_are_waiting(run: Path) -> None:
    folder = RunFolder(run)
    with folder.lock():
        assert outcomes(run) == ["running"] * 3
        write_heartbeat(folder, workers=WORKERS)
        assert outcomes(run) == ["waiting", "running", "waiting"]
        page = report.write_report(run, plotly="cdn").read_text()
        assert "2 waiting" in page
        assert '<option value="running">running, waiting</option>' in page
        assert len(select_trials(run, ["status=waiting"], None)) == 2
        write_heartbeat(folder)
        assert outcomes(run) == ["running"] * 3


def test_a_design_is_running_if_one_of_its_trials_is(run: Path) -> None:
    folder = RunFolder(run)
    with folder.lock():
        write_heartbeat(folder, workers=WORKERS)
        analysis = load_analysis(run)
        assert analysis.outcome("running", ["0012", "0013"]) == "running"
        assert analysis.outcome("running", ["0014"]) == "waiting"
        assert analysis.outcome("completed", ["0000", "0014"]) == "completed"


def test_a_search_in_its_own_process_has_no_workers() -> None:
    assert trials_of_workers(None) is None
    assert trials_of_workers({"trial": 3}) is None
    assert trials_of_workers({"workers": WORKERS}) == {13}
