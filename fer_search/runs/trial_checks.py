"""The doctor's checks of one trial: trial.json, design.json, epochs.csv, layers.json and the checkpoints."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fer_search.errors import UserError
from fer_search.runfolder.design_json import read_design_json, read_design_json_if_valid
from fer_search.runfolder.epochs import parse_epochs, rewrite_epochs
from fer_search.runfolder.json_files import read_json_if_valid, write_json
from fer_search.runfolder.objective import recorded_objective
from fer_search.runfolder.predictions import load_layers
from fer_search.runfolder.recovery import (
    cut_table,
    damaged_checkpoints,
    damaged_table,
    replace_table,
    rows_in_trial,
    set_aside,
    tables_agree,
)
from fer_search.runfolder.schema import (
    DESIGN_FILE,
    EPOCHS_FILE,
    LAYERS_FILE,
    MAXIMIZED_METRICS,
    MICRO_BATCHES_MESSAGE,
    TRIAL_DIGESTS,
    TRIAL_FILE,
    TRIAL_PREFIX,
)
from fer_search.runfolder.trial_files import read_trial_json, trial_digest
from fer_search.runs.problems import Problem


@dataclass(frozen=True)
class TrialContext:
    """A trial and what the rest of its run says of it.

    Args:
        run: Run folder.
        trial_id: Id of the trial.
        oracle: Content of oracle.json; empty if that is damaged.
        ended: Whether it ended.
        info: Content of run.json; None for stock Keras Tuner, or if that is damaged.
    """

    run: Path
    trial_id: str
    oracle: dict[str, Any]
    ended: bool
    info: dict[str, Any] | None

    @property
    def folder(self) -> Path:
        """Folder of the trial."""
        return self.run / f"{TRIAL_PREFIX}{self.trial_id}"

    @property
    def seed(self) -> int | None:
        """Seed of the run, if known."""
        return (self.info or {}).get("seed")

    @property
    def number(self) -> int | None:
        """Number of the trial, if its id is one."""
        return int(self.trial_id) if self.trial_id.isdecimal() else None


def check_trial(context: TrialContext) -> Iterator[Problem]:
    """Yield the problems of a trial."""
    file = context.folder / TRIAL_FILE
    try:
        digest = context.oracle.get(TRIAL_DIGESTS, {}).get(context.trial_id) if context.ended else None
        trial: dict[str, Any] | None = read_trial_json(file, digest)
        message = ""
    except UserError as error:
        trial, message = None, str(error).rpartition(";")[0] or str(error)
    yield from _check_table(context, trial)
    yield from _check_design(context, trial)
    if trial is None:
        yield _trial_problem(context, message)
    yield from _check_layers(context)
    for path, what in damaged_checkpoints(context.folder, context.seed, context.number):
        consequence = "" if context.ended else "; training resumes from the last valid checkpoint"
        yield Problem(f"{path} {what}{consequence}", partial(set_aside, path))


def _trial_problem(context: TrialContext, message: str) -> Problem:
    file, run = context.folder / TRIAL_FILE, context.run
    state = _rebuild_trial(context)
    if state is not None:
        return Problem(f"{message}; it can be rebuilt from {DESIGN_FILE} and {EPOCHS_FILE}", _replacer(file, state))
    is_last = context.oracle.get("start_order", [])[-1:] == [context.trial_id]
    if not context.ended and is_last and not os.path.lexists(file):
        return Problem(f"{message}; the trial can be proposed again", lambda: _rebuild_oracle(run))
    return Problem(f"{message}, and so is what it could be rebuilt from; restore it from a backup")


def _replacer(file: Path, content: dict[str, Any]) -> Callable[[], None]:
    def replace() -> None:
        set_aside(file)
        write_json(file, content)

    return replace


def _check_design(context: TrialContext, trial: dict[str, Any] | None) -> Iterator[Problem]:
    design = context.folder / DESIGN_FILE
    if not os.path.lexists(design):
        if context.ended and context.info is not None and (trial or {}).get("status") != "FAILED":
            yield Problem(f"{design} is missing; starting the run again writes it, given its space")
        return
    try:
        record = read_design_json(context.folder)
    except UserError as error:
        yield Problem(_design_text(str(error).rpartition(";")[0]), partial(set_aside, design))
        return
    values = (trial or {}).get("hyperparameters", {}).get("values")
    if trial is not None and record.get("values", values) != values:
        yield Problem(_design_text(f"{design} has other values than {TRIAL_FILE}"), partial(set_aside, design))


def _design_text(message: str) -> str:
    return f"{message}; once it is set aside, starting the run again writes it, given its space"


def _check_table(context: TrialContext, trial: dict[str, Any] | None) -> Iterator[Problem]:
    table = context.folder / EPOCHS_FILE
    recorded = rows_in_trial(trial)
    rebuild = partial(replace_table, table, recorded) if recorded else None
    remedy = f"it can be rebuilt from {TRIAL_FILE}" if recorded else "restore it from a backup"
    if not table.exists() or not table.stat().st_size:
        if (trial or {}).get("status") == "COMPLETED" and (table.exists() or context.info is not None):
            yield Problem(f"{table} is missing or empty; {remedy}", rebuild)
        return
    if (what := damaged_table(table)) is not None:
        if recorded:
            yield Problem(f"{table}{what}; {remedy}", rebuild)
        elif context.ended:
            yield Problem(
                f"{table}{what}; its rows from there on are lost, the others can be kept", partial(cut_table, table)
            )
        else:
            yield Problem(f"{table}{what}; these epochs are trained again", partial(cut_table, table))
        return
    parsed = parse_epochs(table)
    rows = parsed.rows()
    if recorded and not tables_agree(rows, recorded):
        yield Problem(f"{table} and {TRIAL_FILE} do not agree; {remedy}", rebuild)
    elif parsed.incomplete:
        yield Problem(f"{table}: its last line is incomplete, from a kill", partial(rewrite_epochs, table, rows))


def _check_layers(context: TrialContext) -> Iterator[Problem]:
    try:
        load_layers(context.run, context.trial_id)
    except UserError as error:
        file = context.folder / LAYERS_FILE
        yield Problem(str(error).rpartition(";")[0] + "; the report can do without it", partial(set_aside, file))


def _rebuild_trial(context: TrialContext) -> dict[str, Any] | None:
    """Return the content of a lost trial.json, from design.json, epochs.csv and oracle.json.

    None for a trial that ended before its last epoch: it failed or was stopped early, and only trial.json says why.
    """
    record = read_design_json_if_valid(context.folder)
    table = context.folder / EPOCHS_FILE
    rows = parse_epochs(table).rows() if table.exists() and damaged_table(table) is None else []
    space = context.oracle.get("hyperparameters", {}).get("space") or _space_of_another(context)
    if record is None or "values" not in record or space is None:
        return None
    if context.ended and (not rows or rows[-1]["epoch"] != record["epochs"]):
        return None
    state: dict[str, Any] = {
        "trial_id": context.trial_id,
        "metrics": {"metrics": {}},
        "score": None,
        "best_step": 0,
        "status": "RUNNING",
        "hyperparameters": {"space": space, "values": record["values"]},
        "message": None,
    }
    if not context.ended:
        return state
    if (micro_batches := record.get("micro_batches", 1)) > 1:
        state["message"] = MICRO_BATCHES_MESSAGE.format(micro_batches)
    metrics = {
        name: {
            "direction": "max" if any(part in name for part in MAXIMIZED_METRICS) else "min",
            "observations": [{"value": [row[name]], "step": int(row["epoch"])} for row in rows],
        }
        for name in rows[0]
        if name != "epoch"
    }
    objective = recorded_objective(context.info)
    best = objective.best(rows)
    state |= {"metrics": {"metrics": metrics}, "score": best[objective.name], "best_step": int(best["epoch"])}
    state["status"] = "COMPLETED"
    digest = context.oracle.get(TRIAL_DIGESTS, {}).get(context.trial_id)
    return state if digest in (None, trial_digest(state)) else None


def _space_of_another(context: TrialContext) -> list[Any] | None:
    """Return the choices that another trial records; each has all of them."""
    for file in sorted(context.run.glob(f"{TRIAL_PREFIX}*/{TRIAL_FILE}")):
        if (content := read_json_if_valid(file)) is not None and content["hyperparameters"]["space"]:
            return list(content["hyperparameters"]["space"])
    return None


def _rebuild_oracle(run: Path) -> None:
    from fer_search.search.proposing.replay import rebuild_oracle  # imports Keras Tuner, which takes seconds

    rebuild_oracle(run)
