"""Several workers on Ray: killed at random, together with their driver or their node, they change nothing."""

import contextlib
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
MEMORY = 10**8  # bytes of an emulated node's object store, the least that Ray takes
RESTARTED = "Ray and the workers were started again."
OPTIONS = {"tuner": "hyperband", "max_epochs": 8, "factor": 2, "baselines": "none", "ahead": 4, "min_steps": 0}


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

    def start(folder, *address):
        folder.mkdir(exist_ok=True)
        paths = [str(HERE), str(Path(__file__).parents[3]), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        command = [sys.executable, str(HERE / "made_up.py"), str(tiny_space), str(folder), "2", json.dumps(OPTIONS)]
        command += address
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


@pytest.fixture
def expected(made_up, tiny_space, tmp_path, monkeypatch):
    """What the search computes in one process, without disturbances."""
    with monkeypatch.context() as patch, (tmp_path / "out.txt").open("w") as out:
        made_up.install(patch.setattr, 1)
        assert made_up.search(tiny_space, tmp_path / "here", 1, out, **OPTIONS) == 0
    result = state(tmp_path / "here" / "tiny")
    assert len(result[0]) > 10
    return result


@pytest.fixture
def nodes(monkeypatch):
    """An emulated cluster of two nodes with a worker each; the head node has none."""
    from fer_search.search.executors.ray_cluster import ENVIRONMENT

    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": MEMORY})
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
    yield cluster
    cluster.shutdown()


def kill_node(cluster, rng):
    """Kill a node that has workers by SIGKILL."""
    cluster.remove_node(rng.choice(sorted(cluster.worker_nodes, key=id)), allow_graceful=False)


def listening(driver):
    """Return the addresses on which a driver and the processes that it has started accept connections."""
    driver = psutil.Process(driver.pid)
    found = set()
    for process in (driver, *driver.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            open_ports = process.net_connections("inet")
            found |= {port.laddr.ip for port in open_ports if port.status == psutil.CONN_LISTEN}
    return {address.removeprefix("::ffff:") for address in found}


def kill_server(driver, name):
    """Kill a server of the cluster that a driver has started."""
    for child in psutil.Process(driver.pid).children(recursive=True):
        if child.name() == name:
            child.kill()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_killed_nodes_change_nothing(nodes, start, expected, tmp_path, seed):
    """Nodes and drivers die by SIGKILL in turn, each in the middle of trials, until the search has ended."""
    run, printed, rng = tmp_path / "workers" / "tiny", tmp_path / "workers" / "out.txt", random.Random(seed)
    killed, code = 0, None
    while code is None:
        process = start(tmp_path / "workers", nodes.address)
        for _ in range(2):
            if not wait_until(lambda: holders(run), process):
                break
            time.sleep(rng.uniform(0, 0.3))
            kill_node(nodes, rng)
            nodes.add_node(num_cpus=1, object_store_memory=MEMORY)
            killed += 1
            begun = len(list(run.glob("trial_*/epochs.csv")))
            wait_until(lambda begun=begun: len(list(run.glob("trial_*/epochs.csv"))) > begun, process)
        if killed > 8:
            code = process.wait()
        elif (code := process.poll()) is None:
            workers = holders(run)
            process.kill()
            process.wait()
            assert gone(workers)
    print(f"{killed} nodes killed")
    assert code == 0, printed.read_text()
    assert killed > 1
    assert state(run) == expected
    assert "Traceback" not in printed.read_text()


@pytest.mark.soak
def test_killed_servers_change_nothing(start, expected, tmp_path):
    """The servers of a cluster that was started here die by SIGKILL, one after the other."""
    run, printed = tmp_path / "workers" / "tiny", tmp_path / "workers" / "out.txt"
    process = start(tmp_path / "workers")
    for deaths, server in enumerate(("gcs_server", "raylet"), 1):
        assert wait_until(lambda: holders(run), process), printed.read_text()
        kill_server(process, server)
        assert wait_until(lambda n=deaths: printed.read_text().count(RESTARTED) == n, process), printed.read_text()
    assert process.wait() == 0, printed.read_text()
    assert state(run) == expected
    assert "Traceback" not in printed.read_text()


@pytest.mark.slow
def test_killed_workers_nodes_and_drivers_and_stops_change_nothing(nodes, start, expected, tmp_path):
    """A worker dies by SIGKILL in the middle of a trial, then a node, then the driver; the next one gets SIGTERM.

    The first driver and the last one, which finishes the search, start a cluster of their own; the first one's dies.
    """
    run, printed = tmp_path / "workers" / "tiny", tmp_path / "workers" / "out.txt"

    process = start(tmp_path / "workers")  # first, so that the search does not end before the server dies
    assert wait_until(lambda: holders(run), process), printed.read_text()
    kill_server(process, "raylet")
    assert wait_until(lambda: RESTARTED in printed.read_text(), process), printed.read_text()
    assert listening(process) == {"127.0.0.1"}
    workers = holders(run)
    process.kill()
    process.wait()
    assert gone(workers)

    process = start(tmp_path / "workers", nodes.address)
    assert kill_workers(run, process, 1, random.Random(0)) == 1, printed.read_text()
    assert wait_until(lambda: "resumes from its last checkpoint" in printed.read_text(), process), printed.read_text()
    assert wait_until(lambda: holders(run), process), printed.read_text()
    kill_node(nodes, random.Random(0))
    assert wait_until(lambda: holders(run), process), printed.read_text()
    workers = holders(run)
    process.kill()
    process.wait()
    nodes.add_node(num_cpus=1, object_store_memory=MEMORY)
    assert gone(workers)  # workers end with their driver

    process = start(tmp_path / "workers", nodes.address)
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
    assert "Re-run the same command to resume." in text
    assert "Traceback" not in text
    assert "(raylet" not in text
