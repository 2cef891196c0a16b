"""confirm/confirm.json in a run folder: what was confirmed, and what came out.

Its keys: ``format``; ``settings``, what must be the same for a confirmation to go on; ``command``, ``created``,
``device``, ``versions``; ``trained`` (images); ``after_trials``, how many trials of the search had ended; ``looks``,
how often the test images of this run were looked at, this time included; ``candidates``: ``trial``, ``name``,
``title``, ``epochs``, ``val_accuracy``, ``parameters``, ``design``; ``trainings``, in the order in which they ended:
``candidate`` (its place), ``seed``, ``seconds``, and ``tests`` or, where it failed, ``why``; ``ensembles``, of each
candidate with several trainings: ``candidate``, ``members`` and ``tests``, of the mean of their probabilities.
``tests`` is name -> what ``TestSet.score`` gives.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fer_search.errors import UserError
from fer_search.files import write_json

FORMAT = 1
FOLDER, FILE = "confirm", "confirm.json"
BROKEN, DIFFERENT = 4, 5  # exit codes


def read_record(run: Path) -> dict[str, Any] | None:
    """Return confirm.json of a run; None where there is none.

    Raises:
        UserError: it is broken, or of a newer format (exit code 4).
    """
    path = run / FOLDER / FILE
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        version = int(record["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}); restore it, or move {path.parent} away", BROKEN) from error
    if version > FORMAT:
        raise UserError(f"{path} has format {version}, newer than this fer-search reads; update it", BROKEN)
    return record


def looks_before(record: dict[str, Any] | None) -> int:
    """Return how often the test images were looked at; a confirmation that ended before its first test did not."""
    if record is None:
        return 0
    return int(record["looks"]) - (not any("tests" in one for one in record["trainings"]))


def write_record(run: Path, record: dict[str, Any]) -> None:
    """Replace confirm.json."""
    (run / FOLDER).mkdir(exist_ok=True)
    write_json(run / FOLDER / FILE, record)


def check_same(run: Path, record: dict[str, Any], settings: dict[str, Any]) -> None:
    """Refuse to go on with another confirmation: the test images are looked at once.

    Raises:
        UserError: the settings differ; the message says in what (exit code 5).
    """
    then = record["settings"]
    if differ := [name for name in settings if then.get(name) != settings[name]]:
        changes = "; ".join(f"{name} was {then.get(name)}, is {settings[name]}" for name in differ)
        raise UserError(
            f"{run / FOLDER} was started with something else: {changes}. Choosing again after a look at the test "
            "images makes their accuracies too high; --overwrite does it all the same, and the report says so",
            DIFFERENT,
        )
