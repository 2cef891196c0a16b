"""The choices that a space's function names: discovering, restricting and sampling them.

Keras Tuner learns a space by calling its function. One call only meets the choices of the branch it takes; the others
are discovered by calling it again with other values of the choices that conditional scopes depend on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
from keras_tuner import HyperParameters
from keras_tuner.engine import hyperparameters as kinds

from fer_search.choicechecks import MAX_CHOICES, ChoiceError, check_choice

MAX_CALLS = 1000  # of a space's function while discovering its choices


class _Recorder(HyperParameters):
    """Detects two choices with the same name, which Keras Tuner silently treats as one.

    Args:
        met: Name -> configuration of each choice seen so far, in this call of the space's function or an earlier one.
    """

    def __init__(self, met: dict[str, dict[str, Any]]) -> None:
        super().__init__()
        self.met = met

    def _retrieve(self, hp: Any) -> Any:
        if hp.name not in self.met:
            check_choice(hp)
            if len(self.met) >= MAX_CHOICES:
                raise ChoiceError(f"the space names more than {MAX_CHOICES} choices; a search cannot handle so many")
        config = {key: value for key, value in hp.get_config().items() if key != "conditions"}
        if self.met.setdefault(hp.name, config) != config:
            raise ChoiceError(f"two choices are named {hp.name!r}, with different values; give each its own name")
        return super()._retrieve(hp)


_Recorder.__name__ = "hp"  # the name in the user's error message: "'hp' object has no attribute 'Chioce'"


def find_choices(call: Callable[[HyperParameters], object]) -> HyperParameters:
    """Return every choice that a function of ``hp`` names, in every conditional scope; active ones have their defaults.

    Args:
        call: Names choices of the ``hp`` it is given.

    Raises:
        ChoiceError: Two choices share a name, or there are too many conditions to follow.
    """
    merged = HyperParameters()
    met: dict[str, dict[str, Any]] = {}
    queue: list[dict[str, Any]] = [{}]
    seen: list[dict[str, Any]] = [{}]
    while queue:
        if len(seen) > MAX_CALLS:
            raise ChoiceError(f"conditional scopes have more than {MAX_CALLS} branches; condition on fewer choices")
        hp = _Recorder(met)
        hp.values = dict(queue.pop(0))
        call(hp)
        merged.merge(hp.space, overwrite=False)
        for scope in (*hp.active_scopes, *hp.inactive_scopes):
            for values in _branches(scope, hp):
                if values not in seen:
                    seen.append(values)
                    queue.append(values)
    merged.values = {}
    return fill_defaults(merged)


def _branches(scope: list[Any], hp: HyperParameters) -> list[dict[str, Any]]:
    """Return the values that enter a scope, and those for which its last condition does not hold."""
    before = {condition.name: condition.values[0] for condition in scope[:-1]}
    last = scope[-1]
    parent = next(choice for choice in hp.space if choice.name == last.name)
    listed = getattr(parent, "values", ()) if isinstance(parent, (kinds.Choice, kinds.Boolean, kinds.Fixed)) else ()
    return [before | {last.name: value} for value in dict.fromkeys((*listed, *last.values))]


def single_changes(choices: HyperParameters) -> Iterator[tuple[str, Any, HyperParameters]]:
    """Yield each choice with each of its values, and the choices with that value and defaults otherwise.

    For a choice in a conditional scope the scope is entered; for a range only the two ends are yielded.
    """
    for choice in choices.space:
        for value in listed_values(choice) or [choice.min_value, choice.max_value]:
            hp = choices.copy()
            hp.values = _entered(choices, choice) | {choice.name: value}
            yield choice.name, value, fill_defaults(hp)


def find_dependent_choices(call: Callable[[HyperParameters], object], choices: HyperParameters) -> HyperParameters:
    """Add the choices that a function names only for some values of others, without a conditional scope.

    Keras Tuner learns of them in the middle of a search; here they are choices from the start, which count only where
    the function asks for them.

    Args:
        call: Names choices of the ``hp`` that it is given.
        choices: Those found so far.

    Raises:
        ChoiceError: There are too many to follow.
    """
    merged, calls = choices.copy(), 0
    while True:
        known = {choice.name for choice in merged.space}
        for _, _, hp in single_changes(merged):
            calls += 1
            if calls > MAX_CALLS:
                raise ChoiceError(f"other choices depend on values in more than {MAX_CALLS} ways; use fewer")
            tried = HyperParameters()
            tried.values = dict(hp.values)
            call(tried)
            merged.merge([choice for choice in tried.space if choice.name not in known], overwrite=False)
        fill_defaults(merged)
        if {choice.name for choice in merged.space} == known:
            return merged


def _entered(choices: HyperParameters, choice: Any) -> dict[str, Any]:
    """Return the values of other choices that make a choice active, including those of its parents' scopes."""
    values: dict[str, Any] = {}
    for condition in choice.conditions:
        parent = find_choice(choices, condition.name)
        values |= _entered(choices, parent) | {condition.name: condition.values[0]}
    return values


