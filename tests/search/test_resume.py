"""Searches that are killed, run out of disk, time or luck, are extended, or fail: nothing is lost, and it is said."""

import errno
import hashlib
import json
import os
import signal
import time
from contextlib import suppress

import pytest

import fer_search.files
from fer_search.errors import UserError
from fer_search.runfolder.epochs import append_epoch, read_epochs
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.predictions import worst_mistakes
from fer_search.search import loop, opening
from fer_search.search import run as run_module
from fer_search.search.executors import job as job_module
from fer_search.search.trials.checkpoint_retention import used_bytes
from fer_search.training.trial import Stopped

TUNERS = ("random", "hyperband", "bayesian", "grid")


def options(tuner):
    if tuner == "hyperband":
        return {"tuner": tuner, "max_trials": None, "max_epochs": 4, "factor": 2, "baselines": "none"}
    return {"tuner": tuner, "max_trials": 6, "max_epochs": 3}


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.fixture
def writes(monkeypatch):
    """Lets a number of writes pass and then raises; ``left`` and ``error`` can be set."""

    class Writes:
        left, error = 10**9, Killed

    real = os.fsync

    def fsync(handle):
        Writes.left -= 1
        if Writes.left < 0:
            raise Writes.error
        real(handle)

    monkeypatch.setattr(fer_search.files.os, "fsync", fsync)
    return Writes


@pytest.mark.parametrize(
    "error", [Killed(), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))], ids=["killed", "disk full"]
)
@pytest.mark.parametrize("tuner", TUNERS)
def test_each_write_may_be_the_last(search, state, writes, tmp_path, monkeypatch, tuner, error):
    """Every start gets one write further than the last, then dies: at each write of the search, in a fresh process."""
    monkeypatch.setattr(
        job_module, "MAX_CRASHES", 10**9
    )  # it dies at the same place again and again; see the next tests
    assert search(tmp_path / "whole", **options(tuner)) == 0
    broken = tmp_path / "broken"
    writes.error = error
    ended, starts, refusals = None, 0, []
    while ended != 0 and starts < 2000:
        starts += 1
        writes.left = 3 + starts % 9
        try:
            ended = search(broken, **options(tuner))
        except Killed:
            continue
        except UserError as stopped:
            refusals.append(stopped)
    assert all("no room left" in str(refusal) and refusal.exit_code == 4 for refusal in refusals)
    assert starts > 10
    assert state(broken / "tiny") == state(tmp_path / "whole" / "tiny")


def dying(real, error, dies):
    """Return a training that ends the process where ``dies(trial, epoch)`` says so."""

    def train(trial, data, hooks):
        progress = hooks.on_progress

        def die(at):
            progress(at)
            if dies(trial, at.epoch):
                raise error

        hooks.on_progress = die
        return real(trial, data, hooks)

    return train


def start_until_it_ends(search, *arguments, **options):
    """Return how many starts of a search died."""
    for died in range(40):
        try:
            assert search(*arguments, **options) == 0
            return died
        except Killed:
            pass
    raise AssertionError("it never ends")


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_trial_that_the_process_dies_of_is_given_up(search, tmp_path, monkeypatch, tuner):
    """As of the kernel's out-of-memory killer: in the first epoch of one, in the second of another."""
    real = job_module.train
    at = [(2, 1), (4, 2)]
    monkeypatch.setattr(job_module, "train", dying(real, Killed, lambda trial, epoch: (trial.number, epoch) in at))
    given = options(tuner) | {"max_epochs": 4}
    if tuner == "hyperband":
        at[1] = (7, 2)  # the first promoted one, whose first epoch this is
    assert start_until_it_ends(search, tmp_path, **given) == 2 * 3
    trials = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("tiny/trial_*/trial.json"))]
    failed = {int(trial["trial_id"]): trial["message"] for trial in trials if trial["status"] == "FAILED"}
    reason = "the process died 3 times at the same place (killed by the system: out of memory?)"
    assert failed == {number: reason for number, _ in at}
    assert all(trial["status"] == "COMPLETED" for trial in trials if int(trial["trial_id"]) not in failed)
    assert reason in (tmp_path / "out.txt").read_text()
    assert not list(tmp_path.glob("tiny/**/training.json"))


