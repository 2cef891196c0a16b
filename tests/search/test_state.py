"""What a search writes of its state while it runs."""

import json

import pytest

from fer_search.data.split import make_split
from fer_search.runfolder.folder import RunFolder
from fer_search.search import state as state_module
from fer_search.search.settings import Settings
from fer_search.search.state import new_state
from fer_search.space import load_space


@pytest.mark.parametrize("workers", [1, 2])
def test_with_several_workers_run_json_is_written_now_and_then(tiny_space, faces, tmp_path, monkeypatch, workers):
    """With one, a trial takes longer than the file; with many, trials may end every few milliseconds."""
    now = [0.0]
    monkeypatch.setattr(state_module.time, "monotonic", lambda: now[0])
    settings = Settings(tiny_space, results_dir=tmp_path, max_trials=3)
    run = RunFolder(settings.folder)
    run.path.mkdir(parents=True)
    state = new_state(settings, load_space(tiny_space), [], faces, make_split(faces), run, None)
    state.oracle.concurrent = workers > 1

    written = []
    for now[0] in (10.0, 10.3, 10.9, 11.1):
        state.write_state("running")
        written.append(json.loads((run.path / "run.json").read_text())["seconds"])
    assert written == ([10.0, 10.3, 10.9, 11.1] if workers == 1 else [10.0, 10.0, 10.0, 11.1])
    now[0] = 11.2
    state.write_state("finished")
    content = json.loads((run.path / "run.json").read_text())
    assert (content["state"], content["seconds"]) == ("finished", 11.2)
