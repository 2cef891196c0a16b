"""Fixtures shared by the model tests."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("FER_SEARCH_SHARED", ROOT.parent / "shared"))


@pytest.fixture
def pixels(rng: np.random.Generator) -> np.ndarray:
    """Random images, float32 (6, 48, 48, 1) from 0 to 255."""
    return rng.integers(0, 256, (6, 48, 48, 1)).astype("float32")


@pytest.fixture(scope="session")
def imagenet() -> Path:
    """A folder with the real ImageNet weights of MobileNet, alpha 0.25."""
    folder = Path(os.environ.get("FER_SEARCH_TEST_WEIGHTS", SHARED / "weights"))
    if not list(folder.glob("mobilenet_2_5_224_tf_no_top*.h5")):
        pytest.skip("MobileNet weights not available in $FER_SEARCH_TEST_WEIGHTS")
    return folder


@dataclass
class Server:
    """State of a local web server that can simulate failures.

    Args:
        files: Served files as a mapping from path to content.
        breaks: Number of responses that are cut off halfway.
        ranges: Whether it supports range requests.
        requests: Received requests as (path, Range header).
        url: Base URL.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    breaks: int = 0
    ranges: bool = True
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.requests.append((self.path, wanted))
            if self.path not in state.files:
                self.send_error(404)
                return
            body = state.files[self.path]
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            stop = len(body)
            if state.breaks:
                state.breaks -= 1
                stop = start + (len(body) - start) // 2
            self.wfile.write(body[start:stop])

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()
