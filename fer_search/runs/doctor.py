"""Checks a run folder for damage, and repairs what can be repaired without losing data."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.files import TEMP_PREFIX, write_json, write_text
from fer_search.runfolder.epochs import METRIC_COLUMNS, rewrite_epochs
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.json_files import read_json_if_valid
from fer_search.runfolder.objective import recorded_objective
from fer_search.runfolder.schema import DESIGN_FILE, EPOCHS_FILE, ORACLE_FILE, RUN_FILE, TRIAL_FILE, TRIAL_PREFIX

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAXIMIZED_METRICS = ("accuracy", "recall", "f1")  # parts of the names of metrics of which more is better


@dataclass(frozen=True)
class Problem:
    """A problem of a run folder.

    Args:
        text: Description that names the file, and what to do if it cannot be repaired.
        repair: Repairs it; None if that would lose data.
    """

    text: str
    repair: Callable[[], None] | None = None


def find_problems(run: Path) -> list[Problem]:
    """Return the problems of a run folder.

    Raises:
        UserError: It is no run folder, or a run is writing to it now (exit code 4).
    """
    if not (run / ORACLE_FILE).exists() and not (run / RUN_FILE).exists():
        raise UserError(f"{run} is not a run folder: it has neither {RUN_FILE} nor {ORACLE_FILE}")
    if RunFolder(run).in_use():
        raise UserError(f"{run} is in use by a fer-search run; check it again when that has ended", EXIT_RUN_FOLDER)
    return list(_check_run(run))


def repair(run: Path, problems: list[Problem]) -> list[str]:
    """Repair what can be repaired, holding the folder's lock; return a line for each problem."""
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
    return lines


def _check_run(run: Path) -> Iterator[Problem]:
    yield from _check_leftovers(run)
    folder = RunFolder(run)
    info = read_json_if_valid(run / RUN_FILE, "format")
    oracle = read_json_if_valid(run / ORACLE_FILE, "hyperparameters")
    if info is None and ((run / RUN_FILE).exists() or folder.design_files()):
        yield Problem(f"{run / RUN_FILE} is missing or damaged; restore it from a backup")
    if oracle is None:
        if folder.trial_files():
            text = f"{run / ORACLE_FILE} is missing or damaged; it can be rebuilt from the trials"
            yield Problem(text, lambda: _rebuild_oracle(run))
        return
    ended = set(oracle.get("end_order", ()))
    for trial_id in oracle.get("start_order", ()):
        yield from _check_trial(folder.trial_path(trial_id), trial_id, oracle, trial_id in ended)


def _check_leftovers(run: Path) -> Iterator[Problem]:
    for path in [*run.glob(f"{TEMP_PREFIX}*"), *run.glob(f"{TRIAL_PREFIX}*/{TEMP_PREFIX}*")]:
        yield Problem(f"{path} was being written when the run was killed; it can be deleted", _delete(path))


def _check_trial(folder: Path, trial_id: str, oracle: dict[str, Any], ended: bool) -> Iterator[Problem]:
    file, table, design = folder / TRIAL_FILE, folder / EPOCHS_FILE, folder / DESIGN_FILE
    trial = read_json_if_valid(file, "trial_id", "status", "hyperparameters")
    rows = yield from _check_epochs(table, trial)
    if read_json_if_valid(design, "design") is None and (ended or design.exists()):
        text = f"{design} is missing or damaged"
        yield Problem(f"{text}; restore it from a backup") if ended else Problem(text, _delete(design))
    if trial is None:
        state = _rebuild_trial(folder, trial_id, oracle, ended, rows)
        text = f"{file} is missing or damaged"
        if state is None:
            yield Problem(f"{text}, and so is what it could be rebuilt from; restore it from a backup")
        else:
            yield Problem(f"{text}; it can be rebuilt from {EPOCHS_FILE}", lambda: write_json(file, state))
    for path in folder.glob("*.h5"):
        if not _is_complete_hdf5(path):
            consequence = "" if ended else "; its epochs will be trained again"
            yield Problem(f"{path} is no complete HDF5 file{consequence}", _move_aside(path))


def _is_complete_hdf5(path: Path) -> bool:
    """Return whether a file has an HDF5 header and the length stated there (superblock version 0, as h5py writes)."""
    with path.open("rb") as file:
        header = file.read(48)
    if header[:8] != HDF5_SIGNATURE:
        return False
    return header[8:9] != b"\0" or int.from_bytes(header[40:48], "little") <= path.stat().st_size


