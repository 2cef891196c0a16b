"""The choices of a space, as Keras Tuner recorded them in oracle.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_LEVELS = 8  # a range of at most so many values is compared value by value


@dataclass(frozen=True)
class Choice:
    """One choice of a space.

    Args:
        name: its name.
        kind: Keras Tuner's class: Choice, Int, Float, Boolean or Fixed; "" where it is not known.
        values: what it can be, in the space's order; empty for a range that is too long to list.
        log: whether the range is sampled on a log scale.
        conditions: when it is active: one tuple for each place that names it, of (other choice, its values); all of a
            place's conditions must hold.
    """

    name: str
    kind: str = ""
    values: tuple[Any, ...] = ()
    log: bool = False
    conditions: tuple[tuple[tuple[str, tuple[Any, ...]], ...], ...] = ((),)

    def active(self, values: Mapping[str, Any]) -> bool:
        """Whether the choice takes part in a trial with these values of the (active) choices before it."""
        return any(all(values.get(name) in allowed for name, allowed in place) for place in self.conditions)


def read_choices(space: Sequence[Mapping[str, Any]]) -> tuple[Choice, ...]:
    """Return the choices of ``hyperparameters.space`` in oracle.json; one for each name.

    Args:
        space: its list of {"class_name": ..., "config": {...}}.
    """
    found: dict[str, Choice] = {}
    for entry in space:
        config = entry["config"]
        parents = tuple(
            (parent["config"]["name"], tuple(parent["config"]["values"])) for parent in config.get("conditions") or ()
        )
        before = found.get(config["name"])
        found[config["name"]] = Choice(
            name=str(config["name"]),
            kind=str(entry["class_name"]),
            values=tuple(dict.fromkeys((*(before.values if before else ()), *_values(entry["class_name"], config)))),
            log=config.get("sampling") in ("log", "reverse_log"),
            conditions=(*(before.conditions if before else ()), parents),
        )
    return tuple(found.values())


def active_values(choices: Sequence[Choice], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's values, without the tuner's own and those of choices that its other values switch off."""
    found: dict[str, Any] = {}
    known = {choice.name for choice in choices}
    for choice in choices:  # a choice comes after those that it depends on
        if choice.name in values and choice.active(found):
            found[choice.name] = values[choice.name]
    return found | {k: v for k, v in values.items() if k not in known and not k.startswith("tuner/")}


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
    return tuple(low + k * step for k in range(count)) if count <= MOST_LEVELS else ()
