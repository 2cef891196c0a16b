"""Which choices a space may name: finite, of a size that a search can handle, and with printable names."""

from __future__ import annotations

import math
from typing import Any

from keras_tuner.engine import hyperparameters as kinds

from fer_search.terminal import UNPRINTABLE

MAX_NAME = 200  # characters of a name or of a text value
MAX_VALUES = 256  # of a Choice
MAX_STEPS = 10_000  # of an Int or a stepped Float: the Bayesian oracle tries each
MAX_CHOICES = 500  # of a space
MAX_INT = 10**15


class ChoiceError(ValueError):
    """Contradictory choices, or an invalid value of a choice; the message says which."""


def check_name(name: Any, what: str) -> None:
    """Raise a ChoiceError unless a name is short printable text.

    Args:
        name: Name of a choice, baseline or reference.
        what: Which of these, for the message.
    """
    if not isinstance(name, str) or not name.strip():
        raise ChoiceError(f"the name of a {what} must be text, not {name!r:.60}")
    if len(name) > MAX_NAME:
        raise ChoiceError(f"the name of a {what} has {len(name):,} characters, more than {MAX_NAME}: {name[:40]!r}...")
    if UNPRINTABLE.search(name) or "\n" in name or "\t" in name:
        raise ChoiceError(f"the name of a {what} holds a control character: {name!a}")


def check_choice(choice: Any) -> None:
    """Raise a ChoiceError if a choice cannot be searched."""
    check_name(choice.name, "choice")
    if isinstance(choice, kinds.Choice):
        _check_values(choice)
    elif isinstance(choice, (kinds.Int, kinds.Float)):
        _check_range(choice)


def _check_values(choice: Any) -> None:
    if len(choice.values) > MAX_VALUES:
        raise ChoiceError(
            f"{choice.name} has {len(choice.values):,} values, more than {MAX_VALUES}; use hp.Int or hp.Float"
        )
    for value in choice.values:
        if isinstance(value, float) and not math.isfinite(value):
            raise ChoiceError(f"{choice.name} has the value {value}; its values must be finite")
        if isinstance(value, str) and (len(value) > MAX_NAME or UNPRINTABLE.search(value)):
            raise ChoiceError(f"{choice.name} has a value that is too long or holds a control character: {value!a:.60}")


def _check_range(choice: Any) -> None:
    low, high, step = choice.min_value, choice.max_value, choice.step
    numbers = [value for value in (low, high, step, choice.default) if value is not None]
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in numbers):
        raise ChoiceError(f"{choice.name}: its range must be numbers, not {low!r:.40} to {high!r:.40}")
    if isinstance(choice, kinds.Int) and any(abs(value) > MAX_INT for value in numbers):
        raise ChoiceError(f"{choice.name}: its range must be within 10**15, not {low:.3g} to {high:.3g}")
    if not all(math.isfinite(value) for value in numbers) or not math.isfinite(float(high) - float(low)):
        raise ChoiceError(f"{choice.name}: its range must be finite, not {low} to {high}")
    if choice.sampling != "linear" and not math.isfinite(float(high) / float(low)):
        raise ChoiceError(f"{choice.name}: its range is too wide for sampling={choice.sampling!r}: {low} to {high}")
    if not low <= choice.default <= high:
        raise ChoiceError(f"{choice.name}: its default {choice.default} is not from {low} to {high}")
    if step is None:
        return
    if step <= 0:
        raise ChoiceError(f"{choice.name}: its step must be above 0, not {step}")
    linear = choice.sampling == "linear"  # on the other scales a step is a factor, above 1
    steps = (float(high) - float(low)) / step if linear else math.log(high / low) / math.log(step)
    if steps > MAX_STEPS:
        raise ChoiceError(
            f"{choice.name} has more than {MAX_STEPS:,} values ({low} to {high} in steps of {step}); give it a larger "
            + ('step, or sampling="log"' if linear else "step")
        )
