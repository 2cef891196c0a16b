"""The status of a run with several workers."""

import time

from fer_search.runs.status import Status, status_lines

WORKERS = [
    {
        "name": "0",
        "node": "node-a",
        "device": "GPU",
        "trial": 3,
        "images_per_second": 1234.5,
        "memory": 2**30,
        "epoch": 2,
        "epochs": 9,
        "done": 0.25,
    },
    {"name": "1", "node": "node-b", "device": "GPU", "trial": None, "images_per_second": None, "memory": None},
]


def test_workers_are_shown_as_a_table():
    now = {"time": time.time(), "left": [60.0, 120.0], "trial": 3, "workers": WORKERS}
    lines = status_lines(Status("results/x", "running", "", 2, 0, 2, 9, None, 100.0, now))
    start = next(index for index, line in enumerate(lines) if line.startswith("now: 1 of 2 workers training; "))
    head, first, second = lines[start + 1 : start + 4]
    assert head.split() == ["worker", "node", "trial", "epoch", "images/s", "memory", "device"]
    assert first.split() == ["0", "node-a", "3", "2", "of", "9,", "25%", "1,234", "1,024", "MiB", "GPU"]
    assert second.split() == ["1", "node-b", "idle", "GPU"]
    same = status_lines(Status("results/x", "running", "", 2, 0, 2, 9, None, 100.0, now | {"left": [60.0, 60.0]}))
    assert "now: 1 of 2 workers training; 60 s left" in same
    assert head.index("node") == first.index("node-a") == second.index("node-b")
