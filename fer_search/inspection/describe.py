"""Describing a space: its choices and conditions, its size, and the parameters and FLOPs of sampled designs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras_tuner import HyperParameters
from keras_tuner.engine import hyperparameters as kinds
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from fer_search.choices import fill_defaults, find_choice, listed_values
from fer_search.data.spec import DataSpec
from fer_search.design import BACKBONES, Backbone, Custom, Design
from fer_search.space import Space


@dataclass(frozen=True)
class Size:
    """Number of distinct designs in a space.

    Args:
        combinations: Combinations of the values of all countable choices, respecting conditions.
        ranges: Names of the choices with a continuous range, which are not counted.
    """

    combinations: int
    ranges: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Costs:
    """Costs of sampled designs, one entry per design.

    Args:
        parameters: int64 (n,), number of weights.
        flops: int64 (n,), floating-point operations of the forward pass of one image, 2 per multiply-add.
        networks: Network family of each design, or the name of its backbone.
        seconds: float64 (n,), estimated seconds per epoch on this machine; None if nothing was timed.
        timed_on: The training images that the seconds are for.
    """

    parameters: np.ndarray
    flops: np.ndarray
    networks: tuple[str, ...]
    seconds: np.ndarray | None = None
    timed_on: str = ""


def count_designs(choices: HyperParameters) -> Size:
    """Count the designs of a space by enumerating the values of the choices that others depend on."""
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
    """Return the values of a choice; for a continuous range Keras Tuner's ten grid values."""
    return listed_values(choice) or list(choice.values)


def _count_values(choice: Any) -> int | None:
    """Return the number of values of a choice; None for a continuous range."""
    if isinstance(choice, kinds.Float) and choice.step is None:
        return None
    return len(all_values(choice))


def measure_costs(
    space: Space,
    samples: int = 100,
    seed: int = 0,
    tick: Callable[[], None] = lambda: None,
    spec: DataSpec | None = None,
) -> Costs:
    """Measure the costs of sampled designs; networks of equal cost are built once.

    Args:
        space: The space.
        samples: Number of designs.
        seed: Random seed of the sample.
        tick: Called after each design.
        spec: Image size, channels and classes of the data; FER2013's if None.
    """
    from fer_search.models import Cost, measure_cost

    rng = np.random.default_rng(seed)
    known: dict[Design, Cost] = {}
    costs, networks = [], []
    for _ in range(samples):
        design = cost_equivalent(space.design(space.sample(rng)))
        if design not in known:
            known[design] = measure_cost(design, spec or DataSpec())
        costs.append(known[design])
        networks.append(_network_name(design))
        tick()
    parameters, flops = (np.array([getattr(c, name) for c in costs], np.int64) for name in ("parameters", "flops"))
    return Costs(parameters, flops, tuple(networks))


def _network_name(design: Design) -> str:
    network = design.network
    if isinstance(network, Custom):
        return network.function
    return network.name if isinstance(network, Backbone) else design.family


def cost_equivalent(design: Design) -> Design:
    """Return a design of equal cost, with everything that does not affect the cost reset."""
    network = design.network
    if isinstance(network, Custom):
        return Design(network=network, head=dataclasses.replace(design.head, dropout=(0.0,)))
    if isinstance(network, Backbone):
        network = Backbone(network.name, "none", network.input_size, network.channels, alpha=network.alpha)
    else:
        network = dataclasses.replace(network, dropout=(0.0,), noise=0.0)
    return Design(network=network, head=dataclasses.replace(design.head, dropout=(0.0,)))


def describe_space(space: Space, costs: Costs | None = None) -> list[RenderableType]:
    """Return the output of ``fer-search space show``, for consoles of at least 80 columns."""
    choices = space.choices()
    size = count_designs(choices)
    ranges = f", times the continuous ranges of {', '.join(size.ranges)}" if size.ranges else ""
    about = (space.namespace.get("__doc__") or "").strip().partition("\n\n")[0]
    parts: list[RenderableType] = [Text(str(space.path), style="bold"), Text(" ".join(about.split())), Text()]
    parts += _choice_tables(choices)
    counts = [(len(choices.space), "choice"), (size.combinations, "combination")]
    words = ", ".join(f"{number:,} {noun}{'' if number == 1 else 's'}" for number, noun in counts)
    parts.append(Text(f"{words}{ranges}."))
    if space.baselines:
        parts += [Text(), _baseline_table(space)]
    others = {name: value for name, value in space.references.items() if name not in space.baselines}
    if others:
        published = "; ".join(f"{name} {value:.4g}" for name, value in others.items())
        parts += [Text(), Text(f"Published elsewhere: {published}.")]
    if costs is not None:
        parts += [Text(), _cost_table(costs), Text(_cost_caption(space, costs))]
    return parts


