"""The choices of a space, as Keras Tuner recorded them in oracle.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fer_search.tuner_entries import without_tuner_entries

MAX_LISTED_VALUES = 8  # a numeric range with more values is not listed value by value


@dataclass(frozen=True)
class Choice:
    """One choice of a space.

    Args:
        name: Name of the choice.
        kind: Keras Tuner's class: Choice, Int, Float, Boolean or Fixed; "" if unknown.
        values: Possible values, in the space's order; empty for a range with more than MAX_LISTED_VALUES values.
        log: Whether the range is sampled on a log scale.
        conditions: When the choice is active: one tuple for each place that declares it, of pairs (parent choice, its
            values); all conditions of a place must hold.
    """

    name: str
    kind: str = ""
    values: tuple[Any, ...] = ()
    log: bool = False
    conditions: tuple[tuple[tuple[str, tuple[Any, ...]], ...], ...] = ((),)

    def active(self, values: Mapping[str, Any]) -> bool:
        """Return whether the choice is active in a trial, given its values of the active choices before this one."""
        return any(all(values.get(name) in allowed for name, allowed in place) for place in self.conditions)


def read_choices(space: Sequence[Mapping[str, Any]]) -> tuple[Choice, ...]:
    """Return the choices of ``hyperparameters.space`` in oracle.json, one for each name.

    Args:
        space: List of {"class_name": ..., "config": {...}}.
    """
    choices: dict[str, Choice] = {}
    for entry in space:
        config = entry["config"]
        parents = tuple(
            (parent["config"]["name"], tuple(parent["config"]["values"])) for parent in config.get("conditions") or ()
        )
        known = choices.get(config["name"])
        choices[config["name"]] = Choice(
            name=str(config["name"]),
            kind=str(entry["class_name"]),
            values=tuple(dict.fromkeys((*(known.values if known else ()), *_values(entry["class_name"], config)))),
            log=config.get("sampling") in ("log", "reverse_log"),
            conditions=(*(known.conditions if known else ()), parents),
        )
    return tuple(choices.values())


def active_values(choices: Sequence[Choice], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's values without inactive choices and without the tuner's entries ("tuner/...")."""
    active: dict[str, Any] = {}
    known = {choice.name for choice in choices}
    for choice in choices:  # parents come before the choices that depend on them
        if choice.name in values and choice.active(active):
            active[choice.name] = values[choice.name]
    return active | {k: v for k, v in without_tuner_entries(values).items() if k not in known}


def _values(kind: str, config: Mapping[str, Any]) -> tuple[Any, ...]:
    if kind == "Fixed":
        return (config["value"],)
    if kind == "Boolean":
        return (False, True)
    if kind == "Choice":
        return tuple(config["values"])
    low, high, step = config.get("min_value"), config.get("max_value"), config.get("step")
    if low is None or high is None or not step or config.get("sampling") not in (None, "linear"):
        return ()
    count = int((high - low) / step + 1e-9) + 1
    return tuple(low + k * step for k in range(count)) if count <= MAX_LISTED_VALUES else ()
