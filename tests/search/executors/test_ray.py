"""Several workers on Ray: killed at random, together with their driver, they change nothing."""

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fer_search.runfolder.epochs import read_epochs

pytest.importorskip("ray", reason="needs: pip install 'fer-search[workers]'")

HERE = Path(__file__).parent
OPTIONS = {"tuner": "hyperband", "max_epochs": 4, "factor": 2, "baselines": "none", "ahead": 4}


@pytest.fixture
def made_up(monkeypatch):
    spec = importlib.util.spec_from_file_location("made_up", HERE / "made_up.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "made_up", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def start(tiny_space, tmp_path):
    """Start a driver with two workers in a process of its own; gives the process."""
    processes = []

    def start(folder):
        folder.mkdir(exist_ok=True)
        paths = [str(HERE), str(Path(__file__).parents[3]), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        command = [sys.executable, str(HERE / "made_up.py"), str(tiny_space), str(folder), "2", json.dumps(OPTIONS)]
        with (folder / "out.txt").open("a") as out:
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()


def holders(run):
    """Return the processes that train now."""
    found = []
    for lock in run.glob(".workers/*/.lock"):
        try:
            found.append(json.loads(lock.read_text())["pid"])
        except (OSError, ValueError, KeyError):
            continue
    return found


def wait_until(condition, process):
    """Wait for a condition; returns False if the process ended before."""
    while process.poll() is None:
        if condition():
            return True
        time.sleep(0.02)
    return False


def state(run):
    """Return all that a search computed; times left out."""
    trials = {}
    for folder in sorted(run.glob("trial_*")):
        trial = json.loads((folder / "trial.json").read_text())
        trial["metrics"]["metrics"].pop("seconds", None)
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in read_epochs(folder / "epochs.csv")]
        trials[folder.name] = (trial, rows, (folder / "design.json").read_text(), sorted(os.listdir(folder)))
    oracle = json.loads((run / "oracle.json").read_text())
    return trials, {key: value for key, value in oracle.items() if key != "display"}


@pytest.mark.slow
def test_killed_workers_and_a_killed_driver_change_nothing(made_up, start, tiny_space, tmp_path, monkeypatch):
    """Workers die by SIGKILL in the middle of trials, then the driver does; the same command ends the search."""
    with monkeypatch.context() as patch, (tmp_path / "out.txt").open("w") as out:
        made_up.install(patch.setattr, 1)
        assert made_up.search(tiny_space, tmp_path / "here", 1, out, **OPTIONS) == 0
    expected = state(tmp_path / "here" / "tiny")
    assert len(expected[0]) > 10
    run, rng, killed = tmp_path / "workers" / "tiny", random.Random(0), 0
    process = start(tmp_path / "workers")
    while killed < 3 and wait_until(lambda: holders(run), process):
        time.sleep(rng.uniform(0, 0.15))
        for pid in holders(run)[:1]:
            os.kill(pid, signal.SIGKILL)
            killed += 1
            ended = len(list(run.glob("trial_*/epochs.csv")))
            wait_until(lambda: len(list(run.glob("trial_*/epochs.csv"))) > ended, process)  # noqa: B023
    assert process.poll() is None, (tmp_path / "workers" / "out.txt").read_text()
    workers = holders(run)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)  # workers end with their driver
    again = start(tmp_path / "workers")
    assert again.wait() == 0, (tmp_path / "workers" / "out.txt").read_text()
    assert state(run) == expected
    assert not (run / ".workers").exists()
    out = (tmp_path / "workers" / "out.txt").read_text()
    assert out.count("resumes from its last checkpoint") == killed == 3
    assert "Traceback" not in out
    assert "(raylet" not in out


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_reaches_every_worker(start, tmp_path, number):
    process, run = start(tmp_path / "workers"), tmp_path / "workers" / "tiny"
    assert wait_until(lambda: len(holders(run)) == 2, process)
    workers = holders(run)
    process.send_signal(number)
    assert process.wait() == 128 + number
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert json.loads((run / "run.json").read_text())["state"] == "interrupted"
    assert "Re-run the same command to resume." in (tmp_path / "workers" / "out.txt").read_text()
    assert not list(run.glob("trial_*/training.json"))
    assert start(tmp_path / "workers").wait() == 0
