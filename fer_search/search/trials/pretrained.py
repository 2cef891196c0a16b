"""Checking before a search that the space's pretrained weights are available, and handling those that are not."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any

import numpy as np

from fer_search.choices import resample
from fer_search.design import Backbone, Design
from fer_search.errors import UserError
from fer_search.models import check_weights
from fer_search.search.settings import Settings
from fer_search.space import Space

SAMPLES = 300  # random designs, enough to see every backbone of a space
Values = dict[str, Any]


def resolve_missing_weights(space: Space, settings: Settings) -> tuple[Space, list[dict[str, str]]]:
    """Return the space as it can be searched here, and what is left out of it ("what" and "why").

    Args:
        space: Space as loaded.
        settings: ``missing_weights``: "skip" removes the values of choices that need missing weights, "random" starts
            such networks from random weights, "error" refuses to start.

    Raises:
        UserError: Weights are missing and "error" is set, or nothing is left to search.
    """
    designs = _designs(space)
    backbones = {d.network for _, d in designs if isinstance(d.network, Backbone) and d.network.weights != "none"}
    problems = {b: why for b, why in check_weights(sorted(backbones, key=str), settings.weights_dir).items() if why}
    if not problems:
        return space, []
    if settings.missing_weights == "error":
        raise UserError(f"{next(iter(problems.values()))}; --missing-weights skip searches the rest")
    if settings.missing_weights == "random":
        named = {
            f"pretrained weights of {b.name}": f"{why}; starts from random weights instead"
            for b, why in problems.items()
        }
        return dataclasses.replace(space, make=_from_scratch(space, set(problems))), _listed(named)
    without = _values_to_remove(designs, problems)
    remaining = space.restricted({}, without)
    why = {
        f"{choice} {value}": _why(designs, problems, choice, value)
        for choice, values in without.items()
        for value in values
    }
    why |= {f"baseline {name}": "needs missing weights" for name in space.baselines if name not in remaining.baselines}
    if not remaining.all_choices.space and not remaining.baselines:
        raise UserError(f"{next(iter(problems.values()))}; nothing in {space.path} can be searched without them")
    return remaining, _listed(why)


def _designs(space: Space) -> list[tuple[Values, Design]]:
    rng, hp = np.random.default_rng(0), space.choices()
    baselines = [(choices.values, space.design(choices)) for choices in map(space.baseline, space.baselines)]
    return baselines + [(values, space.design(hp)) for values in (resample(hp, rng).values for _ in range(SAMPLES))]


def _values_to_remove(designs: list[tuple[Values, Design]], problems: dict[Backbone, str]) -> dict[str, list[Any]]:
    """Return a small set of choice values that covers every design with missing weights and no other design."""
    with_value: dict[tuple[str, Any], list[int]] = defaultdict(list)
    for index, (values, _) in enumerate(designs):
        for choice, value in values.items():
            with_value[choice, value].append(index)
    broken = {index for index, (_, design) in enumerate(designs) if design.network in problems}
    always = {key: set(indices) for key, indices in with_value.items() if set(indices) <= broken}
    without: dict[str, list[Any]] = defaultdict(list)
    while broken and always:
        choice, value = max(always, key=lambda key: len(always[key] & broken))
        covered = always.pop((choice, value)) & broken
        if not covered:
            break
        without[choice].append(value)
        broken -= covered
    return dict(without)


def _why(designs: list[tuple[Values, Design]], problems: dict[Backbone, str], choice: str, value: Any) -> str:
    reasons = {problems[d.network]: None for v, d in designs if v.get(choice) == value and d.network in problems}
    return next(iter(reasons)) + (f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else "")


def _from_scratch(space: Space, missing: set[Backbone]) -> Any:
    def make(hp: Any) -> Design:
        design = space.make(hp)
        if isinstance(design, Design) and design.network in missing:
            return dataclasses.replace(design, network=dataclasses.replace(design.network, weights="none"))
        return design

    return make


def _listed(named: dict[str, str]) -> list[dict[str, str]]:
    return [{"what": what, "why": why} for what, why in named.items()]
