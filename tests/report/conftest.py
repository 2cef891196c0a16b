"""Makes the helpers beside the tests importable, and starts one browser and writes one page for all that need them."""

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
    """A browser, without a page."""
    pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install '.[test]'")
    with chromium.started() as one:
        yield one


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of 30 trials, four more of which have not ended."""
    run = runs.write_random(tmp_path_factory.mktemp("runs") / "run", trials=30)
    runs.write_running(run, 4)
    return report.write_report(run)