def test_it_says_from_which_epoch_a_killed_trial_goes_on(search, tmp_path, monkeypatch):
    """The last one with a checkpoint, although epochs.csv has one more."""
    given, real = {"max_trials": 2, "max_epochs": 4}, job_module.train
    with monkeypatch.context() as patch:
        patch.setattr(job_module, "train", dying(real, Killed, lambda trial, epoch: epoch == 3))
        with pytest.raises(Killed):
            search(tmp_path, **given)
    (table,) = tmp_path.glob("tiny/trial_*/epochs.csv")
    rows = read_epochs(table)
    append_epoch(table, rows[-1] | {"epoch": 3})
    assert search(tmp_path, **given) == 0
    said = (tmp_path / "out.txt").read_text()
    assert "resuming after epoch 2" in said
    assert "resuming after epoch 3" not in said


def test_deaths_with_progress_between_them_do_not_count(search, state, tmp_path, monkeypatch):
    """Two at every place, ten in a trial; and any number of stops that were asked for."""
    given = {"max_trials": 3, "max_epochs": 5}
    assert search(tmp_path / "whole", **given) == 0
    real, deaths = job_module.train, {}

    def dies(trial, epoch):
        place = trial.number, epoch
        deaths[place] = deaths.get(place, 0) + 1
        return deaths[place] <= 2

    monkeypatch.setattr(job_module, "train", dying(real, Killed, dies))
    assert start_until_it_ends(search, tmp_path / "killed", **given) == 2 * 5 * 3
    assert state(tmp_path / "killed" / "tiny") == state(tmp_path / "whole" / "tiny")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_no_death_even_if_a_kill_comes_before_the_step_ends(search, state, tmp_path, monkeypatch, number):
    assert search(tmp_path / "whole") == 0
    real, starts = job_module.train, []

    def train(trial, data, hooks):
        starts.append(trial.number)
        if len(starts) <= 6:
            os.kill(os.getpid(), number)
            if len(starts) % 2:
                raise Killed
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", train)
    for _ in range(6):
        with suppress(Killed):
            assert search(tmp_path / "stopped") == 128 + number
    assert search(tmp_path / "stopped") == 0
    assert starts[:7] == [0] * 7
    assert state(tmp_path / "stopped" / "tiny") == state(tmp_path / "whole" / "tiny")


def test_a_search_begins_though_its_dear_design_kills_the_estimate(search, tmp_path, monkeypatch):
    asked = []

    def estimate(settings, space, data, stop, dear):
        asked.append(dear)
        if dear:
            raise Killed
        return 40.0, 80.0

    monkeypatch.setattr(opening, "estimate_search", estimate)
    assert start_until_it_ends(search, tmp_path) == 1
    assert asked == [True, False]
    assert not (tmp_path / "tiny" / "training.json").exists()


def test_a_full_disk_is_no_failure_of_the_trial(search, writes, tmp_path):
    writes.left, writes.error = 12, OSError("Can't write data (errno = 28, error message = 'No space left on device')")
    with pytest.raises(UserError, match="free some space"):
        search(tmp_path / "full")
    writes.left = 10**9
    assert search(tmp_path / "full") == 0
    assert "failed" not in (tmp_path / "full" / "out.txt").read_text()


def test_extend_goes_on_with_more_trials(search, state, tmp_path):
    assert search(tmp_path / "a", max_trials=3) == 0
    with pytest.raises(UserError, match=r"--max-trials was 3, is now 6.*--extend") as refused:
        search(tmp_path / "a", max_trials=6)
    assert refused.value.exit_code == 5
    before = state(tmp_path / "a" / "tiny")[0]
    assert search(tmp_path / "a", max_trials=6, extend=True) == 0
    after = state(tmp_path / "a" / "tiny")[0]
    assert {name: after[name][:3] for name in before} == {name: before[name][:3] for name in before}
    assert len(after) == 6
    assert search(tmp_path / "b", max_trials=6) == 0
    assert state(tmp_path / "b" / "tiny")[0] == after
    assert search(tmp_path / "a", max_trials=6) == 0
    with pytest.raises(UserError, match="--max-trials was 6, is now 4"):
        search(tmp_path / "a", max_trials=4, extend=True)
    with pytest.raises(UserError, match="--seed"):
        search(tmp_path / "a", max_trials=6, seed=1, extend=True)


