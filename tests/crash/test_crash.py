"""A run resumes to the same result from every state that a crash can leave on disk.

The states are derived from a recording of all file operations. The suite resumes a sample of the states of one short
run; ``make soak`` resumes all states for every tuner.
"""

import shutil

import pytest
from crash.recorder import Recorder, crash_states, torn_appends, write_tree

TUNERS = {
    "guided": {"max_trials": 5, "max_epochs": 4, "factor": 2},
    "random": {"max_trials": 3, "max_epochs": 2},
    "hyperband": {"max_trials": None, "max_epochs": 3, "factor": 3, "baselines": "none"},
    "bayesian": {"max_trials": 5, "max_epochs": 2},
    "grid": {"max_trials": 4, "max_epochs": 2},
}
SAMPLE = 24  # number of states tested by the suite


def record_run(search, folder, given):
    """Run a complete search; return the states in which a crash could have left its folder."""
    folder.mkdir()
    recorder = Recorder(folder / "tiny")
    with recorder.recording():
        assert search(folder, **given) == 0
    return list(crash_states(torn_appends(recorder.operations)))


@pytest.mark.parametrize("tuner", TUNERS)
def test_every_crash_state_resumes_to_the_same_result(search, state, tmp_path, thorough, tuner):
    if not thorough and tuner != "random":
        pytest.skip("only in make soak")
    given = {"tuner": tuner} | TUNERS[tuner]
    states = record_run(search, tmp_path / "uninterrupted", given)
    assert len(states) > 100
    expected = state(tmp_path / "uninterrupted" / "tiny")
    step = 1 if thorough else len(states) // SAMPLE
    for number, tree in list(enumerate(states))[::step]:
        folder = tmp_path / "crashed"
        write_tree(tree, folder / "tiny")
        assert search(folder, **given) == 0, number
        assert state(folder / "tiny") == expected, (number, sorted(tree))
        shutil.rmtree(folder)


def test_the_recorder_detects_unsynced_writes(tmp_path):
    """Checks the recorder itself: without fsync, content may be lost although the file name exists."""
    import os

    root = tmp_path / "root"
    root.mkdir()
    recorder = Recorder(root)
    with recorder.recording():
        descriptor = os.open(root / "a.part", os.O_CREAT | os.O_WRONLY)
        os.write(descriptor, b"content")
        os.close(descriptor)
        os.replace(root / "a.part", root / "a")
    states = list(crash_states(recorder.operations))
    assert {"a": b"content"} in states
    assert {"a": b""} in states
    assert {"a": bytes(7)} in states
    assert {"a.part": b"con"} in states
    assert {} in states
