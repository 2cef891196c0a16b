"""Run folders that were harmed, and what the doctor reports and repairs."""

import dataclasses
import json

import h5py
import numpy as np
import pytest

from fer_search.errors import UserError
from fer_search.report import to_markdown
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.json_files import read_json, write_json
from fer_search.runs.doctor import find_problems, repair
from fer_search.runs.show import describe_trial
from fer_search.runs.status import read_status, status_lines
from fer_search.runs.table import select_trials
from fer_search.search.executors import job as job_module
from fer_search.training.trial import TrialFailed


@pytest.fixture
def run(search, tmp_path):
    assert search(tmp_path) == 0
    return tmp_path / "tiny"


def texts(run):
    return [problem.text for problem in find_problems(run)]


def test_a_sound_folder_is_sound(run):
    assert texts(run) == []


def test_what_can_be_repaired_is(run, search, tmp_path, state):
    before = state(run)
    (run / ".part-abc.json").write_text("{")
    trial = run / "trial_0001" / "trial.json"
    trial.write_text("")
    table = run / "trial_0002" / "epochs.csv"
    table.write_text(table.read_text() + "4,0.3,0.")
    problems = find_problems(run)
    assert len(problems) == 3
    assert all(line.startswith("repaired: ") for line in repair(run, problems))
    assert texts(run) == []
    after = state(run)
    for name in before[0]:
        assert after[0][name][:3] == before[0][name][:3]
    assert search(tmp_path) == 0


def test_what_cannot_be_repaired_is_left_and_said(run):
    (run / "run.json").write_text("{")
    (run / "oracle.json").write_text("{")
    problems = find_problems(run)
    assert ["run.json" in problems[0].text, "oracle.json" in problems[1].text] == [True, True]
    assert all(line.startswith("not repaired: ") for line in repair(run, problems))
    assert (run / "oracle.json").read_text() == "{"


@pytest.mark.parametrize("tuner", ["guided", "random", "hyperband", "bayesian", "grid"])
def test_a_lost_oracle_is_made_again_from_the_trials(search, state, tmp_path, monkeypatch, tuner):
    """One trial failed and one was under way; the search then goes on as if nothing had been lost."""
    given = {"tuner": tuner, "max_trials": None if tuner == "hyperband" else 9, "max_epochs": 4, "factor": 2}
    given |= {"min_steps": 2, "max_trials": 12} if tuner == "guided" else {}
    real, full = job_module.train, [True]

    def train(trial, data, hooks):
        if trial.number == 4:
            raise RuntimeError("layer explodes")
        if trial.number == 7 and full:
            full.clear()
            raise OSError(28, "No space left on device")
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", train)
    with pytest.raises(UserError, match="no room"):
        search(tmp_path / "lost", **given)
    run = tmp_path / "lost" / "tiny"
    before = state(run)
    (run / "oracle.json").write_text("")
    [problem] = find_problems(run)
    assert repair(run, [problem]) == [f"repaired: {problem.text}"]
    assert state(run) == before
    assert search(tmp_path / "lost", **given) == search(tmp_path / "whole", **given) == 0
    assert state(run) == state(tmp_path / "whole" / "tiny")


def test_a_lost_table_is_made_again_from_its_trial(run, state):
    before = state(run)
    (run / "trial_0000" / "epochs.csv").write_text("")
    (run / "trial_0001" / "epochs.csv").unlink()
    table = run / "trial_0002" / "epochs.csv"
    table.write_text(table.read_text()[:-40])  # its last row
    problems = find_problems(run)
    assert len(problems) == 3
    assert all(line.startswith("repaired: ") for line in repair(run, problems))
    assert texts(run) == []
    assert state(run) == before


def test_a_failed_trial_is_not_repaired_into_a_completed_one(search, tmp_path, monkeypatch):
    real = job_module.train

    def failing(trial, data, hooks):
        if trial.number == 2:
            real(dataclasses.replace(trial, epochs=2), data, hooks)
            raise TrialFailed("the training loss was nan in epoch 3")
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", failing)
    assert search(tmp_path) == 0
    (tmp_path / "tiny" / "trial_0002" / "trial.json").write_text("")
    [problem] = find_problems(tmp_path / "tiny")
    assert problem.repair is None