def test_extend_by_epochs_is_for_new_trials_and_recorded(search, tmp_path):
    assert search(tmp_path, max_trials=3, max_epochs=2) == 0
    assert search(tmp_path, max_trials=4, max_epochs=5, extend=True) == 0
    assert [len(read_epochs(p)) for p in sorted(tmp_path.glob("tiny/trial_*/epochs.csv"))] == [2, 2, 2, 5]
    info = json.loads((tmp_path / "tiny" / "run.json").read_text())
    assert info["extended"][0]["to"] == {"--max-trials": 4, "--max-epochs": 5}
    assert search(tmp_path / "h", tuner="hyperband", max_trials=None, max_epochs=2, factor=2) == 0
    with pytest.raises(UserError, match="rungs"):
        search(tmp_path / "h", tuner="hyperband", max_trials=None, max_epochs=4, factor=2, extend=True)


def test_too_many_failures_in_a_row_stop_the_search(search, tmp_path, monkeypatch):
    real = job_module.train

    def failing(trial, data, hooks):
        if trial.number >= 2:
            raise RuntimeError("layer explodes")
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", failing)
    assert search(tmp_path, max_trials=9, max_failures=3) == 3
    out = (tmp_path / "out.txt").read_text()
    assert "the last 3 in a row (RuntimeError: layer explodes). Raise --max-failures to continue." in out
    assert len(list(tmp_path.glob("tiny/trial_*"))) == 5
    assert search(tmp_path, max_trials=9, max_failures=5) == 3
    assert len(list(tmp_path.glob("tiny/trial_*"))) == 7


@pytest.mark.parametrize("tuner", ["random", "hyperband"])
def test_out_of_memory_is_tried_once_more_in_micro_batches(search, tmp_path, monkeypatch, tuner):
    real, tries = job_module.train, []

    def hungry(trial, data, hooks):
        tries.append((trial.number, trial.micro_batches))
        if trial.number < 2 and trial.micro_batches == 1:
            raise MemoryError("no room for the gradients")
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", hungry)
    assert search(tmp_path, **options(tuner)) == 0
    trials = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("tiny/trial_*/trial.json"))]
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * len(trials)
    small = {int(trial["trial_id"]) for trial in trials if trial["message"]}
    assert all("out of memory, so in 4 micro-batches a step" in trials[number]["message"] for number in small)
    family = [trial["hyperparameters"]["values"].get("tuner/trial_id", trial["trial_id"]) for trial in trials]
    assert {0, 1} <= small
    assert all(number in small for number, parent in enumerate(family) if int(parent) in small)  # children know
    assert [parts for number, parts in tries if number == 0] == [1, 4]


def test_too_large_networks_are_not_trained(search, tmp_path):
    assert search(tmp_path, max_params=100) == 3
    trial = json.loads((tmp_path / "tiny" / "trial_0000" / "trial.json").read_text())
    assert trial["status"] == "FAILED"
    assert "more than --max-params 100" in trial["message"]
    assert not (tmp_path / "tiny" / "trial_0000" / "epochs.csv").exists()


def test_time_is_counted_over_all_starts(search, tmp_path, monkeypatch):
    real = job_module.train

    def slow(trial, data, hooks):
        time.sleep(0.15)
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", slow)
    assert search(tmp_path, max_trials=20, time_budget=0.5) == 0
    out = (tmp_path / "out.txt").read_text()
    assert "Time budget used up: " in out
    assert json.loads((tmp_path / "tiny" / "run.json").read_text())["state"] == "out_of_time"
    count = len(list(tmp_path.glob("tiny/trial_*")))
    assert 1 < count < 20
    assert search(tmp_path, max_trials=20, time_budget=0.5) == 0
    assert len(list(tmp_path.glob("tiny/trial_*"))) == count
    assert search(tmp_path, max_trials=20, time_budget=60, extend=True) == 0
    assert len(list(tmp_path.glob("tiny/trial_*"))) == 20


@pytest.mark.parametrize("rule", [{"patience": 2}, {"prune": "median"}])
def test_trials_end_early_and_baselines_do_not(search, state, writes, tmp_path, rule):
    given = {"max_trials": 14, "max_epochs": 9, **rule}
    assert search(tmp_path / "whole", **given) == 0
    trials = state(tmp_path / "whole" / "tiny")[0]
    lengths = {name: len(rows) for name, (_, rows, *_) in trials.items()}
    assert lengths["trial_0000"] == lengths["trial_0001"] == 9
    early = [name for name, length in lengths.items() if length < 9]
    assert early
    for name in early:
        assert trials[name][0]["status"] == "COMPLETED"
        assert trials[name][0]["message"].startswith(f"ended after epoch {lengths[name]}: ")
    writes.left = 5
    for _ in range(400):
        try:
            search(tmp_path / "killed", **given)
            break
        except Killed:
            writes.left = 13
    assert state(tmp_path / "killed" / "tiny") == state(tmp_path / "whole" / "tiny")


