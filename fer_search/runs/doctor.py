"""Checking a run folder, and mending it where nothing is lost by that."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_search.errors import UserError
from fer_search.files import PART, write_json, write_text
from fer_search.runfolder.epochs import COLUMNS, rewrite_epochs
from fer_search.runfolder.folder import LOCKED, RunFolder

HDF5 = b"\x89HDF\r\n\x1a\n"
MAXIMISED = ("accuracy", "recall")
OBJECTIVE = "val_accuracy"


@dataclass(frozen=True)
class Problem:
    """Something wrong with a run folder.

    Args:
        text: what, with the file's name, and what to do where it cannot be mended.
        mend: mends it; None where that would lose something.
    """

    text: str
    mend: Callable[[], None] | None = None


def examine(run: Path) -> list[Problem]:
    """Return what is wrong with a run folder.

    Raises:
        UserError: it is no run folder, or a run is writing to it now (exit code 4).
    """
    if not (run / "oracle.json").exists() and not (run / "run.json").exists():
        raise UserError(f"{run} is no run folder: it has neither run.json nor oracle.json")
    if RunFolder(run).in_use():
        raise UserError(f"{run} is in use by a fer-search run; ask again when that has ended", LOCKED)
    return list(_problems(run))


def mend(run: Path, problems: list[Problem]) -> list[str]:
    """Mend what can be mended, with the folder locked; return a line for each problem."""
    lines = []
    with RunFolder(run).lock():
        for problem in problems:
            if problem.mend is None:
                lines.append(f"not mended: {problem.text}")
                continue
            try:
                problem.mend()
                lines.append(f"mended: {problem.text}")
            except UserError as error:
                lines.append(f"not mended: {error}")
    return lines


def _problems(run: Path) -> Iterator[Problem]:
    yield from _leftovers(run)
    info, oracle = _read(run / "run.json", "format"), _read(run / "oracle.json", "hyperparameters")
    if info is None and ((run / "run.json").exists() or any(run.glob("trial_*/design.json"))):
        yield Problem(f"{run / 'run.json'} is missing or broken; restore it from a copy")
    if oracle is None:
        if any(run.glob("trial_*/trial.json")):
            text = f"{run / 'oracle.json'} is missing or broken; it can be made again from the trials"
            yield Problem(text, lambda: _rebuild_oracle(run))
        return
    ended = set(oracle.get("end_order", ()))
    for trial_id in oracle.get("start_order", ()):
        yield from _trial(run / f"trial_{trial_id}", trial_id, oracle, trial_id in ended)


def _leftovers(run: Path) -> Iterator[Problem]:
    for path in [*run.glob(f"{PART}*"), *run.glob(f"trial_*/{PART}*")]:
        yield Problem(f"{path} was being written when the run was killed; it is of no use", _remover(path))


def _trial(folder: Path, trial_id: str, oracle: dict[str, Any], ended: bool) -> Iterator[Problem]:
    file, table = folder / "trial.json", folder / "epochs.csv"
    trial = _read(file, "trial_id", "status", "hyperparameters")
    rows = yield from _table(table, trial)
    if _read(folder / "design.json", "design") is None and (ended or (folder / "design.json").exists()):
        text = f"{folder / 'design.json'} is missing or broken"
        yield Problem(f"{text}; restore it from a copy") if ended else Problem(text, _remover(folder / "design.json"))
    if trial is None:
        state = _rebuilt(folder, trial_id, oracle, ended, rows)
        text = f"{file} is missing or broken"
        if state is None:
            yield Problem(f"{text}, and what it was made from too; restore it from a copy")
        else:
            yield Problem(f"{text}; it can be made again from its table of epochs", lambda: write_json(file, state))
    for path in folder.glob("*.h5"):
        if not _whole_hdf5(path):
            redo = "" if ended else "; its epochs are trained again"
            yield Problem(f"{path} is no whole HDF5 file{redo}", _mover(path))


def _whole_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 and is as long as it says (version 0 of the format, which h5py writes)."""
    with path.open("rb") as file:
        head = file.read(48)
    if head[:8] != HDF5:
        return False
    return head[8:9] != b"\0" or int.from_bytes(head[40:48], "little") <= path.stat().st_size


