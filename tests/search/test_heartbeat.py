"""live.json, which fer-search status reads."""

import json
from types import SimpleNamespace

import pytest

from fer_search.runfolder.folder import RunFolder
from fer_search.search import heartbeat as heartbeat_module
from fer_search.search.display.events import TrialBegun
from fer_search.search.heartbeat import Heartbeat
from fer_search.training.trial import Progress


@pytest.mark.parametrize("workers", [1, 64])
def test_a_trial_that_begins_is_shown_at_once_by_one_worker_and_soon_by_many(tmp_path, monkeypatch, workers):
    now = [100.0]
    monkeypatch.setattr(heartbeat_module.time, "monotonic", lambda: now[0])
    state = SimpleNamespace(
        budgets=SimpleNamespace(trials=5),
        clock=SimpleNamespace(left=lambda: 9.0),
        seconds=lambda: 1.0,
        folder=RunFolder(tmp_path),
    )
    heartbeat = Heartbeat(state, SimpleNamespace(slots=workers, status=lambda: []))
    shown = []
    for number, now[0] in enumerate((100.0, 100.1, 102.5)):
        heartbeat.begin(TrialBegun(number, 5, None, {}, 3, 1000, ()), Progress(1, 0, 64, 0.0, 0.0))
        shown.append(json.loads(next(tmp_path.rglob("live.json")).read_text())["trial"])
        heartbeat.end(number)
    assert shown == ([0, 1, 2] if workers == 1 else [0, 0, 2])