def test_a_small_disk_changes_nothing_but_what_is_kept(search, state, tmp_path, monkeypatch):
    """Hyperband's parents whose checkpoints made room are trained again, with the same result."""
    given = {"tuner": "hyperband", "max_trials": None, "max_epochs": 8, "factor": 2, "baselines": "none"}
    assert search(tmp_path / "large", **given, max_disk=None) == 0
    monkeypatch.setattr(loop, "max_trial_bytes", lambda design, parameters: 0)
    most, real = [0], job_module.train

    def watching(trial, data, hooks):
        most[0] = max(most[0], used_bytes(tmp_path / "small" / "tiny"))
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", watching)
    assert search(tmp_path / "small", **given, max_disk=2500) == 0
    assert most[0] <= 5 * 1008  # two, and what a parent that is trained again needs (see fake_train)
    large, small = (state(tmp_path / name / "tiny")[0] for name in ("large", "small"))
    assert {name: trial[:3] for name, trial in small.items()} == {name: trial[:3] for name, trial in large.items()}
    assert not list(tmp_path.glob("small/tiny/trial_*/again"))


def test_disk_use_has_a_bound(search, tmp_path, monkeypatch):
    """While Hyperband runs, no more checkpoints are kept than may be promoted, and the best weights."""
    most, real = [0], job_module.train

    def watching(trial, data, hooks):
        most[0] = max(most[0], len(list((tmp_path / "tiny").glob("trial_*/epoch_*.h5"))))
        return real(trial, data, hooks)

    monkeypatch.setattr(job_module, "train", watching)
    assert (
        search(tmp_path, tuner="hyperband", max_trials=None, max_epochs=8, factor=2, baselines="none", max_disk=None)
        == 0
    )
    assert most[0] <= 8 + 1  # the second rung of the largest bracket has 8 trials
    assert not list(tmp_path.glob("tiny/trial_*/epoch_*.h5"))


def test_a_stale_lock_is_no_lock(search, tmp_path):
    assert search(tmp_path, max_trials=1) == 0
    (tmp_path / "tiny" / ".lock").write_text('{"pid": 999999999, "host": "elsewhere", "since": "2020"}')
    assert not RunFolder(tmp_path / "tiny").in_use()
    assert search(tmp_path, max_trials=1) == 0


@pytest.mark.parametrize("pid", [999999999, os.getppid()])
def test_without_system_locks_the_process_in_the_file_decides(tmp_path, monkeypatch, pid):
    import fcntl
    import socket

    def unsupported(*arguments):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    (tmp_path / ".lock").write_text(json.dumps({"pid": pid, "host": socket.gethostname()}))
    assert RunFolder(tmp_path).in_use() == (pid == os.getppid())
    if pid == os.getppid():
        with pytest.raises(UserError, match=f"process {pid}"), RunFolder(tmp_path).lock():
            pass
    else:
        with RunFolder(tmp_path).lock():
            pass


def test_a_folder_that_cannot_be_made_is_named(search, tmp_path):
    (tmp_path / "tiny").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write to the run folder .*tiny.*--results-dir") as caught:
        search(tmp_path)
    assert caught.value.exit_code == 2


def test_a_broken_oracle_is_named(search, tmp_path):
    assert search(tmp_path, max_trials=1) == 0
    (tmp_path / "tiny" / "oracle.json").write_text("{")
    with pytest.raises(UserError, match=r"oracle\.json.*doctor") as caught:
        search(tmp_path, max_trials=1)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("lost", ["run.json", "oracle.json"])
def test_nothing_is_begun_over_trials_that_are_there(search, state, tmp_path, lost):
    assert search(tmp_path, max_trials=2) == 0
    before = {path: path.read_bytes() for path in tmp_path.glob("tiny/trial_*/*")}
    (tmp_path / "tiny" / lost).unlink()
    with pytest.raises(UserError, match=lost) as caught:
        search(tmp_path, max_trials=2)
    assert caught.value.exit_code == 4
    assert before == {path: path.read_bytes() for path in tmp_path.glob("tiny/trial_*/*")}