def _table(table: Path, trial: dict[str, Any] | None) -> Generator[Problem, None, list[dict[str, float]]]:
    """Check epochs.csv; return its rows."""
    if not table.exists() and (trial or {}).get("status") != "COMPLETED":
        return []
    again = _rows_of(trial)
    restore = "it can be made again from trial.json" if again else "restore it from a copy"
    mend = (lambda: rewrite_epochs(table, again)) if again else None
    if not table.exists() or not table.stat().st_size:
        yield Problem(f"{table} is missing or empty; {restore}", mend)
        return again
    text = table.read_text(encoding="utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        yield Problem(f"{table}: a kill tore its last line", lambda: write_text(table, whole))
    lines = whole.splitlines()
    try:
        rows = [dict(zip(lines[0].split(","), map(float, line.split(",")), strict=True)) for line in lines[1:]]
        epochs = [int(row["epoch"]) for row in rows]
    except (ValueError, KeyError, IndexError) as error:
        yield Problem(f"{table} cannot be read ({error}); {restore}", mend)
        return again
    if epochs and epochs != list(range(epochs[0], epochs[0] + len(epochs))):
        yield Problem(
            f"{table}: its epochs are {', '.join(map(str, epochs))}, not one after the other; {restore}", mend
        )
    elif again and len(rows) < len(again):
        yield Problem(f"{table} has {len(rows)} of {len(again)} epochs; {restore}", mend)
        return again
    return rows


def _rows_of(trial: dict[str, Any] | None) -> list[dict[str, float]]:
    """Return the epochs that a completed trial's trial.json holds too; none where it lacks a column."""
    if trial is None or trial.get("status") != "COMPLETED":
        return []
    rows: dict[int, dict[str, float]] = {}
    for name, metric in trial["metrics"]["metrics"].items():
        for seen in metric["observations"]:
            rows.setdefault(int(seen["step"]), {"epoch": seen["step"]})[name] = seen["value"][0]
    whole = all(set(COLUMNS) <= set(row) for row in rows.values())
    return [rows[epoch] for epoch in sorted(rows)] if whole else []


def _rebuilt(
    folder: Path, trial_id: str, oracle: dict[str, Any], ended: bool, rows: list[dict[str, float]]
) -> dict[str, Any] | None:
    """Return what trial.json held, from design.json, epochs.csv and oracle.json.

    None of a trial that ended before its last epoch: it failed or ended early, and why is in trial.json alone.
    """
    record = _read(folder / "design.json")
    if record is None or "values" not in record or (ended and (not rows or rows[-1]["epoch"] != record["epochs"])):
        return None
    state: dict[str, Any] = {
        "trial_id": trial_id,
        "metrics": {"metrics": {}},
        "score": None,
        "best_step": 0,
        "status": "RUNNING",
    }
    state |= {
        "hyperparameters": {"space": oracle["hyperparameters"]["space"], "values": record["values"]},
        "message": None,
    }
    if not ended:
        return state
    names = [name for name in rows[0] if name != "epoch"]
    metrics = {
        name: {
            "direction": "max" if any(word in name for word in MAXIMISED) else "min",
            "observations": [{"value": [row[name]], "step": int(row["epoch"])} for row in rows],
        }
        for name in names
    }
    best = max(rows, key=lambda row: row[OBJECTIVE])
    state |= {"metrics": {"metrics": metrics}, "score": best[OBJECTIVE], "best_step": int(best["epoch"])}
    return state | {"status": "COMPLETED"}


def _read(file: Path, *needed: str) -> dict[str, Any] | None:
    """Return a JSON file's object; None where it is missing, broken or lacks what it needs."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and all(name in content for name in needed) else None


def _rebuild_oracle(run: Path) -> None:
    from fer_search.search.proposing.replay import rebuild_oracle  # Keras Tuner takes seconds to import

    rebuild_oracle(run)


def _remover(path: Path) -> Callable[[], None]:
    return lambda: path.unlink(missing_ok=True)


def _mover(path: Path) -> Callable[[], None]:
    return lambda: _move(path)


def _move(path: Path) -> None:
    path.rename(path.with_name(f"broken-{path.name.replace('.h5', '.hdf5')}"))
