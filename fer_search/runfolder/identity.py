"""Whether a run folder may be resumed: the settings, space and data must be those that it was started with."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from fer_search.data.spec import FER2013_CLASSES
from fer_search.errors import EXIT_MISMATCH, EXIT_RUN_FOLDER, UserError
from fer_search.runfolder import validation
from fer_search.runfolder.json_files import read_json_if_valid
from fer_search.runfolder.schema import RUN_FILE

BUDGET_OPTIONS = ("--max-trials", "--max-epochs", "--time-budget", "--search-patience")  # --extend may raise these
OLD_TRIALS_IN_TIME_BUDGET = 50  # default --max-trials of a run with a time budget, which has no such limit any more
# Fields that run.json of older versions lacks
DEFAULT_IDENTITY = {
    "--repeats": 1,
    "--objective": "val_accuracy",
    "--min-steps": 0,
    "--equal-time": False,
    "classes": list(FER2013_CLASSES),
    "--image-size": 48,
    "--colour": False,
    "--group-by": None,
}


def check_resumable(file: Path, info: Mapping[str, Any]) -> None:
    """Refuse a run.json that lacks what a search needs to be resumed.

    Raises:
        UserError: The message names the field (exit code 4).
    """
    try:
        validation.check_resumable(info)
    except validation.SchemaError as error:
        message = f"{file} is damaged: {error}; restore it from a backup, or choose another --name"
        raise UserError(message, EXIT_RUN_FOLDER) from error


def check_identity(
    path: Path,
    recorded: Mapping[str, Any],
    current: Mapping[str, Any],
    extensible: tuple[str, ...] = (),
    differences: Mapping[str, str] | None = None,
) -> list[str]:
    """Refuse to resume a run with other settings.

    Args:
        path: Run folder.
        recorded: The "identity" field of run.json.
        current: The same, of this start.
        extensible: Names of fields whose value may have been raised.
        differences: Field -> description of the difference, for fields whose values mean nothing to a reader.

    Returns:
        Names of the fields that were raised.

    Raises:
        UserError: They differ; the message says in what (exit code 5).
    """
    changed = [name for name in current if recorded.get(name) != current[name]]
    raised = [name for name in changed if name in extensible and _at_least(current[name], recorded.get(name))]
    if mismatched := [name for name in changed if name not in raised]:
        described = {
            name: f"was {_shorten(recorded.get(name))}, is now {_shorten(current[name])}" for name in mismatched
        }
        described |= dict(differences or {})
        changes = "; ".join(f"{name} {described[name]}" for name in mismatched)
        remedy = "Choose another --name, or --overwrite the run"
        if not extensible and set(mismatched) <= set(BUDGET_OPTIONS):
            remedy = "Add --extend to continue it with a larger budget, or choose another --name or --overwrite"
        raise UserError(f"{path} was started with different settings: {changes}. {remedy}", EXIT_MISMATCH)
    return raised


def recorded_defaults(path: Path) -> dict[str, Any]:
    """Return the options whose defaults have changed since the run in a folder began; empty if there is no run."""
    tuner = (read_json_if_valid(path / RUN_FILE, "tuner") or {}).get("tuner", {})
    try:
        defaults = {"tuner": str(tuner["name"]), "min_steps": int(tuner.get("min_steps", 0))}
    except (ValueError, KeyError, TypeError, OverflowError):
        return {}
    if tuner.get("time_budget") is not None and tuner.get("max_trials") == OLD_TRIALS_IN_TIME_BUDGET:
        defaults["max_trials"] = OLD_TRIALS_IN_TIME_BUDGET
    return defaults


def first_space_change(recorded: Mapping[str, Any], text: str, modules: Mapping[str, str]) -> str:
    """Return the first difference between a space and that of a run; "" if only comments or layout differ.

    Args:
        recorded: The "space" field of run.json; without "modules" in runs of older versions.
        text: Source of the space file now.
        modules: Module name -> source, of the modules that it imports from its own folder.
    """
    known = recorded.get("modules", modules)
    pairs = [("", recorded["text"], text)]
    pairs += [(f" in {name}", known.get(name, ""), modules.get(name, "")) for name in {**known, **modules}]
    for where, before, now in pairs:
        if before == now:
            continue
        for old, new in zip_longest(_statements(before), _statements(now), fillvalue=""):
            if old != new:
                return "was '{}', is now '{}'{}".format(*_around_difference(old.strip(), new.strip()), where)
    return ""


def _around_difference(old: str, new: str, width: int = 60) -> tuple[str, str]:
    """Return two lines, cut so that their first difference shows."""
    same = next((k for k, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    start = max(same - width // 2, 0) if max(len(old), len(new)) > width else 0
    cut = [("..." if start else "") + line[start : start + width] for line in (old, new)]
    return cut[0] + "..." * (len(old) > start + width), cut[1] + "..." * (len(new) > start + width)


def _at_least(current: float | None, recorded: float | None) -> bool:
    """Return whether a limit is no lower than before; None means unlimited."""
    return current is None or (recorded is not None and current >= recorded)


def _shorten(value: Any) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= 40 else text[:12] + "..."


def _statements(text: str) -> list[str]:
    """Return Python source line by line without comments and docstrings; unchanged if it does not parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree).splitlines()
