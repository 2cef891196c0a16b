"""Makes the helper modules importable and provides a shared browser and report page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "page"))

import chromium
import runs

from fer_search import report


@pytest.fixture(scope="session")
def browser() -> Iterator[chromium.Browser]:
    """A browser without an open page."""
    pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install '.[test]'")
    with chromium.started() as driver:
        yield driver


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report page of a run with 30 finished and four running trials."""
    run = runs.write_random(tmp_path_factory.mktemp("runs") / "run", trials=30)
    runs.write_running(run, 4)
    return report.write_report(run)
