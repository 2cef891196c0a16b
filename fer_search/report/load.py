"""A run folder -> tables. Reads files and nothing else: no Keras, no Keras Tuner."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fer_search.errors import UserError
from fer_search.report.statistics import as_good_as_best, wilson_interval

CHOICE = "choice."  # before the name of a choice in a column of ``load_trials``
EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@dataclass(frozen=True)
class RunInfo:
    """What run.json says, with defaults for what an older or a stock Keras Tuner project lacks.

    Args:
        path: the run folder.
        raw: run.json as it is; empty for a stock Keras Tuner project.
        choices: name -> Keras Tuner's configuration of the choice, with "class_name"; in the space's order.
    """

    path: Path
    raw: dict[str, Any]
    choices: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.raw.get("name", self.path.resolve().name))

    @property
    def references(self) -> dict[str, float]:
        return dict(self.raw.get("references", {}))

    @property
    def validation(self) -> int | None:
        """Number of validation images, where known."""
        return self.raw.get("data", {}).get("validation")

    @property
    def toy(self) -> bool:
        return bool(self.raw.get("data", {}).get("toy", False))

    @property
    def width(self) -> float:
        return float(self.raw.get("settings", {}).get("width", 1.0))

    def cautions(self) -> list[str]:
        """Return what every output must say before its numbers, one sentence each."""
        lines = []
        if self.toy:
            lines.append("Toy data: these are drawn faces, not FER2013; nothing about real faces follows.")
        if note := self.raw.get("protocol_note"):
            lines.append(f"Protocol: {note}.")
        if self.width != 1:
            lines.append(f"Every filter count is times {self.width:g}: accuracies are below those of the full networks.")
        lines += [f"Not searched: {s['what']}, {s['why']}." for s in self.raw.get("skipped", [])]
        if not self.raw:
            lines.append("A project that Keras Tuner wrote without fer-search: protocol, data and times are not known.")
        return lines


def newest_run(results_dir: Path) -> Path:
    """Return the run folder that was written to last.

    Raises:
        UserError: there is none.
    """
    runs = [p.parent for name in ("run.json", "oracle.json") for p in Path(results_dir).glob(f"*/{name}")]
    if not runs:
        raise UserError(f"no run in {results_dir}; start one with: fer-search run --space search_spaces/report.py")
    return max(runs, key=lambda run: max(p.stat().st_mtime for p in (run / "run.json", run / "oracle.json") if p.exists()))


def load_run(run: str | Path) -> RunInfo:
    """Read run.json and the space's choices.

    Raises:
        UserError: the folder is missing or no run, or a file in it is broken; the message names it.
    """
    path = Path(run)
    if not path.is_dir():
        raise UserError(f"{path}: no such run folder; fer-search run makes one")
    if not any((path / name).exists() for name in ("run.json", "oracle.json")):
        raise UserError(f"{path} is no run folder: neither run.json nor oracle.json is in it")
    raw = _json(path / "run.json") if (path / "run.json").exists() else {}
    oracle = _json(path / "oracle.json") if (path / "oracle.json").exists() else {}
    space = oracle.get("hyperparameters", {}).get("space", [])
    choices = {c["config"]["name"]: {"class_name": c["class_name"]} | c["config"] for c in space}
    return RunInfo(path, raw, choices)


def load_epochs(run: str | Path) -> pd.DataFrame:
    """Return every trial's learning curve, one row a trial and epoch.

    A trial that Hyperband promoted has its ancestors' rows before its own, with ``inherited`` True, so that its curve
    starts at epoch 1.

    Returns:
        Columns ``trial`` (int), ``epoch`` (int, 1 is the first), ``inherited`` (bool), and those of epochs.csv that are
        there: ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``, ``clean_val_loss``, ``clean_val_accuracy``,
        ``learning_rate``, ``seconds`` (of the epoch), ``recall_angry`` and so on.
    """
    path = Path(run)
    own = {trial["trial_id"]: _own_epochs(path, trial) for trial in _trials(path)}
    parents = {t["trial_id"]: t["hyperparameters"]["values"].get("tuner/trial_id") for t in _trials(path)}
    parts = []
    for trial_id, rows in own.items():
        chain, parent = [rows.assign(inherited=False)], parents[trial_id]
        while parent in own:
            chain.append(own[parent].assign(inherited=True))
            parent = parents[parent]
        curve = pd.concat(chain[::-1], ignore_index=True).assign(trial=_number(trial_id))
        parts.append(curve.drop_duplicates("epoch", keep="last"))
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    first = ["trial", "epoch", "inherited"]
    if table.empty:
        return pd.DataFrame(columns=[*first, "loss", "accuracy", "val_loss", "val_accuracy", "seconds"])
    return table[[*first, *(c for c in table.columns if c not in first)]]


def load_trials(run: str | Path) -> pd.DataFrame:
    """Return the table of a run's trials, best first; those without an accuracy last.

    Returns:
        One row a trial, with the columns

        - ``trial`` (int, from 0), ``name`` (a baseline's name, else ""), ``status`` (COMPLETED, FAILED or RUNNING),
        - ``accuracy`` (best epoch's validation accuracy, from 0 to 1), ``low`` and ``high`` (its 95% Wilson interval, NaN
          where the number of validation images is not known), ``best_epoch`` (1 is the first), ``as_good_as_best`` (bool),
        - ``clean_accuracy`` (over the same images without augmentation, in the same epoch; differs from ``accuracy``
          with --protocol report alone),
        - ``epochs`` (trained up to), ``seconds`` (of its own epochs),
        - ``parameters``, ``flops`` (of one image's forward pass, 2 for each multiply-add),
        - ``message`` (why it failed), ``bracket``, ``round``, ``parent`` (Hyperband's; <NA> elsewhere),
        - ``choice.NAME`` for every choice of the space, None where it was not active.
    """
    info, path = load_run(run), Path(run)
    epochs = load_epochs(path)
    curves = dict(tuple(epochs.groupby("trial"))) if len(epochs) else {}
    rows = [_row(path, trial, curves.get(_number(trial["trial_id"])), info) for trial in _trials(path)]
    table = pd.DataFrame(rows, columns=[*_row_columns(), *(CHOICE + name for name in info.choices)])
    for column in ("parameters", "flops", "best_epoch", "bracket", "round", "parent"):
        table[column] = table[column].astype("Int64")
    table["accuracy"] = table["accuracy"].astype(float)
    count = info.validation
    if count:
        table["low"], table["high"] = wilson_interval(table["accuracy"].to_numpy(), count)
        table["as_good_as_best"] = as_good_as_best(table["accuracy"].to_numpy(), count)
    return table.sort_values(["accuracy", "trial"], ascending=[False, True], na_position="last", ignore_index=True)


def _row_columns() -> list[str]:
    return [
        *("trial", "name", "status", "accuracy", "low", "high", "best_epoch", "as_good_as_best", "clean_accuracy"),
        *("epochs", "seconds", "parameters", "flops", "message", "bracket", "round", "parent"),
    ]


def _row(path: Path, trial: dict[str, Any], curve: pd.DataFrame | None, info: RunInfo) -> dict[str, Any]:
    design_file = path / f"trial_{trial['trial_id']}" / "design.json"
    design = _json(design_file) if design_file.exists() else {}
    values = trial["hyperparameters"]["values"]
    own = None if curve is None else curve[~curve["inherited"]]
    row: dict[str, Any] = {
        "trial": _number(trial["trial_id"]),
        "name": design.get("name") or "",
        "status": "FAILED" if trial["status"] == "INVALID" else trial["status"],
        "accuracy": np.nan,
        "low": np.nan,
        "high": np.nan,
        "as_good_as_best": False,
        "clean_accuracy": np.nan,
        "epochs": 0 if curve is None or curve.empty else int(curve["epoch"].max()),
        "seconds": float(own["seconds"].sum()) if own is not None and "seconds" in own else np.nan,
        "parameters": design.get("parameters"),
        "flops": design.get("flops"),
        "message": (trial.get("message") or "").strip(),
        "bracket": values.get("tuner/bracket"),
        "round": values.get("tuner/round"),
        "parent": _number(values["tuner/trial_id"]) if "tuner/trial_id" in values else None,
    }
    if own is not None and row["status"] != "FAILED" and own.get("val_accuracy", pd.Series(dtype=float)).notna().any():
        best = own.loc[own["val_accuracy"].idxmax()]
        row |= {"accuracy": best["val_accuracy"], "best_epoch": int(best["epoch"])}
        row["clean_accuracy"] = best.get("clean_val_accuracy", np.nan)
    elif trial.get("score") is not None and 0 <= trial["score"] <= 1:
        row["accuracy"] = trial["score"]
    return row | {CHOICE + name: values.get(name) for name in info.choices}


def _trials(path: Path) -> list[dict[str, Any]]:
    """Return the content of every trial.json, by trial."""
    trials = [_json(file) for file in sorted(path.glob("trial_*/trial.json"))]
    for file, trial in zip(sorted(path.glob("trial_*/trial.json")), trials, strict=True):
        if not {"trial_id", "status", "hyperparameters"} <= set(trial):
            raise UserError(f"{file} is not a trial that Keras Tuner wrote; remove it or restore it")
    return sorted(trials, key=lambda trial: _number(trial["trial_id"]))


def _own_epochs(path: Path, trial: dict[str, Any]) -> pd.DataFrame:
    """Return a trial's epochs.csv without a torn last line, or what Keras Tuner kept of its metrics."""
    file = path / f"trial_{trial['trial_id']}" / "epochs.csv"
    if file.exists():
        text = file.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        try:
            return pd.read_csv(io.StringIO(whole)).astype({"epoch": int}) if whole else pd.DataFrame({"epoch": []})
        except (ValueError, KeyError) as error:
            raise UserError(f"{file} cannot be read ({error}); remove its broken lines") from error
    metrics = trial.get("metrics", {}).get("metrics", {})
    columns = {
        name: {int(o["step"]): float(np.mean(o["value"])) for o in metric["observations"]}
        for name, metric in metrics.items()
    }
    table = pd.DataFrame(columns).rename_axis("epoch").reset_index()
    # Keras Tuner counts epochs from 0, and fer-search's own from 1; stock projects have no epochs.csv.
    return table.assign(epoch=table["epoch"].astype(int) + 1) if len(table) else pd.DataFrame({"epoch": []})


def _json(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); restore it, or remove it if it is a trial's") from error
    if not isinstance(data, dict):
        raise UserError(f"{file} does not hold what it should; restore it")
    return data


def _number(trial_id: str) -> int:
    """Return a trial's number; 0 for an id that is none (an old Keras Tuner's hash)."""
    digits = str(trial_id)
    return int(digits) if digits.isdigit() else int(digits[:8], 16) if digits[:8].isalnum() else 0
