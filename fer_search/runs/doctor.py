"""Checks a run folder for damage, and repairs what can be repaired without losing data.

Nothing in the folder is executed, and nothing outside of it is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.files import TEMP_PREFIX
from fer_search.runfolder.confirmation import (
    model_problem,
    read_confirm_json,
    read_test_predictions,
    recorded_dirs,
)
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.guard import unsafe_entries
from fer_search.runfolder.json_files import read_json, read_json_if_valid
from fer_search.runfolder.predictions import load_predictions
from fer_search.runfolder.schema import MODEL_FILE, ORACLE_FILE, RUN_FILE, TRIAL_PREFIX
from fer_search.runs.problems import Problem
from fer_search.runs.trial_checks import TrialContext, check_trial


def find_problems(run: Path) -> list[Problem]:
    """Return the problems of a run folder.

    Raises:
        UserError: It is no run folder, or a run is writing to it now (exit code 4).
    """
    if not (run / ORACLE_FILE).exists() and not (run / RUN_FILE).exists():
        raise UserError(f"{run} is not a run folder: it has neither {RUN_FILE} nor {ORACLE_FILE}")
    if unsafe := [Problem(text) for text in unsafe_entries(run)]:
        return unsafe  # nothing else is read
    if RunFolder(run).in_use():
        raise UserError(f"{run} is in use by a fer-search run; check it again when that has ended", EXIT_RUN_FOLDER)
    return list(_check_run(run))


def repair(run: Path, problems: list[Problem]) -> list[str]:
    """Repair what can be repaired, holding the folder's lock; return a line for each problem."""
    if all(problem.repair is None for problem in problems):
        return [f"not repaired: {problem.text}" for problem in problems]
    lines = []
    with RunFolder(run).lock():
        for problem in problems:
            if problem.repair is None:
                lines.append(f"not repaired: {problem.text}")
                continue
            try:
                problem.repair()
                lines.append(f"repaired: {problem.text}")
            except UserError as error:
                lines.append(f"not repaired: {error}")
            except OSError as error:
                lines.append(f"not repaired: {problem.text} ({error})")
    return lines


def _check_run(run: Path) -> Iterator[Problem]:
    yield from _check_leftovers(run)
    folder = RunFolder(run)
    info = None
    if (run / RUN_FILE).exists() or folder.design_files():
        problem, info = _read(run / RUN_FILE)
        if problem:
            yield Problem(problem)
    yield from _check_trials(folder, info)
    yield from _check_predictions(run)
    yield from _check_confirmation(run)


def _check_trials(folder: RunFolder, info: dict[str, Any] | None) -> Iterator[Problem]:
    run = folder.path
    problem, oracle = _read(run / ORACLE_FILE)
    if problem or oracle is None:
        if folder.trial_files():
            ended: set[str] = set()
            for file in folder.trial_files():
                content = read_json_if_valid(file) or {}
                if content.get("status") in ("COMPLETED", "FAILED"):
                    ended.add(file.parent.name.removeprefix(TRIAL_PREFIX))
            for file in folder.trial_files():
                trial_id = file.parent.name.removeprefix(TRIAL_PREFIX)
                yield from check_trial(TrialContext(run, trial_id, {}, trial_id in ended, info))
            # last, because it is rebuilt from the trials
            yield Problem(f"{_before_hint(problem)}; it can be rebuilt from the trials", lambda: _rebuild_oracle(run))
        return
    ended = set(oracle.get("end_order", ()))
    for trial_id in oracle.get("start_order", ()):
        yield from check_trial(TrialContext(run, trial_id, oracle, trial_id in ended, info))


def _check_leftovers(run: Path) -> Iterator[Problem]:
    for path in [*run.glob(f"{TEMP_PREFIX}*"), *run.glob(f"{TRIAL_PREFIX}*/{TEMP_PREFIX}*")]:
        text = f"{path} was being written when the run was killed; it can be deleted"
        yield Problem(text, lambda path=path: path.unlink(missing_ok=True))  # type: ignore[misc]


def _check_predictions(run: Path) -> Iterator[Problem]:
    try:
        load_predictions(run)
    except UserError as error:
        yield Problem(f"{error}; the next start of the run makes it again once it is gone")


def _check_confirmation(run: Path) -> Iterator[Problem]:
    try:
        record = read_confirm_json(run)
    except UserError as error:
        yield Problem(str(error))
        return
    if record is None:
        return
    for folder, tests in recorded_dirs(run, record):
        again = f"fer-search confirm {run}, with the same options, trains it again"
        if tests and read_test_predictions(folder, None) is None:
            yield Problem(f"{folder}: the predictions are missing or damaged; {again}")
        if what := model_problem(folder / MODEL_FILE):
            yield Problem(f"{folder / MODEL_FILE} is {what}; {again}")


def _read(file: Path) -> tuple[str, dict[str, Any] | None]:
    """Return what is wrong with a JSON file ("" for nothing), and its content if that is valid."""
    try:
        return "", read_json(file)
    except UserError as error:
        return str(error), None


def _before_hint(message: str) -> str:
    """Return an error's message without its last part, which says what the user can do."""
    return message.rpartition(";")[0] or message


def _rebuild_oracle(run: Path) -> None:
    from fer_search.search.proposing.replay import rebuild_oracle  # imports Keras Tuner, which takes seconds

    rebuild_oracle(run)
