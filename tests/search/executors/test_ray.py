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

import psutil
import pytest

from fer_search.runfolder.epochs import read_epochs
from fer_search.runfolder.json_files import read_json

pytest.importorskip("ray", reason="needs: pip install 'fer-search[workers]'")

HERE = Path(__file__).parent
OPTIONS = {"tuner": "hyperband", "max_epochs": 4, "factor": 2, "baselines": "none", "ahead": 4, "min_steps": 0}


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
    """Return the processes that train now; a killed one leaves its name in the lock."""
    pids = []
    for lock in run.glob(".workers/*/.lock"):
        try:
            pids.append(json.loads(lock.read_text())["pid"])
        except (OSError, ValueError, KeyError):
            continue
    return [pid for pid in pids if alive(pid)]


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


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
        trial = read_json(folder / "trial.json")
        trial["metrics"]["metrics"].pop("seconds", None)
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in read_epochs(folder / "epochs.csv")]
        trials[folder.name] = (trial, rows, (folder / "design.json").read_text(), sorted(os.listdir(folder)))
    oracle = read_json(run / "oracle.json")
    return trials, {key: value for key, value in oracle.items() if key != "display"}


def gone(pids, seconds=600):
    """Wait until processes are gone; returns whether they are."""
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def kill_workers(run, process, count, rng):
    """Kill workers by SIGKILL, each in the middle of a trial, with another trial begun between two kills."""
    killed = 0
    while killed < count and wait_until(lambda: holders(run), process):
        time.sleep(rng.uniform(0, 0.15))
        for pid in holders(run)[:1]:
            os.kill(pid, signal.SIGKILL)
            killed += 1
            begun = len(list(run.glob("trial_*/epochs.csv")))
            wait_until(lambda begun=begun: len(list(run.glob("trial_*/epochs.csv"))) > begun, process)
    return killed


@pytest.mark.slow
def test_killed_workers_drivers_and_stops_change_nothing(made_up, start, tiny_space, tmp_path, monkeypatch):
    """Workers die by SIGKILL in the middle of trials, then their driver; the next one is stopped by SIGTERM."""
    with monkeypatch.context() as patch, (tmp_path / "out.txt").open("w") as out:
        made_up.install(patch.setattr, 1)
        assert made_up.search(tiny_space, tmp_path / "here", 1, out, **OPTIONS) == 0
    expected = state(tmp_path / "here" / "tiny")
    assert len(expected[0]) > 10
    run, printed = tmp_path / "workers" / "tiny", tmp_path / "workers" / "out.txt"

    process = start(tmp_path / "workers")
    assert kill_workers(run, process, 2, random.Random(0)) == 2, printed.read_text()
    assert wait_until(lambda: holders(run), process), printed.read_text()
    workers = holders(run)
    process.kill()
    process.wait()
    assert gone(workers)  # workers end with their driver

    process = start(tmp_path / "workers")
    assert wait_until(lambda: len(holders(run)) == 2, process), printed.read_text()
    workers = holders(run)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM, printed.read_text()
    assert gone(workers)
    assert json.loads((run / "run.json").read_text())["state"] == "interrupted"

    assert start(tmp_path / "workers").wait() == 0, printed.read_text()
    assert state(run) == expected
    assert not (run / ".workers").exists()
    text = printed.read_text()
    assert text.count("resumes from its last checkpoint") == 2
    assert "Re-run the same command to resume." in text
    assert "Traceback" not in text
    assert "(raylet" not in text
