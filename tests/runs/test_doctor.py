"""Damaged run folders: what the doctor reports and repairs."""

import dataclasses
import json
import shutil

import h5py
import numpy as np
import pytest

from fer_search.errors import UserError
from fer_search.report import load_trials, to_markdown
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.json_files import read_json, write_json
from fer_search.runs.doctor import find_problems, repair
from fer_search.runs.show import describe_trial, find_trial
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


def test_an_intact_folder_has_no_problems(run):
    assert texts(run) == []


def test_repairable_damage_is_repaired(run, search, tmp_path, state):
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


def test_irreparable_damage_is_left_and_reported(run):
    (run / "run.json").write_text("{")
    (run / "oracle.json").write_text("{")
    problems = find_problems(run)
    assert ["run.json" in problems[0].text, "oracle.json" in problems[1].text] == [True, True]
    assert all(line.startswith("not repaired: ") for line in repair(run, problems))
    assert (run / "oracle.json").read_text() == "{"


@pytest.mark.parametrize("tuner", ["guided", "random", "hyperband", "bayesian", "grid"])
def test_a_lost_oracle_is_rebuilt_from_the_trials(search, state, tmp_path, monkeypatch, tuner):
    """One trial failed and one was running; after the repair the search resumes as if nothing had been lost."""
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
    assert search(tmp_path / "lost", **given) == search(tmp_path / "uninterrupted", **given) == 0
    assert state(run) == state(tmp_path / "uninterrupted" / "tiny")


def test_a_lost_oracle_and_a_damaged_trial_are_repaired_in_one_go(run):
    (run / "oracle.json").unlink()
    (run / "trial_0001" / "trial.json").write_text("{")
    lines = repair(run, find_problems(run))
    assert len(lines) == 2
    assert all(line.startswith("repaired: ") for line in lines)
    assert find_problems(run) == []


def test_a_lost_epoch_table_is_rebuilt_from_its_trial(run, state):
    before = state(run)
    (run / "trial_0000" / "epochs.csv").write_text("")
    (run / "trial_0001" / "epochs.csv").unlink()
    table = run / "trial_0002" / "epochs.csv"
    table.write_text(table.read_text()[:-40])  # cuts off the last row
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


COMMANDS = (
    lambda run: status_lines(read_status(run)),
    lambda run: select_trials(run, [], None),
    lambda run: describe_trial(run, "0"),
    to_markdown,
)
DAMAGE = {"emptied": lambda text: "", "torn": lambda text: text[: len(text) // 2], "replaced": lambda text: "[]\n"}


@pytest.mark.parametrize("file", ["oracle.json", "trial_0000/trial.json", "trial_0000/epochs.csv"])
def test_errors_suggest_doctor_repair_where_it_helps(run, state, file):
    before, content = state(run)[0]["trial_0000"][:2], (run / file).read_text()
    for harm in DAMAGE.values():
        (run / file).write_text(harm(content))
        messages = [message for message in error_messages(run) if message]
        assert all(f"{run / file} " in message for message in messages)
        assert all(f"; run: fer-search doctor {run} --repair" in message for message in messages)
        assert len(messages) == len(COMMANDS) or file.endswith("epochs.csv")  # not every command needs epochs.csv
        repair(run, find_problems(run))
        assert find_problems(run) == []
        assert error_messages(run) == [""] * len(COMMANDS)
        assert state(run)[0]["trial_0000"][:2] == before


def test_errors_suggest_a_backup_where_repair_is_impossible(run):
    file = "run.json"
    content = (run / file).read_text()
    for harm in DAMAGE.values():
        (run / file).write_text(harm(content))
        assert all(
            f"{run / file} " in message and message.endswith("restore it from a backup")
            for message in error_messages(run)
        )
        assert "restore it from a backup" in texts(run)[0]


def error_messages(run):
    """Return the error messages of status, trials, show and report for a broken run."""
    return [error_message(look, run) for look in COMMANDS]


def error_message(look, run):
    """Return a command's error message for a run, or "" if it succeeds."""
    try:
        look(run)
    except UserError as error:
        return str(error)
    return ""


def test_a_search_rewrites_the_broken_design_of_a_finished_trial(run, search, tmp_path):
    design = run / "trial_0000" / "design.json"
    content = design.read_text()
    for harm in DAMAGE.values():
        design.write_text(harm(content))
        [problem] = find_problems(run)
        assert "starting the run again writes it" in problem.text
        repair(run, [problem])
        assert error_messages(run) == [""] * len(COMMANDS)
        assert search(tmp_path) == 0
        assert design.read_text() == content
        assert texts(run) == []
    design.write_text((run / "trial_0001" / "design.json").read_text())
    assert "has other values than trial.json" in texts(run)[0]
    assert search(tmp_path) == 0
    assert design.read_text() == content
    assert "that of another trial; written again." in (tmp_path / "out.txt").read_text()


def test_a_search_rewrites_the_broken_design_of_a_running_trial(search, tmp_path, monkeypatch):
    """The design is rebuilt from the proposal, so neither the running trial nor a child of it fails."""
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
    content = design.read_text()
    design.write_text(content[:50])
    assert search(tmp_path) == 0
    assert design.read_text() == content
    assert json.loads(design.with_name("trial.json").read_text())["status"] == "COMPLETED"


def test_a_truncated_checkpoint_is_detected(run):
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


@pytest.mark.parametrize("harm", ["removed", "cut"])
def test_the_networks_of_a_confirmation_are_checked(confirmed_run, tmp_path, harm):
    run = shutil.copytree(confirmed_run, tmp_path / "run")
    assert texts(run) == []
    file = run / "confirm" / "look_1" / "training_01" / "model.keras"
    if harm == "removed":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:20_000])
    what = "missing" if harm == "removed" else "damaged"
    assert texts(run) == [f"{file} is {what}; fer-search confirm {run}, with the same options, trains it again"]


def test_only_ascii_digits_are_a_number_of_a_trial(run):
    assert find_trial(load_trials(run), "00")["trial"] == "0000"
    for wanted in ("²", "\u0663", "\udcff", "9" * 5000, ""):
        with pytest.raises(UserError, match="there is no trial"):
            find_trial(load_trials(run), wanted)


def test_a_run_in_use_is_not_examined(run):
    with RunFolder(run).lock(), pytest.raises(UserError, match="in use") as caught:
        find_problems(run)
    assert caught.value.exit_code == 4


def test_status_distinguishes_running_from_killed(run):
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
        status = read_status(run)
        assert status.state == "running"
        lines = "\n".join(status_lines(status))
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
