"""A headless Chromium for testing report pages."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NEEDED = [
    pytest.mark.slow,
    pytest.mark.skipif(not (shutil.which("chromium") and shutil.which("chromedriver")), reason="no chromium"),
]
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-quic", "--hide-scrollbars", "--window-size=1280,1000"),
)


class Browser:
    """A browser with an open page.

    Args:
        driver: Selenium driver.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path | str, state: str = "") -> None:
        """Open a file or an address and wait until the page's scripts have started."""
        self.driver.get("about:blank")
        self.logs()
        self.driver.get((page if isinstance(page, str) else page.as_uri()) + state)
        self.wait("typeof now === 'object' && now && (!elements.length || window.Plotly)")

    def js(self, code: str) -> Any:
        """Return the value of a JavaScript expression."""
        return self.driver.execute_script(f"return {code}")

    def wait(self, code: str, seconds: float = 300) -> None:
        """Wait until a JavaScript expression is true."""
        end = time.monotonic() + seconds
        while not self.js(code):
            assert time.monotonic() < end, f"never true: {code}"
            time.sleep(0.05)

    def logs(self) -> tuple[list[str], list[str]]:
        """Return the console errors and the requested addresses since the last call."""
        errors = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return errors, sent

    def choose(self, name: str, value: str) -> None:
        """Set a list or text field of the filter form, as a user would."""
        self.driver.execute_script(
            "const field = form.elements[arguments[0]]; field.value = arguments[1];"
            "field.dispatchEvent(new Event('input', {bubbles: true}))",
            *(name, value),
        )

    def draw(self, chart: str) -> None:
        """Scroll to a chart and wait until it is drawn."""
        self.driver.execute_script(f"document.getElementById({chart!r}).scrollIntoView()")
        self.wait(f"document.querySelector('#{chart} svg.main-svg') && !stale(document.getElementById({chart!r}))")


@contextmanager
def started() -> Iterator[Browser]:
    """Start a browser and quit it at the end."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_script_timeout(600)
    yield Browser(driver)
    driver.quit()
