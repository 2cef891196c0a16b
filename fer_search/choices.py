"""The choices that a space's function names: finding all of them, fixing some, sampling.

Keras Tuner learns a space by calling its function. One call meets the choices of the branch that it takes alone; the
rest is found by calling it again with other values of the choices that conditional scopes ask about.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
from keras_tuner import HyperParameters
from keras_tuner.engine import hyperparameters as kinds

MOST_CALLS = 1000  # of a space's function, to find its choices


class ChoiceError(ValueError):
    """Choices that contradict each other, or a value that a choice cannot have; the message says which."""


class _Recorder(HyperParameters):
    """Notices when one name is given to two choices, which Keras Tuner takes for one without a word.

    Args:
        met: name -> configuration of each choice met so far, in this call of the space's function or another.
    """

    def __init__(self, met: dict[str, dict[str, Any]]) -> None:
        super().__init__()
        self.met = met

    def _retrieve(self, hp: Any) -> Any:
        config = {key: value for key, value in hp.get_config().items() if key != "conditions"}
        if self.met.setdefault(hp.name, config) != config:
            raise ChoiceError(f"two choices are named {hp.name!r}, with different values; give each its own name")
        return super()._retrieve(hp)


_Recorder.__name__ = "hp"  # as the user's function calls it: "'hp' object has no attribute 'Chioce'"


def find_choices(call: Callable[[HyperParameters], object]) -> HyperParameters:
    """Return all choices that a function of ``hp`` names, in every conditional scope; active ones have their defaults.

    Args:
        call: names choices of the ``hp`` that it is given.

    Raises:
        ChoiceError: two choices have one name, or there are too many conditions to follow.
    """
    found = HyperParameters()
    met: dict[str, dict[str, Any]] = {}
    waiting: list[dict[str, Any]] = [{}]
    seen: list[dict[str, Any]] = [{}]
    while waiting:
        if len(seen) > MOST_CALLS:
            raise ChoiceError(f"conditional scopes branch in more than {MOST_CALLS} ways; condition on fewer choices")
        hp = _Recorder(met)
        hp.values = dict(waiting.pop(0))
        call(hp)
        found.merge(hp.space, overwrite=False)
        for scope in (*hp.active_scopes, *hp.inactive_scopes):
            for values in _branches(scope, hp):
                if values not in seen:
                    seen.append(values)
                    waiting.append(values)
    found.values = {}
    return fill(found)


def _branches(scope: list[Any], hp: HyperParameters) -> list[dict[str, Any]]:
    """Return the values that lead into a scope, and to where its last condition does not hold."""
    before = {condition.name: condition.values[0] for condition in scope[:-1]}
    last = scope[-1]
    parent = next(choice for choice in hp.space if choice.name == last.name)
    listed = getattr(parent, "values", ()) if isinstance(parent, (kinds.Choice, kinds.Boolean, kinds.Fixed)) else ()
    return [before | {last.name: value} for value in dict.fromkeys((*listed, *last.values))]


def one_changed(choices: HyperParameters) -> Iterator[tuple[str, Any, HyperParameters]]:
    """Yield each choice with each of its values, and the choices with that value and defaults otherwise.

    A choice in a conditional scope is set where its scope is entered; of a range the ends are taken.
    """
    for choice in choices.space:
        for value in listed(choice) or [choice.min_value, choice.max_value]:
            hp = choices.copy()
            hp.values = _entered(choices, choice) | {choice.name: value}
            yield choice.name, value, fill(hp)


def _entered(choices: HyperParameters, choice: Any) -> dict[str, Any]:
    """Return values of other choices with which a choice is active, its parents' scopes entered too."""
    values: dict[str, Any] = {}
    for condition in choice.conditions:
        parent = find(choices, condition.name)
        values |= _entered(choices, parent) | {condition.name: condition.values[0]}
    return values


