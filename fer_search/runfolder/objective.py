"""What a search optimises: one of the metrics recorded in epochs.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_search.errors import UserError

METRICS = ("val_accuracy", "val_loss", "val_macro_f1", "val_balanced_accuracy")
RECALL = "recall_"  # recall of a class, on the validation images


@dataclass(frozen=True)
class Objective:
    """A metric and its direction.

    Args:
        name: Column of epochs.csv.
        direction: "max" or "min".
    """

    name: str = "val_accuracy"
    direction: str = "max"

    @property
    def sign(self) -> int:
        """1 if more is better, -1 if less is."""
        return 1 if self.direction == "max" else -1

    def gain(self, row: Mapping[str, float]) -> float:
        """Return the value in a row of epochs.csv, negated if less is better; -infinity if it is not a number."""
        value = row.get(self.name, float("nan"))
        return self.sign * value if np.isfinite(value) else float("-inf")

    def best(self, rows: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
        """Return the best row, the first of several."""
        return max(rows, key=self.gain)

    def to_dict(self) -> dict[str, str]:
        """Return the fields as JSON-serialisable data."""
        return {"name": self.name, "direction": self.direction}


ACCURACY = Objective()


def parse_objective(text: str, classes: Sequence[str] | None) -> Objective:
    """Return the objective that --objective names.

    Args:
        text: A metric, with or without "val_": accuracy, loss, macro_f1, balanced_accuracy, or recall_CLASS.
        classes: Class names of the data; None while they are not known, when a class may have any name.

    Raises:
        UserError: No such metric is recorded.
    """
    name = text.strip().lower().removeprefix("val_")
    if name.startswith(RECALL):
        if classes is None or name.removeprefix(RECALL) in classes:
            return Objective(name)
    elif f"val_{name}" in METRICS:
        return Objective(f"val_{name}", "min" if name == "loss" else "max")
    recalls = ", ".join(f"{RECALL}{c}" for c in classes or ("CLASS",))
    raise UserError(f"--objective {text}: not a recorded metric; choose {', '.join(METRICS)}, or {recalls}")


def recorded_objective(info: Mapping[str, Any] | None) -> Objective:
    """Return the objective of a run from its run.json; accuracy for runs of older versions."""
    given = (info or {}).get("objective")
    return Objective(str(given["name"]), str(given["direction"])) if given else ACCURACY