LOOKS = (
    lambda run: status_lines(read_status(run)),
    lambda run: select_trials(run, [], None),
    lambda run: describe_trial(run, "0"),
    to_markdown,
)
HARMS = {"emptied": lambda text: "", "torn": lambda text: text[: len(text) // 2], "replaced": lambda text: "[]\n"}


@pytest.mark.parametrize("file", ["oracle.json", "trial_0000/trial.json", "trial_0000/epochs.csv"])
def test_what_can_be_repaired_is_said_so(run, state, file):
    before, whole = state(run)[0]["trial_0000"][:2], (run / file).read_text()
    for harm in HARMS.values():
        (run / file).write_text(harm(whole))
        said = [message for message in refusals(run) if message]
        assert all(f"{run / file} " in message for message in said)
        assert all(f"; run: fer-search doctor {run} --repair" in message for message in said)
        assert len(said) == len(LOOKS) or file.endswith("epochs.csv")  # where less is wanted of it, less is refused
        repair(run, find_problems(run))
        assert find_problems(run) == []
        assert refusals(run) == [""] * len(LOOKS)
        assert state(run)[0]["trial_0000"][:2] == before


def test_what_must_be_restored_is_said_to_be(run):
    file = "run.json"
    whole = (run / file).read_text()
    for harm in HARMS.values():
        (run / file).write_text(harm(whole))
        assert all(f"{run / file} " in said and said.endswith("restore it from a backup") for said in refusals(run))
        assert "restore it from a backup" in texts(run)[0]


def refusals(run):
    """Return what status, trials, show and report say of a run that they cannot show."""
    return [refusal(look, run) for look in LOOKS]


def refusal(look, run):
    """Return what a command says instead of showing a run; "" where it shows it."""
    try:
        look(run)
    except UserError as error:
        return str(error)
    return ""


def test_the_broken_design_of_a_trial_that_ended_is_made_again_by_the_search(run, search, tmp_path):
    design = run / "trial_0000" / "design.json"
    whole = design.read_text()
    for harm in HARMS.values():
        design.write_text(harm(whole))
        [problem] = find_problems(run)
        assert "starting the run again writes it" in problem.text
        repair(run, [problem])
        assert refusals(run) == [""] * len(LOOKS)
        assert search(tmp_path) == 0
        assert design.read_text() == whole
        assert texts(run) == []
    design.write_text((run / "trial_0001" / "design.json").read_text())
    assert "has other values than trial.json" in texts(run)[0]
    assert search(tmp_path) == 0
    assert design.read_text() == whole
    assert "that of another trial; written again." in (tmp_path / "out.txt").read_text()


def test_a_broken_design_is_made_again_by_the_search(search, tmp_path, monkeypatch):
    """What it says can be had from the proposal; neither the running trial nor a parent fails for want of it."""
    real = job_module.train

    def train(trial, data, hooks):
        if trial.number == 2:
            raise OSError(28, "No space left on device")
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", train)
    with pytest.raises(UserError, match="no room"):
        search(tmp_path)
    monkeypatch.setattr(job_module, "train", real)
    design = tmp_path / "tiny" / "trial_0002" / "design.json"
    whole = design.read_text()
    design.write_text(whole[:50])
    assert search(tmp_path) == 0
    assert design.read_text() == whole
    assert json.loads(design.with_name("trial.json").read_text())["status"] == "COMPLETED"


def test_half_a_checkpoint_is_found(run):
    weights = next(run.glob("trial_*/best.weights.h5"))
    with h5py.File(weights, "w") as file:
        file["x"] = np.zeros(10_000)
    assert texts(run) == []
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    assert "no complete HDF5 file" in texts(run)[0]


def test_broken_weights_are_moved_aside(run):
    weights = next(run.glob("trial_*/best.weights.h5"))
    weights.write_bytes(b"nothing")
    [problem] = find_problems(run)
    repair(run, [problem])
    assert not weights.exists()
    assert weights.with_name("broken-best.weights").read_bytes() == b"nothing"


def test_a_running_run_is_not_examined(run):
    with RunFolder(run).lock(), pytest.raises(UserError, match="in use") as caught:
        find_problems(run)
    assert caught.value.exit_code == 4


def test_status_tells_running_from_killed(run):
    write_json(run / "run.json", read_json(run / "run.json") | {"state": "running"})
    assert read_status(run).state == "killed"
    folder = RunFolder(run)
    with folder.lock():
        live = {
            "trial": 3,
            "trials": 4,
            "epoch": 2,
            "epochs": 3,
            "done": 1,
            "images": 2,
            "accuracy": 0.5,
            "left": [60, 90],
        }
        folder.write_live(live | {"time": 0.0, "seconds": 12.0})
        found = read_status(run)
        assert found.state == "running"
        lines = "\n".join(status_lines(found))
    assert "now: trial 3, epoch 2 of 3, 50% of it, accuracy 0.500" in lines
    assert "no sign of progress" in lines


def test_conditions_select_trials(run):
    everything = select_trials(run, [], None)
    assert len(everything) == 4
    assert set(select_trials(run, ["cutout=8"], None)["trial"]) <= set(everything["trial"])
    both = len(select_trials(run, ["cutout=8"], None)) + len(select_trials(run, ["cutout!=8"], None))
    assert both == 4
    assert len(select_trials(run, ["accuracy>=0", "rate<1"], None)) == 4
    assert len(select_trials(run, ["name=cut"], None)) == 1
    for wrong in ("cutout", "colour=1", "rate<much"):
        with pytest.raises(UserError, match="--where"):
            select_trials(run, [wrong], None)
