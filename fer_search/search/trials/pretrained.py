"""Before a search: whether the pretrained weights that its space wants can be had, and what to do where they cannot."""

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

SAMPLES = 300  # designs, to meet every backbone of a space
Values = dict[str, Any]


def settle_weights(space: Space, settings: Settings) -> tuple[Space, list[dict[str, str]]]:
    """Return the space as it can be searched here, and what is left out: "what" and "why".

    Args:
        space: as loaded.
        settings: ``missing_weights`` "skip" leaves out the values of choices that need missing weights, "random" starts
            such networks from random weights, "error" refuses.

    Raises:
        UserError: weights are missing and must not be, or nothing is left.
    """
    met = _designs(space)
    backbones = {d.network for _, d in met if isinstance(d.network, Backbone) and d.network.weights != "none"}
    problems = {b: why for b, why in check_weights(sorted(backbones, key=str), settings.weights_dir).items() if why}
    if not problems:
        return space, []
    if settings.missing_weights == "error":
        raise UserError(f"{next(iter(problems.values()))}; --missing-weights skip searches the rest")
    if settings.missing_weights == "random":
        named = {
            f"pretrained weights of {b.name}": f"{why}; it starts from random weights" for b, why in problems.items()
        }
        return dataclasses.replace(space, make=_from_scratch(space, set(problems))), _listed(named)
    without = _values_to_leave_out(met, problems)
    left = space.restricted({}, without)
    why = {
        f"{choice} {value}": _why(met, problems, choice, value) for choice, gone in without.items() for value in gone
    }
    why |= {f"baseline {name}": "needs what is missing" for name in space.baselines if name not in left.baselines}
    if not left.all_choices.space and not left.baselines:
        raise UserError(f"{next(iter(problems.values()))}; nothing of {space.path} can be searched without")
    return left, _listed(why)


def _designs(space: Space) -> list[tuple[Values, Design]]:
    rng, hp = np.random.default_rng(0), space.choices()
    found = [(choices.values, space.design(choices)) for choices in map(space.baseline, space.baselines)]
    return found + [(values, space.design(hp)) for values in (resample(hp, rng).values for _ in range(SAMPLES))]


def _values_to_leave_out(met: list[tuple[Values, Design]], problems: dict[Backbone, str]) -> dict[str, list[Any]]:
    """Return the values of choices with which every design needs missing weights, as few as explain all of them."""
    with_value: dict[tuple[str, Any], list[int]] = defaultdict(list)
    for at, (values, _) in enumerate(met):
        for choice, value in values.items():
            with_value[choice, value].append(at)
    broken = {at for at, (_, design) in enumerate(met) if design.network in problems}
    always = {key: set(at) for key, at in with_value.items() if set(at) <= broken}
    without: dict[str, list[Any]] = defaultdict(list)
    while broken and always:
        choice, value = max(always, key=lambda key: len(always[key] & broken))
        covered = always.pop((choice, value)) & broken
        if not covered:
            break
        without[choice].append(value)
        broken -= covered
    return dict(without)


def _why(met: list[tuple[Values, Design]], problems: dict[Backbone, str], choice: str, value: Any) -> str:
    found = {problems[d.network]: None for v, d in met if v.get(choice) == value and d.network in problems}
    return next(iter(found)) + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")


def _from_scratch(space: Space, missing: set[Backbone]) -> Any:
    def make(hp: Any) -> Design:
        design = space.make(hp)
        if isinstance(design, Design) and design.network in missing:
            return dataclasses.replace(design, network=dataclasses.replace(design.network, weights="none"))
        return design

    return make


def _listed(named: dict[str, str]) -> list[dict[str, str]]:
    return [{"what": what, "why": why} for what, why in named.items()]
