"""trial_*/design.json: the design that a trial trains, its budget and its cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from fer_search.runfolder.json_files import read_json, read_json_if_valid, write_json
from fer_search.runfolder.schema import DESIGN_FILE, DesignJson


def read_design_json(trial_dir: Path) -> DesignJson:
    """Return a trial's design.json.

    Raises:
        UserError: It is missing or damaged; the message names it.
    """
    return cast(DesignJson, read_json(trial_dir / DESIGN_FILE))


def read_design_json_if_valid(trial_dir: Path) -> DesignJson | None:
    """Return a trial's design.json; None where it is missing or damaged."""
    content = read_json_if_valid(trial_dir / DESIGN_FILE, "design", "parameters", "epochs")
    return None if content is None else cast(DesignJson, content)


def write_design_json(trial_dir: Path, content: Mapping[str, Any]) -> None:
    """Replace a trial's design.json; ``content`` has the fields of ``DesignJson``."""
    write_json(trial_dir / DESIGN_FILE, content)


def weights_resolution(record: Mapping[str, Any], best_epoch: int | None) -> int:
    """Return the side in pixels of 48 at which a trial's best weights predict; 0 for whole images.

    Args:
        record: Content of its design.json.
        best_epoch: Epoch of these weights.
    """
    low = best_epoch is not None and best_epoch <= record.get("low_resolution_epochs", 0)
    return int(record["design"]["optimisation"]["low_resolution"]) if low else 0
