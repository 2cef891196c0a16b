"""A local web server that shows a run's report while the run continues."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fer_search.errors import UserError
from fer_search.report.page.html import plotly_js
from fer_search.report.page.live import Machine, live_markup, live_state
from fer_search.report.page.page import render, write_report
from fer_search.report.tables.analysis import RunAnalysis, load_analysis
from fer_search.runfolder.folder import RunFolder

SECONDS = 2.0  # between two looks at the run folder, and between two requests of the page
PORT = 8765
PAUSE_FACTOR = 5  # a page that took a second to make is made again after five, so that the run keeps its CPU
FAREWELL_SECONDS = 15.0  # after the end of a run, in which open pages fetch its last state


class LiveReport:
    """The report of a run that may be running, made again whenever the run folder changed.

    Args:
        run: the run folder.
        seconds: between two requests of the page for news.

    Raises:
        UserError: the folder is missing or not a run, or a file in it is broken.
    """

    def __init__(self, run: Path, seconds: float = SECONDS) -> None:
        self.run, self.seconds = run, seconds
        self.folder, self.machine = RunFolder(run), Machine()
        self.problem = ""
        self.opened = False  # whether a browser has fetched the page
        self._lock = threading.Lock()
        self._fingerprint = fingerprint(run)
        self._analysis: RunAnalysis = load_analysis(run)
        self.page, self.version = self._rendered()

    def look(self) -> None:
        """Make the page again if the run folder changed; a file that is being written is read at the next look."""
        changed = fingerprint(self.run)
        if changed == self._fingerprint or time.monotonic() < self._earliest:
            return
        try:
            analysis = load_analysis(self.run)
        except UserError as error:
            self.problem = str(error)
            return
        with self._lock:
            self._analysis, self._fingerprint, self.problem = analysis, changed, ""
            self.page, self.version = self._rendered()

    @property
    def state(self) -> str:
        """The run's state; see ``live.live_state``."""
        return live_state(self.folder, self._analysis.info.state)

    def news(self) -> dict[str, Any]:
        """Return what the page asks for: the version of its content, the live panel, and whether the run has ended."""
        with self._lock:
            state = self.state
            heartbeat = self.folder.read_live() if state == "running" else None
            markup = live_markup(self._analysis, state, heartbeat, self.machine)
            return {"version": self.version, "live": markup, "ended": state == "finished", "problem": self.problem}

    def _rendered(self) -> tuple[str, str]:
        began = time.monotonic()
        page = render(self._analysis, "served", self.seconds)
        self._earliest = time.monotonic() + PAUSE_FACTOR * (time.monotonic() - began)
        return page, hashlib.sha256(page.encode()).hexdigest()[:16]


def watch_report(
    run: str | Path,
    out: str | Path | None = None,
    plotly: str = "inline",
    *,
    port: int = PORT,
    seconds: float = SECONDS,
    told: Callable[[str], object] = print,
    farewell: float = FAREWELL_SECONDS,
    stop: threading.Event | None = None,
) -> Path:
    """Serve a run's report on this machine until the run has finished or the user stops it, then write it to a file.

    The open page changes in place: zoom, open details, filter, selection and scroll position stay.

    Args:
        run: the run folder.
        out: the HTML file that is written at the end, as in ``write_report``.
        plotly: as in ``write_report``, for that file.
        port: port on 127.0.0.1; any free one where it is taken, or 0.
        seconds: between two looks at the run folder.
        told: is called with the address, and with the file.
        farewell: seconds after the end of the run in which open pages can fetch its last state.
        stop: ends the server when set.

    Returns:
        The file.

    Raises:
        UserError: the run cannot be read, or the file cannot be written.
    """
    live, stop = LiveReport(Path(run), seconds), stop or threading.Event()
    server = _listen(live, port)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()
    try:
        told(f"http://127.0.0.1:{server.server_address[1]}/ shows {run} while it runs; Ctrl-C ends")
        while not stop.is_set() and live.state != "finished":
            stop.wait(seconds)
            live.look()
        if live.opened and not stop.is_set():
            stop.wait(farewell)
    finally:
        server.shutdown()
        server.server_close()
        file = write_report(run, out, plotly)
        told(str(file))
    return file


def fingerprint(run: Path) -> tuple[int, int]:
    """Return the number of files that a search writes and the time of their latest change, in nanoseconds."""
    names = ("run.json", "oracle.json", "notes.jsonl", "predictions.npz", "confirm/confirm.json")
    files = [*(run / name for name in names), *run.glob("trial_*/epochs.csv"), *run.glob("trial_*/trial.json")]
    times = []
    for file in files:
        try:
            times.append(file.stat().st_mtime_ns)
        except FileNotFoundError:
            continue
    return len(times), max(times, default=0)


def _listen(live: LiveReport, port: int) -> ThreadingHTTPServer:
    handler = type("Handler", (_Handler,), {"live": live})
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)


class _Handler(BaseHTTPRequestHandler):
    live: LiveReport

    def do_GET(self) -> None:
        """Answer with the page, plotly.js or the news."""
        host = self.headers.get("Host", "")
        if host.rpartition(":")[0] not in ("127.0.0.1", "localhost"):  # another site's name for this machine
            self.send_error(403)
        elif self.path in ("/", "/page"):
            self.live.opened = True
            self._send(self.live.page, "text/html")
        elif self.path == "/state":
            self._send(json.dumps(self.live.news()), "application/json")
        elif self.path == "/plotly.js":
            self._send(plotly_js(), "text/javascript")
        else:
            self.send_error(404)

    def _send(self, text: str, kind: str) -> None:
        content = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Do not print requests."""
