"""Entries of the tuner among a trial's values, which are not choices of the space.

Keras Tuner's Hyperband adds them so that a trial can continue another one; our own oracles name theirs alike, so that
its tools can read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PREFIX = "tuner/"
PARENT = "tuner/trial_id"  # the trial that this one continues
EPOCHS = "tuner/epochs"  # number of epochs at the end of the trial, its parents' included
INITIAL_EPOCH = "tuner/initial_epoch"  # number of epochs of its parents
BRACKET = "tuner/bracket"
ROUND = "tuner/round"
TIME_IS_SHORT = "tuner/time_is_short"  # True: trained to the last rung, since later there would be no time for it


def without_tuner_entries(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a trial's choices."""
    return {name: value for name, value in values.items() if not name.startswith(PREFIX)}
