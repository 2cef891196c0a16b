"""Going on with a run: failed trials again, designs by hand, trials of another run, more of a finished search."""

import json
import shlex
import shutil
import threading

import pytest

from fer_search.confirm.candidates import choose_candidates
from fer_search.errors import UserError
from fer_search.report import load_designs, load_trials
from fer_search.report.statistics.verdict import verdict
from fer_search.report.tables.analysis import load_analysis
from fer_search.runfolder.epochs import read_epochs
from fer_search.runfolder.identity import first_space_change
from fer_search.runfolder.queue import enqueue, read_queue
from fer_search.runfolder.reset import failed_trials, reset_trials
from fer_search.runs.doctor import find_problems
from fer_search.search.executors import job as job_module
from fer_search.training.trial import TrialFailed


def statuses(run):
    return [json.loads(path.read_text())["status"] for path in sorted(run.glob("trial_*/trial.json"))]


def values(run):
    trials = [json.loads(path.read_text()) for path in sorted(run.glob("trial_*/trial.json"))]
    return [{k: v for k, v in t["hyperparameters"]["values"].items() if not k.startswith("tuner/")} for t in trials]


def printed(folder):
    return " ".join((folder / "out.txt").read_text().split())


def test_failed_trials_are_trained_again(search, tmp_path, monkeypatch):
    train = job_module.train

    def fail(trial, data, hooks):
        if trial.number in (1, 3):
            raise TrialFailed("no luck")
        return train(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", fail)
    assert search(tmp_path) == 0
    run = tmp_path / "tiny"
    assert failed_trials(run) == ["0001", "0003"]
    reset_trials(run, failed_trials(run))
    monkeypatch.setattr(job_module, "train", train)
    assert search(tmp_path) == 0
    assert statuses(run) == ["COMPLETED"] * 4
    assert [problem.text for problem in find_problems(run)] == []


@pytest.mark.parametrize("tuner", ["random", "hyperband"])
def test_a_design_added_by_hand_is_tried_next_once(search, tmp_path, tuner):
    limit = 4 if tuner == "random" else None
    assert search(tmp_path, tuner=tuner, max_trials=limit) == 0
    run = tmp_path / "tiny"
    before = len(statuses(run))
    added = values(run)[-1] | {"filters": 6, "dropout": 0.2}
    enqueue(run, added)
    assert search(tmp_path, tuner=tuner, max_trials=limit) == 0
    assert len(statuses(run)) == before + 1
    assert values(run)[-1] == added
    assert read_queue(run)[0]["trial"] == f"{before:04d}"
    assert search(tmp_path, tuner=tuner, max_trials=limit) == 0
    assert len(statuses(run)) == before + 1
    assert [problem.text for problem in find_problems(run)] == []


def test_trials_of_another_run_that_fit_are_taken(search, tmp_path, tiny_space):
    assert search(tmp_path, name="first") == 0
    first = tmp_path / "first"
    wider = tiny_space.read_text().replace("[4, 2, 6]", "[4, 2, 8]").replace("cutout', [0, 8]", "cutout', [0, 8, 12]")
    tiny_space.write_text(wider)
    assert search(tmp_path, name="second", from_run=first, max_trials=3) == 0
    second = tmp_path / "second"
    fitting = [v for v in values(first) if v["filters"] != 6]
    assert 0 < len(fitting) <= 4
    assert [v for v in values(second) if v in fitting][-len(fitting) :] == fitting
    taken = values(second)[2 : 2 + len(fitting)]  # after the baselines
    assert taken == fitting
    record = json.loads((second / "trial_0002" / "design.json").read_text())
    assert record["imported"] == str(first / "trial_0000")
    assert (second / "trial_0002" / "epochs.csv").read_text().count("\n") == 4
    assert f"Taken from {first}: {len(fitting)} completed trials" in printed(tmp_path)
    assert len(values(second)) == 3 + len(fitting)  # --max-trials counts those that are trained
    with pytest.raises(UserError, match=r"first: its results cannot be compared with .*--max-epochs 3 there, 5"):
        search(tmp_path, name="third", from_run=first, max_epochs=5)


def test_a_source_of_trials_is_checked_before_anything_is_written_or_deleted(search, tmp_path):
    run, typo = tmp_path / "tiny", tmp_path / "typo"
    with pytest.raises(UserError, match=r"--from .*typo: not a run folder"):
        search(tmp_path, from_run=typo)
    assert not (run / "run.json").exists()
    assert search(tmp_path, name="first") == 0
    assert search(tmp_path, from_run=tmp_path / "first") == 0
    assert f"Taken from {tmp_path / 'first'}: 4 completed trials" in printed(tmp_path)
    before = values(run)
    for source, why in ((typo, "not a run folder"), (run, "--overwrite would delete this run")):
        with pytest.raises(UserError, match=why):
            search(tmp_path, from_run=source, overwrite=True)
        assert values(run) == before


def test_a_source_is_not_needed_any_more_when_the_search_is_resumed(search, tmp_path):
    first = tmp_path / "first"
    assert search(tmp_path, name="first") == 0
    assert search(tmp_path, from_run=first, max_trials=3) == 0
    shutil.rmtree(first)
    assert search(tmp_path, from_run=first, max_trials=3) == 0
    assert len(read_queue(tmp_path / "tiny")) == 4


def test_no_design_is_lost_when_two_processes_add_some(tmp_path):
    def add(first):
        for number in range(first, first + 20):
            enqueue(tmp_path, {"filters": number})

    threads = [threading.Thread(target=add, args=(first,)) for first in (0, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(entry["values"]["filters"] for entry in read_queue(tmp_path)) == list(range(40))


def test_a_finished_hyperband_search_gets_another_iteration(search, tmp_path):
    assert search(tmp_path, tuner="hyperband", max_trials=None) == 0
    run = tmp_path / "tiny"
    before = len(statuses(run))
    assert search(tmp_path, tuner="hyperband", max_trials=None, extend=True) == 0
    info = json.loads((run / "run.json").read_text())
    assert info["tuner"]["iterations"] == 2
    assert len(statuses(run)) == 2 * (before - 2) + 2  # the two baselines run once
    assert search(tmp_path, tuner="hyperband", max_trials=None) == 0  # and stays so
    assert len(statuses(run)) == 2 * (before - 2) + 2
    (run / "oracle.json").unlink()
    for problem in find_problems(run):
        problem.repair()
    assert search(tmp_path, tuner="hyperband", max_trials=None) == 0
    assert len(statuses(run)) == 2 * (before - 2) + 2


def test_extend_without_anything_to_extend_says_so(search, tmp_path):
    assert search(tmp_path) == 0
    with pytest.raises(UserError, match=r"--extend: the search is finished; give a larger --max-trials than 4"):
        search(tmp_path, extend=True)
    assert search(tmp_path, extend=True, max_trials=5) == 0
    assert len(statuses(tmp_path / "tiny")) == 5


def test_an_extension_that_was_killed_at_once_goes_on_by_the_same_command(search, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*arguments):
        raise Killed

    assert search(tmp_path) == 0
    with monkeypatch.context() as patch:
        patch.setattr(job_module, "train", die)
        with pytest.raises(Killed):
            search(tmp_path, extend=True, max_trials=5)
    assert search(tmp_path, extend=True, max_trials=5) == 0
    assert statuses(tmp_path / "tiny") == ["COMPLETED"] * 5


def test_finished_trials_can_be_extended_after_the_search_was(search, tmp_path):
    def epochs():
        return [path.read_text().count("\n") - 1 for path in sorted((tmp_path / "tiny").glob("trial_*/epochs.csv"))]

    assert search(tmp_path) == 0
    assert search(tmp_path, extend=True, max_epochs=5, max_trials=5) == 0
    assert epochs() == [3, 3, 3, 3, 5]
    assert search(tmp_path, extend=True, extend_trials=True, max_epochs=5, max_trials=5) == 0
    assert epochs() == [5] * 5


@pytest.mark.parametrize("again", [False, True])
def test_more_epochs_for_finished_trials_or_for_new_ones_only(search, tmp_path, again):
    assert search(tmp_path) == 0
    assert search(tmp_path, extend=True, extend_trials=again, max_epochs=5, max_trials=5) == 0
    epochs = [path.read_text().count("\n") - 1 for path in sorted((tmp_path / "tiny").glob("trial_*/epochs.csv"))]
    assert epochs == ([5] * 5 if again else [3, 3, 3, 3, 5])
    assert ("Finished trials keep their 3 epochs" in printed(tmp_path)) is not again


def test_an_early_end_says_why(search, tmp_path, tiny_space):
    text = tiny_space.read_text().replace("hp.Float('rate', 1e-3, 1e-2, sampling='log')", "1e-3")
    tiny_space.write_text(text.replace("[4, 2, 6]", "[4]").replace("[0.0, 0.2]", "[0.0]"))
    assert search(tmp_path, max_trials=20, baselines="none") == 0
    assert "Ended after 4 of 20 trials: no untried design is left in the space" in printed(tmp_path)


def test_the_first_difference_of_two_long_lines_is_shown():
    line = "SETTINGS = {'a': 1, 'b': 2, 'c': 3, 'd': 4, 'e': 5, 'f': 6, 'g': 7, 'learning_rate': 0.001, 'z': 9}"
    said = first_space_change({"text": line}, line.replace("0.001", "0.002"), {})
    before, now = said.split(", is now ")
    assert "0.001" in before
    assert "0.002" in now


def test_printed_commands_can_be_pasted(search, tmp_path):
    folder = tmp_path / "my results"
    assert search(folder) == 0
    assert f"fer-search report {shlex.quote(str(folder / 'tiny'))}" in printed(folder)


@pytest.mark.parametrize("tuner", ["random", "hyperband", "bayesian"])
def test_the_loss_is_minimised(search, tmp_path, tuner):
    limit = None if tuner == "hyperband" else 8
    assert search(tmp_path, tuner=tuner, max_trials=limit, objective="loss") == 0
    run = tmp_path / "tiny"
    trials = [json.loads(path.read_text()) for path in sorted(run.glob("trial_*/trial.json"))]
    for trial, path in zip(trials, sorted(run.glob("trial_*/epochs.csv")), strict=True):
        assert trial["score"] == min(row["val_loss"] for row in read_epochs(path))
    best = min(trial["score"] for trial in trials)
    assert f"best {best:.3f} by trial" in printed(tmp_path)
    # the made-up accuracies equal the losses, so that the most accurate trial is the worst one
    assert load_trials(run)["score"].iloc[0] == best == load_designs(run)["score"].iloc[0]
    chosen = choose_candidates(run, 1, (), 3, None)[0]
    assert next(trial["score"] for trial in trials if trial["trial_id"] == chosen.trial) == best
    assert f"Ranked by loss ({best:.3f}), which the search optimised" in " ".join(verdict(load_analysis(run)).details)
    if tuner == "hyperband":  # every promoted trial was the best of those that were not
        by_id = {trial["trial_id"]: trial for trial in trials}
        parents = [t["hyperparameters"]["values"].get("tuner/trial_id") for t in trials]
        promoted = {parent for parent in parents if parent}
        rung = [t for t in trials if t["hyperparameters"]["values"].get("tuner/round") == 0]
        in_bracket_1 = [t for t in rung if t["hyperparameters"]["values"]["tuner/bracket"] == 1]
        left = [t["score"] for t in in_bracket_1 if t["trial_id"] not in promoted]
        assert promoted
        assert max(by_id[parent]["score"] for parent in promoted) <= min(left)
    with pytest.raises(UserError, match="--objective was val_loss, is now val_accuracy"):
        search(tmp_path, tuner=tuner, max_trials=limit)