def test_a_changed_space_is_refused_unless_its_comments_alone_changed(search, tiny_space, tmp_path):
    assert search(tmp_path, max_trials=1) == 0
    text = tiny_space.read_text()
    tiny_space.write_text('"""What it is."""\n# the widths\n' + text.replace("[4, 2, 6]", "[4,  2, 6]"))
    assert search(tmp_path, max_trials=1) == 0
    tiny_space.write_text(text.replace("[4, 2, 6]", "[4, 8]"))
    with pytest.raises(UserError, match=r"space was .*\[4, 2, 6\].* is .*\[4, 8\].* --overwrite") as caught:
        search(tmp_path, max_trials=1)
    assert caught.value.exit_code == 5


@pytest.fixture
def module(tiny_space):
    """A file beside the space, which imports it."""
    file = tiny_space.with_name("widths.py")
    file.write_text("FILTERS = [4, 2, 6]\n")
    tiny_space.write_text("import widths\n" + tiny_space.read_text().replace("[4, 2, 6]", "widths.FILTERS"))
    return file


def test_a_changed_module_of_the_space_is_refused_too(search, module, tmp_path):
    assert search(tmp_path, max_trials=1) == 0
    record = tmp_path / "tiny" / "run.json"
    assert json.loads(record.read_text())["space"]["modules"] == {"widths.py": "FILTERS = [4, 2, 6]\n"}
    module.write_text("# What it is.\nFILTERS = [4, 2,  6]\n")
    assert search(tmp_path, max_trials=1) == 0
    module.write_text("FILTERS = [4, 8]\n")
    with pytest.raises(UserError, match=r"space was .*\[4, 2, 6\]', is .*\[4, 8\]' in widths.py\..*") as caught:
        search(tmp_path, max_trials=1)
    assert caught.value.exit_code == 5


def test_a_run_from_before_modules_were_recorded_goes_on_and_records_them(search, module, tmp_path):
    assert search(tmp_path, max_trials=1) == 0
    record = tmp_path / "tiny" / "run.json"
    info = json.loads(record.read_text())
    del info["space"]["modules"]
    text_alone = hashlib.sha256(info["space"]["text"].encode()).hexdigest()
    info["space"]["sha256"] = info["identity"]["space"] = text_alone
    record.write_text(json.dumps(info))
    assert search(tmp_path, max_trials=1) == 0
    assert search(tmp_path, max_trials=1) == 0
    module.write_text("FILTERS = [4, 8]\n")
    with pytest.raises(UserError, match=r"widths\.py"):
        search(tmp_path, max_trials=1)


def test_a_stop_before_the_first_trial_starts_anew(search, tmp_path, monkeypatch):
    def interrupted(settings, space, data, stop, dear):
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
        raise Stopped

    known = opening.estimate_search
    monkeypatch.setattr(opening, "estimate_search", interrupted)
    assert search(tmp_path, max_trials=1) == 143
    monkeypatch.setattr(opening, "estimate_search", known)
    assert search(tmp_path, max_trials=1) == 0


def test_what_is_left_over_is_removed(search, tmp_path):
    assert search(tmp_path, max_trials=1) == 0
    part = tmp_path / "tiny" / "trial_0000" / ".part-x.weights.h5"
    part.write_text("x")
    assert search(tmp_path, max_trials=1) == 0
    assert not part.exists()


def test_the_worst_mistakes_come_first(rng):
    probabilities = rng.dirichlet([1] * 7, 200)
    labels = rng.integers(0, 7, 200)
    worst = worst_mistakes(probabilities, labels)
    assert len(worst) == 40
    guess = probabilities.argmax(1)
    assert (guess[worst] != labels[worst]).all()
    heights = probabilities[worst, guess[worst]]
    assert (heights[:-1] >= heights[1:]).all()


def test_run_json_lists_what_is_not_searched(search, tmp_path, monkeypatch):
    real, skipped = run_module.resolve_missing_weights, [{"what": "backbone ResNet50", "why": "no connection"}]
    monkeypatch.setattr(
        run_module, "resolve_missing_weights", lambda space, settings: (real(space, settings)[0], skipped)
    )
    assert search(tmp_path, max_trials=1) == 0
    assert json.loads((tmp_path / "tiny" / "run.json").read_text())["skipped"] == skipped
    assert "Missing here: backbone ResNet50 (no connection)." in (tmp_path / "out.txt").read_text()
    monkeypatch.setattr(run_module, "resolve_missing_weights", real)
    with pytest.raises(UserError, match="other pretrained weights available") as caught:
        search(tmp_path, max_trials=1)
    assert caught.value.exit_code == 5