def fill(hp: HyperParameters) -> HyperParameters:
    """Give every active choice without a value its default, and take the values of inactive ones away."""
    for choice in hp.space:
        if hp.is_active(choice):
            hp.values.setdefault(choice.name, choice.default)
    for choice in hp.space:
        if not hp.is_active(choice.name):
            hp.values.pop(choice.name, None)
    return hp


def sample(choices: HyperParameters, rng: np.random.Generator) -> HyperParameters:
    """Return the choices with random values: uniform in each choice, on its log scale where it has one."""
    return draw(choices.copy(), rng)


def draw(hp: HyperParameters, rng: np.random.Generator) -> HyperParameters:
    """Give the choices other values, drawn as those of ``sample``; copying them takes longer."""
    hp.values = {}
    for choice in hp.space:
        if hp.is_active(choice):
            hp.values[choice.name] = choice.prob_to_value(rng.random())
    return fill(hp)


def restrict(choices: HyperParameters, fixed: Mapping[str, Any], without: Mapping[str, Collection]) -> HyperParameters:
    """Return the choices with fewer values; those that can no longer be active are left out.

    Args:
        choices: from ``find_choices``.
        fixed: choice -> the one value that it has from now on.
        without: choice (a Choice or Boolean) -> values that it has no more; a choice that loses all of them cannot be
            active, nor what depends on it.
    """
    allowed: dict[str, list[Any]] = {}
    kept = []
    for choice in choices.space:
        if not all(set(c.values) & set(allowed.get(c.name, c.values)) for c in choice.conditions):
            continue
        if choice.name in fixed:
            values = [fixed[choice.name]]
        elif isinstance(choice, (kinds.Choice, kinds.Boolean)):
            values = [value for value in choice.values if value not in without.get(choice.name, ())]
        else:
            kept.append(choice)
            continue
        allowed[choice.name] = values
        if values:
            kept.append(_narrowed(choice, values))
    hp = HyperParameters()
    hp.merge(kept)
    hp.values = {}
    return fill(hp)


def _narrowed(choice: Any, values: list[Any]) -> Any:
    conditions = choice.conditions
    if len(values) == 1:
        return kinds.Fixed(choice.name, values[0], conditions=conditions)
    if isinstance(choice, kinds.Boolean) or values == list(choice.values):
        return choice
    default = choice.default if choice.default in values else values[0]
    return kinds.Choice(choice.name, values, ordered=choice.ordered, default=default, conditions=conditions)


def parse_value(choices: HyperParameters, name: str, text: str) -> Any:
    """Return a choice's value from its text.

    Raises:
        ChoiceError: there is no such choice, or it cannot have this value.
    """
    choice = find(choices, name)
    for value in listed(choice):
        if str(value).lower() == text.strip().lower():
            return value
    try:
        value = {kinds.Int: int, kinds.Float: float}[type(choice)](text)
    except (KeyError, ValueError):
        value = text
    check_value(choice, value)
    return value


def find(choices: HyperParameters, name: str) -> Any:
    """Return the choice with a name; ChoiceError where there is none."""
    for choice in choices.space:
        if choice.name == name:
            return choice
    names = ", ".join(choice.name for choice in choices.space)
    raise ChoiceError(f"{name!r} is not a choice of the space; it has {names or 'none'}")


def listed(choice: Any) -> list[Any]:
    """Return the values of a choice that lists them; empty for a range."""
    if isinstance(choice, (kinds.Int, kinds.Float)):
        return []
    return [choice.value] if isinstance(choice, kinds.Fixed) else list(choice.values)


def check_value(choice: Any, value: Any) -> None:
    """Raise a ChoiceError unless a choice can have a value."""
    if values := listed(choice):
        if not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in values):
            raise ChoiceError(f"{choice.name} must be one of {', '.join(map(repr, values))}, not {value!r}")
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ChoiceError(f"{choice.name} must be a number, not {value!r}")
    elif not choice.min_value <= value <= choice.max_value:
        raise ChoiceError(f"{choice.name} must be from {choice.min_value} to {choice.max_value}, not {value!r}")
