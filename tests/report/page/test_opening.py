"""The initial page at several window sizes and in both colour schemes."""

from __future__ import annotations

from pathlib import Path

import pytest
from chromium import NEEDED, Browser

from fer_search import report

pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install '.[test]'")
pytestmark = NEEDED


def test_the_initial_page_is_short(browser: Browser, page: Path) -> None:
    """At most 12 charts and 900 words; the verdict and its chart fit on a screen of 1280 by 900."""
    committed = Path(__file__).parents[3] / "results" / "report_search_cpu"
    size = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        for file in (page, report.write_report(committed, page.parent / "committed.html")):
            browser.open(file)
            assert browser.js("elements.filter(item => item.checkVisibility()).length") <= 12
            words = browser.js("document.body.innerText.split(/\\s+/).filter(word => /\\w/.test(word)).length")
            assert words <= 900
            assert browser.js("document.getElementById('verdict').getBoundingClientRect().bottom") <= 900
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_ranking_fits_a_width_of_1600_pixels(browser: Browser, page: Path) -> None:
    size = {"width": 1600, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.open(page)
        assert browser.js("ranked.parentNode.scrollWidth <= ranked.parentNode.clientWidth + 1")
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_ranking_reports_that_nothing_matches(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.choose("q", "nothing has these words")
    assert browser.js("ranked.tBodies[0].innerText").strip() == "No design matches the filter."


def test_all_rows_are_shown_on_demand(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.js("ranked.tBodies[0].rows.length") == 10
    browser.driver.execute_script("document.getElementById('more').click()")
    assert browser.js("ranked.tBodies[0].rows.length") == browser.js("table.trial.length") == 34


def test_dark_page_has_dark_charts(browser: Browser, page: Path) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        browser.open(page)
        browser.draw("curves-chart")
        colours = browser.js("document.getElementById('curves-chart').layout.font.color")
        assert colours == browser.js("settings.dark['#2a323c']")
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_narrow_page_does_not_scroll_sideways(browser: Browser, page: Path) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.open(page)
        assert browser.js("document.documentElement.scrollWidth") <= 390
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
