"""Designs of a run's queue (``runfolder.queue``): added by hand, or trials of another run that still fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_tuner import HyperParameters
from keras_tuner.engine.trial import Trial

from fer_search.choicechecks import ChoiceError
from fer_search.choices import check_value, fill_defaults, find_choice
from fer_search.errors import UserError
from fer_search.runfolder.design_json import read_design_json_if_valid, write_design_json
from fer_search.runfolder.epochs import Row, read_epochs, rewrite_epochs
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.guard import check_contained
from fer_search.runfolder.queue import QueueEntry, hold_queue, new_entry, read_queue, write_queue
from fer_search.runfolder.schema import EPOCHS_FILE, TRIAL_PREFIX
from fer_search.runfolder.trial_files import TrialRecord, read_trial_records
from fer_search.search.proposing.safe_oracle import SafeOracle
from fer_search.tuner_entries import without_tuner_entries

# Fields of the identity that must agree for results of one run to count in another.
SAME = (
    *("data", "--protocol", "--validation", "--drop-duplicates", "--limit-train", "--width", "--batch-size"),
    *("--objective", "--max-epochs", "--equal-time"),
)


def adopt_queued(folder: RunFolder, oracle: SafeOracle) -> Trial | None:
    """Begin the trial of the next entry of the queue; None if none waits.

    The trial's id is written to the queue first: an entry whose trial does not exist waits still.
    """
    if not read_queue(folder.path):
        return None
    with hold_queue(folder.path):
        entries = read_queue(folder.path)
        entry = next((entry for entry in entries if entry.get("trial") not in oracle.trials), None)
        if entry is None:
            return None
        entry["trial"] = f"{len(oracle.trials):04d}"
        write_queue(folder.path, entries)
    return oracle.adopt(with_values(oracle.get_space(), entry["values"]))


def with_values(space: HyperParameters, values: Mapping[str, Any]) -> HyperParameters:
    """Return all choices with some values and defaults otherwise.

    Raises:
        UserError: A choice does not exist or cannot have its value, or is inactive.
    """
    hp = space.copy()
    for name, value in values.items():
        try:
            check_value(find_choice(hp, name), value)
        except ChoiceError as error:
            raise UserError(str(error)) from error
    hp.values = dict(values)
    fill_defaults(hp)
    if off := [name for name in values if name not in hp.values]:
        raise UserError(f"{off[0]!r} is inactive with the other values; leave it out")
    return hp


def queued_count(folder: RunFolder, oracle: SafeOracle) -> int:
    """Return the number of trials that came from the queue."""
    return sum(entry.get("trial") in oracle.trials for entry in read_queue(folder.path))


def imported_rows(folder: RunFolder, trial_id: str) -> list[Row] | None:
    """Return the epochs of a trial that was taken from another run, and write its files; None for other trials."""
    entry = next((e for e in read_queue(folder.path) if e.get("trial") == trial_id and "rows" in e), None)
    if entry is None:
        return None
    path = folder.trial_dir(trial_id)
    write_design_json(path, {**entry["record"], "imported": entry["source"]})
    rewrite_epochs(path / EPOCHS_FILE, entry["rows"])
    return entry["rows"]


def read_trials_to_take(
    other: Path, space: HyperParameters, identity: Mapping[str, Any]
) -> tuple[list[QueueEntry], int]:
    """Return the completed trials of another run that fit a space, for a run's queue.

    Args:
        other: Folder of the other run.
        space: Choices of the new run's space.
        identity: The new run's identity.

    Returns:
        The entries, and the number of completed trials that do not fit.

    Raises:
        UserError: The other folder is no run, was searched on something else, or one of its files is a link.
    """
    check_contained(other)
    info = RunFolder(other).read_run_json()
    if info is None:
        raise UserError(f"--from {other}: not a run folder of fer-search (no run.json)")
    from fer_search.runfolder.identity import DEFAULT_IDENTITY

    recorded = DEFAULT_IDENTITY | info["identity"]
    own_split = identity.get("--protocol") == "report" or identity.get("--validation") == "own"
    names = SAME if own_split else (*SAME, "--seed")  # which draws the validation images
    if differing := [name for name in names if recorded.get(name) != identity.get(name)]:
        changes = "; ".join(f"{name} {recorded.get(name)} there, {identity.get(name)} here" for name in differing)
        raise UserError(f"--from {other}: its results cannot be compared with this run's: {changes}")
    entries: list[QueueEntry] = []
    unfit = 0
    full = int(info["tuner"]["max_epochs"])
    for record in read_trial_records(other):
        if record.status != "COMPLETED":
            continue
        values = without_tuner_entries(record.values)
        rows = _all_rows(other, record)
        design = read_design_json_if_valid(RunFolder(other).trial_path(record.trial))
        try:
            hp = with_values(space, values)
        except UserError:
            unfit += 1
            continue
        if design is None or not rows or int(rows[-1]["epoch"]) < design.get("full_epochs", full):
            continue  # a lower rung, or stopped early: not comparable with complete trials
        source = str(other / f"{TRIAL_PREFIX}{record.trial}")
        record_json = {**design, "name": None, "values": hp.values}
        entries.append(new_entry(dict(hp.values), rows=rows, record=record_json, source=source))
    return entries, unfit


def _all_rows(run: Path, record: TrialRecord) -> list[Row]:
    """Return the epochs of a trial and of the trials that it continues."""
    before: list[Row] = []
    if record.parent is not None:
        parents = {other.trial: other for other in read_trial_records(run)}
        before = _all_rows(run, parents[record.parent]) if record.parent in parents else []
    return before + read_epochs(record.epochs_file)


def waiting(folder: RunFolder, oracle: SafeOracle) -> list[QueueEntry]:
    """Return the entries that have not become a trial yet."""
    return [entry for entry in read_queue(folder.path) if entry.get("trial") not in oracle.trials]
