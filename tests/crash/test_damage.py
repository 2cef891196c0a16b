"""Every kind of file, damaged in every way: the run ends with the same numbers, or reports the damage in one line.

Silently different numbers, a traceback or an "unexpected error" are failures. So is damage that the doctor does not
report, unless it is harmless (live.json, a file kept only for the report).
"""

import contextlib
import shutil

import pytest

from fer_search.errors import UserError
from fer_search.report import to_markdown
from fer_search.runfolder.json_files import read_json, with_checksum
from fer_search.runs.doctor import find_problems, repair
from fer_search.search.executors import job as job_module

GIVEN = {"max_trials": 4, "max_epochs": 3}
FINISHED = {
    "run.json": "run.json",
    "oracle.json": "oracle.json",
    "trial.json": "trial_0001/trial.json",
    "design.json": "trial_0001/design.json",
    "epochs.csv": "trial_0001/epochs.csv",
    "best weights": "trial_{best}/best.weights.h5",
}
RUNNING = {
    "run.json": "run.json",
    "oracle.json": "oracle.json",
    "running trial.json": "trial_0002/trial.json",
    "running design.json": "trial_0002/design.json",
    "running epochs.csv": "trial_0002/epochs.csv",
    "running checkpoint": "trial_0002/epoch_0002.weights.h5",
    "running best weights": "trial_0002/best.weights.h5",
    "ended trial.json": "trial_0000/trial.json",
    "ended epochs.csv": "trial_0000/epochs.csv",
    "crash marker": "trial_0002/training.json",
}