def fill_defaults(hp: HyperParameters) -> HyperParameters:
    """Set every active choice without a value to its default, and drop the values of inactive choices."""
    for choice in hp.space:
        if hp.is_active(choice):
            hp.values.setdefault(choice.name, choice.default)
    for choice in hp.space:
        if not hp.is_active(choice.name):
            hp.values.pop(choice.name, None)
    return hp


def sample(choices: HyperParameters, rng: np.random.Generator) -> HyperParameters:
    """Return the choices with random values, uniform on the scale of each choice (linear or log)."""
    return resample(choices.copy(), rng)


def resample(hp: HyperParameters, rng: np.random.Generator) -> HyperParameters:
    """Redraw the values of the choices in place, as ``sample`` does but without the cost of a copy."""
    hp.values = {}
    for choice in hp.space:
        if hp.is_active(choice):
            hp.values[choice.name] = choice.prob_to_value(rng.random())
    return fill_defaults(hp)


def restrict(
    choices: HyperParameters, fixed: Mapping[str, Any], without: Mapping[str, Collection[Any]]
) -> HyperParameters:
    """Return the choices with fewer values, without those that can no longer be active.

    Args:
        choices: Result of ``find_choices``.
        fixed: Choice -> its only value from now on.
        without: Choice (a Choice or Boolean) -> values to remove. A choice that loses all its values can no longer be
            active, nor can those that depend on it.
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
    return fill_defaults(hp)


def _narrowed(choice: Any, values: list[Any]) -> Any:
    conditions = choice.conditions
    if len(values) == 1:
        return kinds.Fixed(choice.name, values[0], conditions=conditions)
    if isinstance(choice, kinds.Boolean) or values == list(choice.values):
        return choice
    default = choice.default if choice.default in values else values[0]
    return kinds.Choice(choice.name, values, ordered=choice.ordered, default=default, conditions=conditions)


def parse_value(choices: HyperParameters, name: str, text: str) -> Any:
    """Parse the value of a choice from text.

    Raises:
        ChoiceError: There is no such choice, or it cannot have this value.
    """
    choice = find_choice(choices, name)
    listed = listed_values(choice)
    for value in listed:
        if str(value).lower() == text.strip().lower():
            return value
    for value in listed:  # 0 for 0.0, 1e-3 for 0.001
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value == _number(text):
            return value
    try:
        value = {kinds.Int: int, kinds.Float: float}[type(choice)](text)
    except (KeyError, ValueError):
        value = text
    check_value(choice, value)
    return value


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def find_choice(choices: HyperParameters, name: str) -> Any:
    """Return the choice with this name; ChoiceError if there is none."""
    for choice in choices.space:
        if choice.name == name:
            return choice
    names = ", ".join(choice.name for choice in choices.space)
    raise ChoiceError(f"{name!r} is not a choice of the space; it has {names or 'none'}")


def listed_values(choice: Any) -> list[Any]:
    """Return the values of a choice that lists them; empty for a range."""
    if isinstance(choice, (kinds.Int, kinds.Float)):
        return []
    return [choice.value] if isinstance(choice, kinds.Fixed) else list(choice.values)


def check_value(choice: Any, value: Any) -> None:
    """Raise a ChoiceError if a choice cannot have a value."""
    if values := listed_values(choice):
        if not any(value == v and isinstance(value, bool) == isinstance(v, bool) for v in values):
            raise ChoiceError(f"{choice.name} must be one of {', '.join(map(repr, values))}, not {value!r}")
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ChoiceError(f"{choice.name} must be a number, not {value!r}")
    elif not choice.min_value <= value <= choice.max_value:
        raise ChoiceError(f"{choice.name} must be from {choice.min_value} to {choice.max_value}, not {value!r}")