def _choice_tables(choices: HyperParameters) -> list[RenderableType]:
    """Return one table of choices per set of conditions, with equal column widths."""
    rows: dict[str, list[tuple[str, str, str]]] = {}
    for choice in choices.space:
        conditions = " and ".join(_condition_text(choices, condition) for condition in choice.conditions)
        default = "" if isinstance(choice, kinds.Fixed) else _text(choice.default)
        rows.setdefault(conditions, []).append((choice.name, default, _values_text(choice)))
    columns = ("choice", "default", "values")
    every = [columns, *(row for group in rows.values() for row in group)]
    widths = [max(len(row[at]) for row in every) for at in (0, 1)]
    parts: list[RenderableType] = []
    for conditions, group in rows.items():
        table = _table(*columns, widths=widths, header=not parts)
        for row in group:
            table.add_row(*row)
        parts += [Text(f"where {conditions}", style="italic"), table] if conditions else [table]
        parts.append(Text())
    return parts


def _condition_text(choices: HyperParameters, condition: Any) -> str:
    """Return a condition as text, naming the excluded values if those are fewer."""
    left_out = [value for value in all_values(find_choice(choices, condition.name)) if value not in condition.values]
    fewer = 0 < len(left_out) < len(condition.values) - 1
    return f"{condition.name} is {'not ' * fewer}{' or '.join(map(_text, left_out if fewer else condition.values))}"


def _values_text(choice: Any) -> str:
    if values := listed_values(choice):
        return ", ".join(map(_text, values))
    step = f", step {choice.step:g}" if choice.step and not (isinstance(choice, kinds.Int) and choice.step == 1) else ""
    scale = ", log scale" if choice.sampling in ("log", "reverse_log") else ""
    return f"{choice.min_value:g} to {choice.max_value:g}{step}{scale}"


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _baseline_table(space: Space) -> Table:
    table = _table("baseline", "changes to the defaults", "published")
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
    known = fill_defaults(hp).values
    return {k: v for k, v in known.items() if k not in parents} | {k: space.choices().values.get(k) for k in parents}


def _cost_table(costs: Costs) -> Table:
    timed = costs.seconds is not None
    table = _table("network", "designs", "parameters, millions", "GFLOP per image", *["seconds per epoch"][:timed])
    of_kind = {kind: np.array(costs.networks) == kind for kind in dict.fromkeys(sorted(costs.networks))}
    if len(of_kind) > 1:
        of_kind = {"all": np.full(len(costs.networks), True)} | of_kind
    for kind, rows in of_kind.items():
        cells = [_spread(costs.parameters[rows] / 1e6), _spread(costs.flops[rows] / 1e9)]
        if costs.seconds is not None:
            cells.append(_spread(costs.seconds[rows]))
        table.add_row(kind, f"{rows.sum()}", *cells)
    return table


def _spread(values: np.ndarray) -> str:
    if values.min() == values.max():
        return f"{values[0]:,.3g}"
    return ", ".join(f"{v:,.3g}" for v in (values.min(), np.median(values), values.max()))


def _cost_caption(space: Space, costs: Costs) -> str:
    caption = f"Minimum, median and maximum of {len(costs.flops)} sampled designs; FLOPs per image, forward."
    if costs.seconds is not None:
        caption += f" Seconds per epoch are estimated from two short trainings here, on {costs.timed_on}."
    if space.width != 1 and any(name in BACKBONES for name in costs.networks):
        caption += f" --width {space.width:g} scales only our own networks; a pretrained backbone keeps its size."
    return caption


def _table(*columns: str, widths: Sequence[int] = (), header: bool = True) -> Table:
    table = Table(box=box.SIMPLE_HEAD if header else None, padding=(0, 1), show_edge=False, show_header=header)
    for at, column in enumerate(columns):
        table.add_column(column, overflow="fold", min_width=widths[at] if at < len(widths) else None)
    return table
