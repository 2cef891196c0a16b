"""A run folder -> learning curves."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fer_search.errors import UserError
from fer_search.runfolder.epochs import read_epoch_lines
from fer_search.runfolder.json_files import repair_hint
from fer_search.runfolder.trial_files import TrialRecord, read_trial_records
from fer_search.tuner_entries import INITIAL_EPOCH

COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")  # always present, even if empty


def load_epochs(run: str | Path) -> pd.DataFrame:
    """Return every trial's learning curve, one row a trial and epoch.

    A trial that Hyperband promoted has its ancestors' rows before its own, with ``inherited`` True, so that its curve
    starts at epoch 1; select ``~inherited`` to count each epoch once. An incomplete last line is ignored.

    Args:
        run: the run folder. For a stock Keras Tuner project, the metrics that it recorded per epoch, if any.

    Returns:
        Columns ``trial`` (its id, str), ``epoch`` (int, 1 is the first), ``inherited`` (bool), ``loss``, ``accuracy``,
        ``val_loss``, ``val_accuracy``, ``learning_rate``, ``seconds`` (of the epoch), and all other columns of
        epochs.csv: ``clean_val_loss``, ``clean_val_accuracy``, ``recall_angry`` and so on. Accuracies and recalls are
        from 0 to 1. With --equal-time also ``budget`` (int): the number of epochs of the space's default design that
        take as long as those of the trial up to this one.

    Raises:
        UserError: a file is broken; the message names it.
    """
    return read_curves(read_trial_records(Path(run)))


def read_curves(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """Return the table of ``load_epochs`` from the trials' records."""
    parents = {record.trial: record.parent for record in records}
    return chain(_own_epochs(records), parents)


def chain(own: pd.DataFrame, parents: Mapping[str, str | None]) -> pd.DataFrame:
    """Put the rows of the trials that a trial was promoted from before its own.

    Args:
        own: the epochs that each trial trained itself: columns ``trial`` and ``epoch``, and any others.
        parents: trial -> the trial that it was promoted from, if any.

    Returns:
        The same columns and ``inherited`` (bool), by trial in the order of ``parents``, then by epoch; of an ancestor
        only the epochs before the trial's own first one.
    """
    rows = {trial: np.asarray(at) for trial, at in own.groupby("trial", sort=False).indices.items()}
    numbers = own["epoch"].to_numpy()
    taken: list[np.ndarray] = []
    owners: list[str] = []
    for trial in parents:
        parts, first, seen = [], np.inf, {trial}
        ancestor: str | None = trial
        while ancestor is not None:
            at = rows.get(ancestor, np.array([], int))
            at = at[numbers[at] < first]
            if len(at):
                parts.append(at[np.argsort(numbers[at], kind="stable")])
                first = numbers[at].min()
            ancestor = parents.get(ancestor)
            if ancestor in seen:  # a broken folder must not hang the report
                break
            seen.add(str(ancestor))
        taken += parts[::-1]
        owners += [trial] * sum(map(len, parts))
    curves = own.iloc[np.concatenate(taken) if taken else []].reset_index(drop=True)
    curves["inherited"] = curves["trial"].to_numpy() != np.array(owners, object) if len(curves) else False
    curves["trial"] = pd.Series(owners, dtype="str")
    curves = curves.drop_duplicates(["trial", "epoch"], keep="last", ignore_index=True)
    first_columns = ["trial", "epoch", "inherited"]
    return curves[[*first_columns, *(c for c in curves.columns if c not in first_columns)]]


def _own_epochs(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """Return the epochs that each trial trained itself; files with the same header are parsed at once."""
    texts: dict[str, list[tuple[TrialRecord, str, int]]] = {}
    stock = []
    for record in records:
        if not record.epochs_file.exists():
            stock.append(_observations(record))
            continue
        header, lines = read_epoch_lines(record.epochs_file)
        texts.setdefault(header, []).append((record, "".join(f"{line}\n" for line in lines), len(lines)))
    parts = [_parse(header, group) for header, group in texts.items()] + [table for table in stock if len(table)]
    empty = pd.DataFrame({"trial": pd.Series(dtype="str"), "epoch": pd.Series(dtype=int)})
    table = pd.concat(parts, ignore_index=True) if parts else empty
    if any("budget" in record.design for record in records):
        table["budget"] = _budgets(table, records)
    return table.assign(**{name: np.nan for name in COLUMNS if name not in table})


def _budgets(own: pd.DataFrame, records: Sequence[TrialRecord]) -> np.ndarray:
    """Return each epoch in terms of the tuner's budget, int (n,): a trial's last epoch is its budget."""
    budgets, epochs = own["epoch"].to_numpy(int, copy=True), own["epoch"].to_numpy(int)
    rows = own.groupby("trial", sort=False).indices
    for record in records:
        if "budget" not in record.design or record.trial not in rows:
            continue
        at = rows[record.trial]
        before = int(epochs[at].min()) - 1
        start = int(record.values.get(INITIAL_EPOCH) or 0)
        per_epoch = (record.design["budget"] - start) / max(record.design["epochs"] - before, 1)
        budgets[at] = start + np.ceil((epochs[at] - before) * per_epoch - 1e-9).astype(int)
    return budgets


def _parse(header: str, group: Sequence[tuple[TrialRecord, str, int]]) -> pd.DataFrame:
    try:
        table = pd.read_csv(io.StringIO(header + "\n" + "".join(body for _, body, _ in group)))
        trials = np.repeat([record.trial for record, _, _ in group], [lines for _, _, lines in group])
        columns = {name: table[name].astype(int if name == "epoch" else float) for name in table.columns}
        return pd.DataFrame({"trial": pd.Series(trials, dtype="str"), "epoch": columns.pop("epoch"), **columns})
    except (ValueError, KeyError) as error:
        if len(group) == 1:
            file = group[0][0].epochs_file
            raise UserError(f"{file} cannot be read ({error}); {repair_hint(file)}") from error
    return pd.concat([_parse(header, [one]) for one in group], ignore_index=True)  # to name the broken one


def _observations(record: TrialRecord) -> pd.DataFrame:
    """Return the metrics that Keras Tuner recorded of a trial, if it recorded more than the best epoch's."""
    columns: dict[str, Any] = {
        name: {int(one["step"]): float(np.mean(one["value"])) for one in metric.get("observations", ())}
        for name, metric in record.metrics.items()
    }
    if max(map(len, columns.values()), default=0) < 2:
        return pd.DataFrame()
    table = pd.DataFrame(columns).sort_index().rename_axis("epoch").reset_index()
    table["epoch"] += 1 - min(int(table["epoch"].min()), 1)  # callbacks count from 0
    return table.assign(trial=record.trial)
