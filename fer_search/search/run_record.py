"""run.json: what was searched, on what, with which versions; and what must be the same for a run to go on."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

from fer_search import backend
from fer_search.data.dataset import Dataset
from fer_search.data.split import Split
from fer_search.runfolder.folder import FORMAT
from fer_search.search.settings import Settings
from fer_search.space import Space

EXTENSIBLE = ("--max-trials", "--max-epochs", "--time-budget")
BEFORE = {"--repeats": 1}  # what runs had whose run.json is older than the option


def identity(settings: Settings, space: Space, dataset: Dataset) -> dict[str, Any]:
    """Return what must be the same for a run to go on; ``EXTENSIBLE`` may grow with --extend."""
    s = settings
    return {
        "space": space.sha256,
        "data": dataset.fingerprint,
        "backend": backend.start(),
        "--tuner": s.tuner,
        "--max-trials": s.max_trials,
        "--max-epochs": s.max_epochs,
        "--time-budget": s.time_budget,
        "--factor": s.factor,
        "--baselines": s.baselines,
        "--repeats": s.repeats,
        "--seed": s.seed,
        "--protocol": s.protocol,
        "--validation": s.validation,
        "--limit-train": s.limit_train,
        "--width": s.width,
        "--batch-size": s.batch_size,
        "--fix": dict(sorted(s.fix.items())),
        "--drop-duplicates": s.drop_duplicates,
        "--labels": s.labels,
        "--patience": s.patience,
        "--prune": s.prune,
        "--max-params": s.max_params,
        "--devices": s.devices if s.devices > 1 else None,  # sums over devices differ in their last bits
    }


def new_info(
    settings: Settings, space: Space, dataset: Dataset, split: Split, skipped: list[dict[str, str]]
) -> dict[str, Any]:
    """Return run.json of a run that starts now.

    Args:
        settings: of the run.
        space: what is searched.
        dataset: on what.
        split: which of it.
        skipped: "what" is not searched, and "why".
    """
    s = settings
    tuner: dict[str, Any] = {
        "name": s.tuner,
        "max_trials": s.max_trials,
        "max_epochs": s.max_epochs,
        "factor": s.factor,
    }
    tuner |= {
        "baselines": s.baselines,
        "repeats": s.repeats,
        "patience": s.patience,
        "prune": s.prune,
        "time_budget": s.time_budget,
    }
    options: dict[str, Any] = {
        "width": s.width,
        "limit_train": s.limit_train,
        "batch_size": s.batch_size,
        "labels": s.labels,
    }
    options |= {"drop_duplicates": s.drop_duplicates, "validation": s.validation, "fix": dict(s.fix)}
    options |= {"max_params": s.max_params, "devices": s.devices}
    counts = {"train": len(split.train), "validation": len(split.validation)}
    about = {"name": dataset.name, "source": dataset.source, "fingerprint": dataset.fingerprint, "toy": dataset.toy}
    return {
        "format": FORMAT,
        "name": s.folder.name,
        "command": s.command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": backend.versions().get("fer-search"),
        "space": {"name": space.name, "path": str(space.path), "sha256": space.sha256, **space_texts(space)},
        "references": space.references,
        "baselines": space.baselines,
        "data": about | counts | {"notes": list(dataset.notes)},
        "protocol": split.protocol,
        "protocol_note": split.note,
        "seed": s.seed,
        "tuner": tuner,
        "settings": options,
        "versions": backend.versions(),
        "backend": backend.start(),
        "device": backend.device(),
        "skipped": skipped,
        "extended": [],
        "identity": identity(settings, space, dataset),
        "state": "running",
        "seconds": 0.0,
    }


def space_texts(space: Space) -> dict[str, Any]:
    """Return what run.json keeps of a space's source."""
    return {"text": space.text, "modules": space.modules}


def first_change(before: Mapping[str, Any], space: Space) -> str:
    """Return in what a space differs from that of a run, in words; "" where comments and layout alone do.

    Args:
        before: from ``space_texts``; without "modules" in a run that is older than these.
        space: the space now.
    """
    known = before.get("modules", space.modules)
    pairs = [("", before["text"], space.text)]
    pairs += [(f" in {name}", known.get(name, ""), space.modules.get(name, "")) for name in {**known, **space.modules}]
    for where, then, now in pairs:
        for old, new in zip_longest(_statements(then), _statements(now), fillvalue=""):
            if old != new:
                return f"was '{old.strip():.60}', is '{new.strip():.60}'{where}"
    return ""


def _statements(text: str) -> list[str]:
    """Return a Python text line by line, without comments and docstrings; as it is where it is no Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree).splitlines()
