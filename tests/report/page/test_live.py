"""The live page of a running search: it is updated in place and keeps the user's settings."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import runs
from chromium import NEEDED, Browser

from fer_search import report
from fer_search.report.page.live import Machine, live_markup
from fer_search.report.page.watch import LiveReport, watch_report
from fer_search.report.tables.analysis import load_analysis
from fer_search.runfolder.notes import append_note

HEARTBEAT = {"trial": 12, "epoch": 3, "epochs": 9, "done": 500, "images": 2000, "accuracy": 0.5, "loss": 1.2}
HEARTBEAT |= {"left": [600.0, 1800.0], "seconds": 70.0, "trials": 20}


@pytest.fixture
def running(tmp_path: Path) -> Path:
    """A run with twelve finished trials and one in its second epoch."""
    run = runs.write_random(tmp_path / "run", trials=12, state="running")
    runs.write_trial(run, "0012", runs.sample(random.Random(9)), [0.31, 0.42], status="RUNNING")
    return run


class Watch:
    """Runs ``watch_report`` in a thread, with the command's settings."""

    def __init__(self, run: Path) -> None:
        self.stop, self.messages = threading.Event(), []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, args=(run,), daemon=True)
        self.thread.start()
        deadline = time.monotonic() + 60
        while not self.messages:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.address = self.messages[0].split()[0]

    def _watch(self, run: Path) -> None:
        watch_report(run, plotly="cdn", port=0, seconds=0.3, told=self.messages.append, farewell=2, stop=self.stop)
        self.ended.set()


@pytest.fixture
def watch() -> Iterator[Callable[[Path], Watch]]:
    """Return a function that starts watching a run; watches are stopped at the end of the test."""
    watches: list[Watch] = []

    def start(run: Path) -> Watch:
        watches.append(Watch(run))
        return watches[-1]

    yield start
    for started in watches:
        started.stop.set()
        started.thread.join(60)


def test_panel_shows_the_state_of_the_run(running: Path) -> None:
    markup = live_markup(load_analysis(running), "running", HEARTBEAT | {"time": time.time()}, Machine())
    assert "12 of 20 trials done, 1 running, 7 planned" in markup
    assert "Trial 12, epoch 3 of 9, 25% of it" in markup
    assert "Time left: 10.0 min to 30.0 min" in markup
    assert "CPU" in markup
    assert "Trial 6 failed: out of memory" in markup
    silent = live_markup(load_analysis(running), "running", HEARTBEAT | {"time": time.time() - 600}, Machine())
    assert "No sign of progress for 10.0 min" in silent
    assert "killed" in live_markup(load_analysis(running), "killed", None, Machine())


def test_panel_shows_what_each_worker_trains(running: Path) -> None:
    workers = [{"trial": 12, "epoch": 3, "epochs": 9, "done": 0.25}, {"trial": 14}, {"trial": None}]
    runs.write_trial(running, "0013", runs.sample(random.Random(8)), status="RUNNING")
    runs.write_trial(running, "0014", runs.sample(random.Random(7)), status="RUNNING")
    heartbeat = HEARTBEAT | {"time": time.time(), "workers": workers}
    markup = live_markup(load_analysis(running), "running", heartbeat, Machine())
    assert "12 of 20 trials done, 2 running, 6 planned" in markup
    assert '<progress max="20" value="12.25">' in markup
    assert "2 of 3 workers training: trial 12, epoch 3 of 9, 25% of it; trial 14. Time left: 10.0 min" in markup
    many = heartbeat | {"workers": [{"trial": trial} for trial in range(12, 18)]}
    assert "trial 15; and 2 more." in live_markup(load_analysis(running), "running", many, Machine())


def test_panel_shows_the_time_of_a_search_without_a_trial_limit(running: Path) -> None:
    info = json.loads((running / "run.json").read_text())
    info["tuner"] |= {"trials": None, "max_trials": None}
    (running / "run.json").write_text(json.dumps(info))
    heartbeat = HEARTBEAT | {"time": time.time(), "trials": None, "seconds": 300.0, "left": [900.0, 900.0]}
    markup = live_markup(load_analysis(running), "running", heartbeat, Machine())
    assert "12 trials done, 1 running" in markup
    assert '<progress max="1200.0" value="300.0">' in markup
    assert "Time left: 15.0 min." in markup


def test_a_partially_written_file_is_read_at_the_next_poll(running: Path) -> None:
    live = LiveReport(running)
    first, content = live.version, (running / "run.json").read_text()
    live._earliest = 0.0
    (running / "run.json").write_text(content[:50])
    live.look()
    assert live.version == first
    assert "run.json" in live.problem
    (running / "run.json").write_text(content)
    runs.write_trial(running, "0013", runs.sample(random.Random(10)), [0.5])
    live.look()
    assert live.version != first
    assert live.problem == ""


