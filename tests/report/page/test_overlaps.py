"""What once covered, ran over or filled parts of a page, measured in a browser."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import runs
from chromium import NEEDED, Browser

from fer_search import report

pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install '.[test]'")
pytestmark = NEEDED

LABELS = """[...document.querySelectorAll('#curves-chart .annotation-text')].map(text => {
  const box = text.getBoundingClientRect(), chart = document.getElementById('curves-chart').getBoundingClientRect();
  const plot = document.querySelector('#curves-chart .nsewdrag').getBoundingClientRect();
  return [box.top, box.bottom, box.left - plot.right, chart.right - box.right];
})"""
TRACEBACK = "Traceback (most recent call last):\n" + "\n".join(
    f'  File "tuner.py", line {k}, in function_{k}\n    call_{k}(argument)' for k in range(40)
)


def test_labels_of_references_cover_neither_curves_nor_each_other(browser: Browser, tmp_path: Path) -> None:
    references = {f"a notebook with a rather long name {k}": 0.6 + 0.004 * k for k in range(12)} | {"low": 0.3}
    run = runs.write_random(tmp_path / "run", trials=12, references=references)
    browser.open(report.write_report(run))
    browser.draw("curves-chart")
    labels = sorted(browser.js(LABELS))
    assert len(labels) >= 2
    for top, bottom, beside, room in labels:
        assert bottom > top
        assert beside >= -1, "a label covers the curves"
        assert room >= -1, "a label runs out of the chart"
    for (_, bottom, *_), (top, *_) in itertools.pairwise(labels):
        assert top >= bottom - 2, "two labels overlap"


def test_a_failed_trials_traceback_does_not_fill_the_ranking(browser: Browser, tmp_path: Path) -> None:
    run = runs.write_stock(tmp_path / "run")
    runs.write_trial(run, "03", runs.DEFAULTS, status="FAILED", message=f"{TRACEBACK}\nValueError: no such layer")
    runs.write_oracle(run, [f"{k:02d}" for k in range(4)])
    browser.open(report.write_report(run))
    cell = "[...ranked.querySelectorAll('tr.failed td')].find(cell => cell.innerText.includes('failed'))"
    text = browser.js(f"{cell}.innerText")
    assert "no such layer" in text
    assert len(text) < 400
    assert browser.js(f"{cell}.getBoundingClientRect().height") < 150


def test_duplicate_faces_appear_once_among_the_worst_mistakes(browser: Browser, tmp_path: Path) -> None:
    from fer_search.runfolder.predictions import write_predictions

    run, rng = runs.write_random(tmp_path / "run", trials=3), np.random.default_rng(0)
    images = rng.integers(0, 255, (60, 48, 48)).astype(np.uint8)
    images[:30] = images[0]
    probabilities = np.full((60, 7), 0.01)
    probabilities[:, 1] = np.linspace(0.94, 0.5, 60)
    best = report.load_designs(run)["trial"].iloc[0]
    write_predictions(run, best, probabilities, np.zeros(60, int), images, np.arange(60))
    browser.open(report.write_report(run))
    sources = browser.js("[...document.querySelectorAll('.faces img')].map(image => image.src)")
    assert len(sources) > 5
    assert len(set(sources)) == len(sources)