def _check_epochs(table: Path, trial: dict[str, Any] | None) -> Generator[Problem, None, list[dict[str, float]]]:
    """Check epochs.csv; return its rows."""
    if not table.exists() and (trial or {}).get("status") != "COMPLETED":
        return []
    recorded = _rows_in_trial(trial)
    remedy = f"it can be rebuilt from {TRIAL_FILE}" if recorded else "restore it from a backup"
    rebuild = (lambda: rewrite_epochs(table, recorded)) if recorded else None
    if not table.exists() or not table.stat().st_size:
        yield Problem(f"{table} is missing or empty; {remedy}", rebuild)
        return recorded
    text = table.read_text(encoding="utf-8", errors="replace")
    complete = text[: text.rfind("\n") + 1]
    if complete != text:
        yield Problem(f"{table}: its last line is incomplete, from a kill", lambda: write_text(table, complete))
    lines = complete.splitlines()
    try:
        rows = [dict(zip(lines[0].split(","), map(float, line.split(",")), strict=True)) for line in lines[1:]]
        epochs = [int(row["epoch"]) for row in rows]
    except (ValueError, KeyError, IndexError) as error:
        yield Problem(f"{table} cannot be read ({error}); {remedy}", rebuild)
        return recorded
    if epochs and epochs != list(range(epochs[0], epochs[0] + len(epochs))):
        yield Problem(f"{table}: its epochs are {', '.join(map(str, epochs))}, not consecutive; {remedy}", rebuild)
    elif recorded and len(rows) < len(recorded):
        yield Problem(f"{table} has {len(rows)} of {len(recorded)} epochs; {remedy}", rebuild)
        return recorded
    return rows


def _rows_in_trial(trial: dict[str, Any] | None) -> list[dict[str, float]]:
    """Return the epochs recorded in a completed trial's trial.json; empty if a column is missing."""
    if trial is None or trial.get("status") != "COMPLETED":
        return []
    rows: dict[int, dict[str, float]] = {}
    for name, metric in trial["metrics"]["metrics"].items():
        for observation in metric["observations"]:
            step = int(observation["step"])
            rows.setdefault(step, {"epoch": step})[name] = observation["value"][0]
    complete = all(set(METRIC_COLUMNS) <= set(row) for row in rows.values())
    return [rows[epoch] for epoch in sorted(rows)] if complete else []


def _rebuild_trial(
    folder: Path, trial_id: str, oracle: dict[str, Any], ended: bool, rows: list[dict[str, float]]
) -> dict[str, Any] | None:
    """Return the content of a lost trial.json, from design.json, epochs.csv and oracle.json.

    None for a trial that ended before its last epoch: it failed or was stopped early, and only trial.json says why.
    """
    record = read_json_if_valid(folder / DESIGN_FILE)
    if record is None or "values" not in record or (ended and (not rows or rows[-1]["epoch"] != record["epochs"])):
        return None
    state: dict[str, Any] = {
        "trial_id": trial_id,
        "metrics": {"metrics": {}},
        "score": None,
        "best_step": 0,
        "status": "RUNNING",
        "hyperparameters": {"space": oracle["hyperparameters"]["space"], "values": record["values"]},
        "message": None,
    }
    if not ended:
        return state
    metrics = {
        name: {
            "direction": "max" if any(part in name for part in MAXIMIZED_METRICS) else "min",
            "observations": [{"value": [row[name]], "step": int(row["epoch"])} for row in rows],
        }
        for name in rows[0]
        if name != "epoch"
    }
    objective = recorded_objective(read_json_if_valid(folder.parent / RUN_FILE))
    best = objective.best(rows)
    state |= {"metrics": {"metrics": metrics}, "score": best[objective.name], "best_step": int(best["epoch"])}
    return state | {"status": "COMPLETED"}


def _rebuild_oracle(run: Path) -> None:
    from fer_search.search.proposing.replay import rebuild_oracle  # imports Keras Tuner, which takes seconds

    rebuild_oracle(run)


def _delete(path: Path) -> Callable[[], None]:
    return lambda: path.unlink(missing_ok=True)


def _move_aside(path: Path) -> Callable[[], None]:
    def move() -> None:
        path.rename(path.with_name(f"broken-{path.name.replace('.h5', '.hdf5')}"))

    return move