def test_server_answers_only_local_requests(running: Path, watch: Callable[[Path], Watch]) -> None:
    address = watch(running).address
    assert address.startswith("http://127.0.0.1:")
    assert json.load(urllib.request.urlopen(f"{address}state"))["version"]
    elsewhere = urllib.request.Request(f"{address}state", headers={"Host": "example.org"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(elsewhere)


def test_page_is_written_when_the_run_finishes(running: Path, watch: Callable[[Path], Watch]) -> None:
    started = watch(running)
    (running / "run.json").write_text(json.dumps(runs.run_json("run", state="finished")))
    assert started.ended.wait(60)
    assert '"live":null' in (running / "report.html").read_text()


def zoom(browser: Browser, chart: str) -> list[float]:
    """Drag over a part of a chart and return the new range of its x axis."""
    from selenium.webdriver import ActionChains

    plot = browser.driver.find_element("css selector", f"#{chart} .nsewdrag")
    full_range = browser.js(f"document.getElementById('{chart}').layout.xaxis.range")
    actions = ActionChains(browser.driver, duration=60).move_to_element_with_offset(plot, -150, -60)
    actions.click_and_hold().move_by_offset(60, 30).move_by_offset(120, 50).release().perform()
    browser.wait(f"document.getElementById('{chart}').layout.xaxis.range[0] !== {full_range[0]}")
    return browser.js(f"document.getElementById('{chart}').layout.xaxis.range")


@pytest.mark.slow
@pytest.mark.skipif(NEEDED[1].args[0], reason="no chromium")
def test_page_is_updated_in_place(browser: Browser, running: Path, watch: Callable[[Path], Watch]) -> None:
    """New points, a note and a failure appear; zoom, open details, filter, selection and scroll position are kept."""
    browser.open(watch(running).address)
    browser.wait("!document.getElementById('live').hidden")
    browser.draw("curves-chart")
    browser.driver.execute_script("window.unchanged = true")
    zoomed = zoom(browser, "curves-chart")
    browser.driver.execute_script("document.querySelector('#choices details').open = true")
    browser.choose("q", "strided")
    browser.driver.execute_script("select(2); scrollTo(0, 700)")
    curve = "document.getElementById('curves-chart').data.find(trace => trace.meta?.role === 'running').y"
    assert [y for y in browser.js(curve) if y is not None] == [0.31, 0.42]
    place = "document.getElementById('curves-chart').getBoundingClientRect().top"
    before = browser.js(f"[table.trial.length, {place}]")
    selected = browser.js("table.trial[now.state.trial]")

    with (running / "trial_0012" / "epochs.csv").open("a") as file:
        file.write(runs.epochs_csv([0.47], first=3).splitlines()[1] + "\n")
    runs.write_trial(running, "0013", runs.sample(random.Random(11)), status="FAILED", message="loss is not finite")
    append_note(running, "0001", "fails on dark faces", ("look",))
    browser.wait(f"table.trial.length === {before[0] + 1}", 60)
    browser.wait(f"({curve}).includes(0.47)", 60)
    assert browser.js("window.unchanged") is True  # the page was not reloaded
    assert browser.js("document.getElementById('curves-chart').layout.xaxis.range") == pytest.approx(zoomed)
    assert browser.js("document.querySelector('#choices details').open")
    assert browser.js("form.elements.q.value") == "strided"
    assert browser.js("table.trial[now.state.trial]") == selected
    assert abs(browser.js(place) - before[1]) < 60  # the visible content does not jump
    browser.wait("document.getElementById('live').innerText.includes('Trial 13 failed: loss is not finite')", 30)
    browser.choose("q", "dark faces")
    assert browser.js("ranked.tBodies[0].rows.length") == 1
    browser.choose("tag", "look")
    assert browser.js("now.listed.length") == 1
    assert browser.logs()[0] == []


@pytest.mark.slow
@pytest.mark.skipif(NEEDED[1].args[0], reason="no chromium")
@pytest.mark.timeout(900)
def test_page_follows_a_real_run(
    browser: Browser, tmp_path: Path, tiny_space: Path, watch: Callable[[Path], Watch]
) -> None:
    """From the first epoch to the end, with a kill in between."""
    command = [sys.executable, "-m", "fer_search.cli", "run", "--space", str(tiny_space), "--data", "toy"]
    command += ["--tuner", "random", "--max-trials", "3", "--max-epochs", "3", "--limit-train", "200", "--name", "live"]
    command += ["--results-dir", str(tmp_path), "--baselines", "none"]
    run, root = tmp_path / "live", Path(__file__).parents[3]
    first = subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 300
    while not list(run.glob("trial_*/trial.json")):
        assert time.monotonic() < deadline
        assert first.poll() is None
        time.sleep(0.3)
    started = watch(run)
    browser.open(started.address)
    browser.driver.execute_script("window.unchanged = true")
    browser.wait("(table.curves.val_accuracy || []).some(curve => curve && curve.length)", 300)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    browser.wait("document.getElementById('live').innerText.includes('Not running: killed')")
    seen = browser.js("table.trial.length")

    subprocess.run(command, cwd=root, stderr=subprocess.DEVNULL, check=True)
    browser.wait("document.getElementById('live').innerText.startsWith('Finished')")
    browser.wait("table.status.filter(status => status === 'completed').length === 3", 60)
    assert browser.js("window.unchanged") is True
    assert seen <= browser.js("table.trial.length") == 3
    assert browser.js("table.curves.val_accuracy.every(curve => curve.length === 3)")
    assert started.ended.wait(60)
    assert report.load_run(run).state == "finished"
    assert (run / "report.html").exists()
