"""Content of run.json: what was searched, on which data, with which versions; and what a resumed run must match."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import Any

import numpy as np

from fer_search import backend
from fer_search.data.dataset import Dataset
from fer_search.data.split import Split, resolve_validation
from fer_search.runfolder.objective import parse_objective
from fer_search.runfolder.schema import FORMAT
from fer_search.search.proposing.oracles import rung_options
from fer_search.search.settings import Settings
from fer_search.space import Space


def identity(settings: Settings, space: Space, dataset: Dataset) -> dict[str, Any]:
    """Return what must be the same for a run to be resumed; ``BUDGET_OPTIONS`` may be raised with --extend."""
    s = settings
    return {
        "space": space.sha256,
        "data": dataset.fingerprint,
        "backend": backend.start(),
        "--tuner": s.tuner,
        "--objective": parse_objective(s.objective, dataset.classes).name,
        "--max-trials": s.max_trials,
        "--max-epochs": s.max_epochs,
        "--time-budget": s.time_budget,
        "--equal-time": s.equal_time,
        "--factor": s.factor,
        "--min-steps": s.min_steps,
        "--baselines": s.baselines,
        "--repeats": s.repeats,
        "--seed": s.seed,
        "--protocol": s.protocol,
        "--validation": resolve_validation(s.validation, dataset),
        "--limit-train": s.limit_train,
        "--width": s.width,
        "--batch-size": s.batch_size,
        "--fix": dict(sorted(s.fix.items())),
        "--drop-duplicates": s.drop_duplicates,
        "--labels": s.labels,
        "--patience": s.patience,
        "--search-patience": s.search_patience,
        "--prune": s.prune,
        "--max-params": s.max_params,
        "--max-seconds-per-epoch": s.max_seconds_per_epoch,
        "classes": list(dataset.classes),
        "--image-size": dataset.spec.image_size,
        "--colour": dataset.spec.channels > 1,
        "--group-by": s.data_options.group_by,
        "--devices": s.devices if s.devices > 1 else None,  # sums over devices differ in their last bits
    }


def new_run_record(
    settings: Settings, space: Space, dataset: Dataset, split: Split, skipped: list[dict[str, str]], device: str
) -> dict[str, Any]:
    """Return the content of run.json for a run that starts now.

    Args:
        settings: Options of the run.
        space: Design space.
        dataset: Data set.
        split: Its images for training and validation.
        skipped: What cannot be searched here ("what"), and "why".
        device: Description of the devices that train.
    """
    s = settings
    counts: dict[str, Any] = {"train": len(split.train), "validation": len(split.validation)}
    labels = np.bincount(dataset.labels[split.validation], minlength=len(dataset.classes))
    counts |= {"validation_counts": dict(zip(dataset.classes, labels.tolist(), strict=True))}
    source = {"name": dataset.name, "source": dataset.source, "fingerprint": dataset.fingerprint, "toy": dataset.toy}
    return {
        "format": FORMAT,
        "name": s.folder.name,
        "command": s.command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": backend.versions().get("fer-search"),
        "space": {"name": space.name, "path": str(space.path), "sha256": space.sha256, **space_texts(space)},
        "references": space.references,
        "baselines": space.baselines,
        "data": source | counts | {"notes": list(dataset.notes)} | dataset.spec.to_dict() | _reading(s),
        "protocol": split.protocol,
        "protocol_note": split.note,
        "seed": s.seed,
        "tuner": _tuner(s) | rung_options(s, space, len(split.train)),
        "objective": parse_objective(s.objective, dataset.classes).to_dict(),
        "settings": _options(s, dataset),
        "versions": backend.versions(),
        "backend": backend.start(),
        "device": device,
        "skipped": skipped,
        "extended": [],
        "identity": identity(settings, space, dataset),
        "state": "running",
        "seconds": 0.0,
    }


def repeatable(command: str) -> str:
    """Return a command line without what extends or replaces a run: what its next start takes."""
    flags = ("--extend", "--extend-trials", "--overwrite")
    return shlex.join(part for part in shlex.split(command) if part not in flags)


def space_texts(space: Space) -> dict[str, Any]:
    """Return what run.json records of a space's source."""
    return {"text": space.text, "modules": space.modules}


def _reading(settings: Settings) -> dict[str, Any]:
    """Return how the data set was read, so that ``confirm`` reads the same."""
    sources = [settings.data] if isinstance(settings.data, str) else list(settings.data)
    return {"sources": sources, "options": settings.data_options.to_dict()}


def _tuner(settings: Settings) -> dict[str, Any]:
    names = (
        "max_trials",
        "max_epochs",
        "factor",
        "min_steps",
        "baselines",
        "repeats",
        "patience",
        "search_patience",
        "prune",
        "time_budget",
        "equal_time",
    )
    recorded = {"name": settings.tuner} | {name: getattr(settings, name) for name in names}
    return recorded | {"last_trials_full": True}  # of guided's limited number, which older versions did not


def _options(settings: Settings, dataset: Dataset) -> dict[str, Any]:
    names = ("width", "limit_train", "batch_size", "labels", "drop_duplicates")
    return {name: getattr(settings, name) for name in names} | {
        "validation": resolve_validation(settings.validation, dataset),
        "near_copies": True,  # kept on one side of the validation split, which older versions did not
        "validate_low": True,  # at low resolution after epochs at low resolution, which older versions did not
        "mirror_augmented": True,  # flipped views of augmented validation images, which older versions did not have
        "fix": dict(settings.fix),
        "max_params": settings.max_params,
        "max_seconds_per_epoch": settings.max_seconds_per_epoch,
        "devices": settings.devices,
    }
