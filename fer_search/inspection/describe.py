"""What a space holds and costs: its choices and conditions, its size, parameters and arithmetic of sampled designs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras_tuner import HyperParameters
from keras_tuner.engine import hyperparameters as kinds
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from fer_search.choices import fill, listed
from fer_search.design import Backbone, Design
from fer_search.space import Space


@dataclass(frozen=True)
class Size:
    """How many different designs a space has.

    Args:
        combinations: of the values of all choices that can be counted, conditions honoured.
        ranges: names of the choices that have a continuous range besides.
    """

    combinations: int
    ranges: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Costs:
    """Costs of sampled designs, one number each.

    Args:
        parameters: int64 (n,), weights of the network.
        flops: int64 (n,), floating-point operations of one image's forward pass, 2 for each multiply-add.
    """

    parameters: np.ndarray
    flops: np.ndarray


def count_designs(choices: HyperParameters) -> Size:
    """Count the designs of a space by going through the values of the choices on which others depend."""
    parents = {condition.name for choice in choices.space for condition in choice.conditions}
    free = [choice for choice in choices.space if choice.name not in parents]
    gates = [choice for choice in choices.space if choice.name in parents]

    def count(at: int, hp: HyperParameters) -> int:
        if at == len(gates):
            return math.prod(_count_values(choice) or 1 for choice in free if hp.is_active(choice))
        if not hp.is_active(gates[at]):
            return count(at + 1, hp)
        total = 0
        for value in all_values(gates[at]):
            hp.values[gates[at].name] = value
            total += count(at + 1, hp)
            del hp.values[gates[at].name]
        return total

    hp = choices.copy()
    hp.values = {}
    return Size(count(0, hp), tuple(c.name for c in choices.space if _count_values(c) is None))


def all_values(choice: Any) -> list[Any]:
    """Return a choice's values; of a continuous range some (Keras Tuner's ten)."""
    return listed(choice) or list(choice.values)


def _count_values(choice: Any) -> int | None:
    """Return how many values a choice has; None for a continuous range."""
    if isinstance(choice, kinds.Float) and choice.step is None:
        return None
    return len(all_values(choice))


def measure_costs(space: Space, samples: int = 100, seed: int = 0, tick: Callable[[], None] = lambda: None) -> Costs:
    """Return what sampled designs cost; networks that differ in nothing that costs are built once.

    Args:
        space: the space.
        samples: how many designs.
        seed: of the sample.
        tick: called after each design.
    """
    from fer_search.models import Cost, measure

    rng = np.random.default_rng(seed)
    known: dict[Design, Cost] = {}
    costs = []
    for _ in range(samples):
        design = bare(space.design(space.sample(rng)))
        if design not in known:
            known[design] = measure(design)
        costs.append(known[design])
        tick()
    return Costs(np.array([c.parameters for c in costs], np.int64), np.array([c.flops for c in costs], np.int64))


def bare(design: Design) -> Design:
    """Return a design with the same layers and nothing else: no weights to load, no augmentation."""
    network = design.network
    if isinstance(network, Backbone):
        network = dataclasses.replace(network, weights="none")
    return Design(network=network, head=design.head)


def describe_space(space: Space, costs: Costs | None = None) -> list[RenderableType]:
    """Return what ``fer-search space show`` prints."""
    size = count_designs(space.choices())
    ranges = f", times the continuous ranges of {', '.join(size.ranges)}" if size.ranges else ""
    parts: list[RenderableType] = [
        Text(str(space.path), style="bold"),
        _choice_table(space.choices()),
        Text(f"{len(space.choices().space)} choices, {size.combinations:,} combinations{ranges}."),
    ]
    if space.baselines:
        parts += [Text(), _baseline_table(space)]
    others = {name: value for name, value in space.references.items() if name not in space.baselines}
    if others:
        listed_ = "; ".join(f"{name} {value:.4g}" for name, value in others.items())
        parts += [Text(), Text(f"Published elsewhere: {listed_}.")]
    if costs is not None:
        parts += [Text(), _cost_table(costs)]
    return parts


def _choice_table(choices: HyperParameters) -> Table:
    table = _table("choice", "values", "default", "only when")
    for choice in choices.space:
        conditions = " and ".join(f"{c.name} is {' or '.join(map(str, c.values))}" for c in choice.conditions)
        default = "" if isinstance(choice, kinds.Fixed) else _text(choice.default)
        table.add_row(choice.name, _values_text(choice), default, conditions)
    return table


def _values_text(choice: Any) -> str:
    if values := listed(choice):
        return ", ".join(map(_text, values))
    step = f", step {choice.step:g}" if choice.step and not (isinstance(choice, kinds.Int) and choice.step == 1) else ""
    scale = ", log scale" if choice.sampling in ("log", "reverse_log") else ""
    return f"{choice.min_value:g} to {choice.max_value:g}{step}{scale}"


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _baseline_table(space: Space) -> Table:
    table = _table("baseline", "other than the defaults", "published")
    for name, values in space.baselines.items():
        defaults = _defaults(space, values)
        given = ", ".join(f"{k} {_text(v)}" for k, v in values.items() if v != defaults.get(k))
        published = space.references.get(name)
        table.add_row(name, given or "nothing", "" if published is None else f"{published:.4g}")
    return table


def _defaults(space: Space, values: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults in the branch of the conditions that a baseline takes."""
    hp = space.choices()
    parents = {condition.name for choice in hp.space for condition in choice.conditions}
    hp.values = {name: value for name, value in values.items() if name in parents}
    known = fill(hp).values
    return {k: v for k, v in known.items() if k not in parents} | {k: space.choices().values.get(k) for k in parents}


def _cost_table(costs: Costs) -> Table:
    table = _table(f"cost of {len(costs.flops)} sampled designs", "least", "median", "most")
    million = [f"{v / 1e6:,.2f} M" for v in _spread(costs.parameters)]
    table.add_row("parameters", *million)
    table.add_row("FLOPs of an image, forward", *(f"{v / 1e9:,.3f} G" for v in _spread(costs.flops)))
    return table


def _spread(values: np.ndarray) -> tuple[float, float, float]:
    return float(values.min()), float(np.median(values)), float(values.max())


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
