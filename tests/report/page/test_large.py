"""Reports of large runs: two thousand trials; ten thousand take five times as long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import runs

from fer_search import report


@pytest.mark.soak
def test_report_of_two_thousand_trials_takes_seconds(tmp_path: Path) -> None:
    run = runs.write_random(tmp_path / "run", trials=2000, epochs=30)
    began = time.process_time()
    report.write_report(run)
    assert time.process_time() - began < 8


@pytest.mark.slow
def test_page_of_two_thousand_trials_has_few_rows(tmp_path: Path) -> None:
    run = runs.write_random(tmp_path / "run", trials=2000, epochs=30)
    page = report.write_report(run)
    assert page.stat().st_size < 5e6
    text = page.read_text()
    assert text.count("<tr") < 500  # the script adds the others