def changed_value(content):
    """Change a digit in the middle, as an editing mistake would."""
    digits = [k for k, byte in enumerate(content) if 0x30 <= byte <= 0x39]
    if not digits:
        return content + b"\x01"
    position = digits[len(digits) // 2]
    return content[:position] + bytes([0x30 + (content[position] - 0x30 + 1) % 10]) + content[position + 1 :]


HARMS = {
    "removed": None,
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "all zeros": lambda content: bytes(len(content)),
    "zeros at the end": lambda content: content[: -min(64, len(content) // 3)] + bytes(min(64, len(content) // 3)),
    "zeros after the end": lambda content: content + bytes(64),
    "garbage": lambda content: b"\x93\xfa" * (len(content) // 2),
    "a changed value": changed_value,
    "another line": lambda content: content + b"and more\n",
    "UTF-16": lambda content: content.decode("latin-1").encode("utf-16"),
    "a byte order mark": lambda content: b"\xef\xbb\xbf" + content,
    "CRLF": lambda content: content.replace(b"\n", b"\r\n"),
    "an empty list": lambda content: b"[]\n",
    "an empty object": lambda content: b"{}\n",
}


def finish(search, folder):
    """Run the search, repairing up to twice after an error; return the errors."""
    errors: list[UserError] = []
    for attempt in range(3):
        try:
            assert search(folder, **GIVEN) == 0
            return errors
        except UserError as error:
            errors.append(error)
            if attempt < 2:
                repair(folder / "tiny", find_problems(folder / "tiny"))
    return errors


def check(search, state, folder, expected, damaged, harm=""):
    """Check that the search ends in the same state or names the damaged file; return whether the state is the same."""
    errors = finish(search, folder)
    assert all(error.exit_code == 4 and "\n" not in str(error) for error in errors)
    try:
        same = state(folder / "tiny") == expected
    except (OSError, UserError):
        same = False
    output = (folder / "out.txt").read_text()
    named = damaged.name in "".join(map(str, errors)) or damaged.name in output
    assert same or named, (damaged.name, harm, errors)
    return same


@pytest.mark.parametrize("kind", FINISHED)
def test_damage_to_a_finished_run(search, state, tmp_path, kind):
    undamaged = tmp_path / "uninterrupted"
    assert search(undamaged, **GIVEN) == 0
    expected = state(undamaged / "tiny")
    best = max(expected[0], key=lambda name: expected[0][name][0]["score"]).removeprefix("trial_")
    for harm, change in HARMS.items():
        if kind == "best weights" and harm == "removed":
            continue  # which weights exist is not recorded: --max-disk removes them too
        folder = tmp_path / "damaged"
        shutil.copytree(undamaged, folder)
        damaged = folder / "tiny" / FINISHED[kind].format(best=best)
        before = damaged.read_bytes()
        damaged.unlink() if change is None else damaged.write_bytes(change(before))
        harmless = harm in ("CRLF", "a byte order mark") and kind != "best weights"
        if not harmless:
            assert find_problems(folder / "tiny"), f"{kind}, {harm}: not detected by the doctor"
        with contextlib.suppress(UserError):
            to_markdown(folder / "tiny")
        same = check(search, state, folder, expected, damaged, harm)
        assert same or kind in ("run.json", "best weights"), f"{kind}, {harm}: not recomputed"
        shutil.rmtree(folder)


@pytest.fixture
def interrupted(search, tmp_path, monkeypatch):
    """A run that was killed in its third trial, after two epochs."""

    class Killed(BaseException):
        pass

    real = job_module.train

    def train(trial, data, hooks):
        if trial.number == 2:
            ended = hooks.on_epoch_end

            def die(row):
                ended(row)
                if row["epoch"] == 2:
                    raise Killed

            hooks.on_epoch_end = die
        return real(trial, data, hooks)

    with monkeypatch.context() as patch:
        patch.setattr(job_module, "train", train)
        with pytest.raises(Killed):
            search(tmp_path / "interrupted", **GIVEN)
    return tmp_path / "interrupted"


@pytest.mark.parametrize("kind", RUNNING)
def test_damage_to_an_interrupted_run(search, state, tmp_path, interrupted, kind):
    assert search(tmp_path / "uninterrupted", **GIVEN) == 0
    expected = state(tmp_path / "uninterrupted" / "tiny")
    for harm, change in HARMS.items():
        folder = tmp_path / "damaged"
        shutil.copytree(interrupted, folder)
        damaged = folder / "tiny" / RUNNING[kind]
        before = damaged.read_bytes()
        damaged.unlink() if change is None else damaged.write_bytes(change(before))
        same = check(search, state, folder, expected, damaged, harm)
        assert same or kind == "run.json", f"{kind}, {harm}: not recomputed"
        shutil.rmtree(folder)


def test_files_of_another_trial_are_not_accepted(search, state, tmp_path, interrupted):
    assert search(tmp_path / "uninterrupted", **GIVEN) == 0
    expected = state(tmp_path / "uninterrupted" / "tiny")
    finished = tmp_path / "uninterrupted" / "tiny"
    for name, source in {
        "epoch_0002.weights.h5": finished / "trial_0003" / "best.weights.h5",
        "best.weights.h5": finished / "trial_0003" / "best.weights.h5",
        "epochs.csv": finished / "trial_0001" / "epochs.csv",
        "design.json": finished / "trial_0001" / "design.json",
        "trial.json": finished / "trial_0001" / "trial.json",
    }.items():
        if not source.exists():
            source = next(finished.glob("trial_*/best.weights.h5"))
        folder = tmp_path / "swapped"
        shutil.copytree(interrupted, folder)
        shutil.copyfile(source, folder / "tiny" / "trial_0002" / name)
        assert check(search, state, folder, expected, folder / "tiny" / "trial_0002" / name), name
        shutil.rmtree(folder)


def test_a_forged_result_with_a_valid_checksum_is_detected(search, state, tmp_path):
    assert search(tmp_path / "uninterrupted", **GIVEN) == 0
    expected = state(tmp_path / "uninterrupted" / "tiny")
    file = tmp_path / "uninterrupted" / "tiny" / "trial_0001" / "trial.json"
    file.write_text(with_checksum(read_json(file) | {"score": 0.999}))
    with pytest.raises(UserError, match=r"trial_0001/trial\.json is not the result in oracle\.json"):
        search(tmp_path / "uninterrupted", **GIVEN)
    assert any("trial_0001" in problem.text for problem in find_problems(tmp_path / "uninterrupted" / "tiny"))
    repair(tmp_path / "uninterrupted" / "tiny", find_problems(tmp_path / "uninterrupted" / "tiny"))
    assert search(tmp_path / "uninterrupted", **GIVEN) == 0
    assert state(tmp_path / "uninterrupted" / "tiny") == expected


def test_a_running_trial_without_a_folder_is_proposed_again(search, state, tmp_path, interrupted):
    assert search(tmp_path / "uninterrupted", **GIVEN) == 0
    shutil.rmtree(interrupted / "tiny" / "trial_0002")
    assert finish(search, interrupted)
    assert state(interrupted / "tiny") == state(tmp_path / "uninterrupted" / "tiny")


def test_folders_of_older_versions_without_checksums_resume(search, state, tmp_path, interrupted):
    """All checksums are removed, as if an older version had written the folder."""
    assert search(tmp_path / "uninterrupted", **GIVEN) == 0
    import json

    from fer_search.runfolder.seal import SEAL_BYTES

    for file in interrupted.rglob("*.json"):
        content = json.loads(file.read_text())
        content.pop("checksum", None)
        content.pop("trial_digests", None)
        file.write_text(json.dumps(content))
    for file in interrupted.rglob("epochs.csv"):
        lines = [line.rpartition(",")[0] for line in file.read_text().splitlines()]
        file.write_text("".join(f"{line}\n" for line in lines))
    for file in {path.stat().st_ino: path for path in interrupted.rglob("*.h5")}.values():  # some are hard-linked twice
        file.write_bytes(file.read_bytes()[:-SEAL_BYTES])
    assert find_problems(interrupted / "tiny") == []
    assert search(interrupted, **GIVEN) == 0
    trials, expected = state(interrupted / "tiny")[0], state(tmp_path / "uninterrupted" / "tiny")[0]
    assert {name: trial[0] for name, trial in trials.items()} == {name: t[0] for name, t in expected.items()}
    assert {name: trial[1] for name, trial in trials.items()} == {name: t[1] for name, t in expected.items()}
