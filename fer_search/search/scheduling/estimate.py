"""What a search will take here, before it starts: two designs of the space are trained for a moment.

The time of an image grows with a network's arithmetic from a floor that every network has (augmentation, the host's
part of a step, memory traffic); a line through a cheap and a dear design gives both.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_search.design import Backbone, Design
from fer_search.files import disk_is_full
from fer_search.models import Cost, measure
from fer_search.search.display.formatting import choices_in_words
from fer_search.search.scheduling.budget import Amount
from fer_search.space import Space
from fer_search.training.batchnorm_stats import IMAGES
from fer_search.training.trial import Stopped, Trial, TrialData, Watcher, train

SAMPLES = 8  # designs whose arithmetic is counted, besides the baselines
IMAGE_SECONDS = 2.0  # of training that a timing aims at
SLOWEST_FLOPS = 3e10  # a second, assumed before anything is known: what a few CPU cores do
FORWARD_SHARE = 1 / 3  # of a training image's time: of one that is validated, or that BN's statistics are measured on
SPREAD = (0.8, 1.4)  # later epochs were seen to take this much of what a timing says: clocks, caches, neighbours


@dataclass(frozen=True)
class Speed:
    """What a network costs in time on this machine.

    Args:
        floor: seconds a training image that every network takes.
        flops: floating-point operations a second, of a forward pass; a training image is three of them.
        trial: seconds that a trial takes besides its images: building, compiling, checkpoints.
    """

    floor: float
    flops: float
    trial: float

    def image(self, flops: float) -> float:
        """Return the seconds of a training image of a network."""
        return self.floor + 3 * flops / self.flops


@dataclass(frozen=True)
class Sampled:
    """A design of the space: its name or choices in words, what it is and costs."""

    name: str
    design: Design
    cost: Cost


def sample_designs(space: Space, baselines: Sequence[str], samples: int = SAMPLES) -> list[Sampled]:
    """Return the baselines that will run, and some random designs, always the same.

    One that cannot be built costs nothing here; the search will say why.
    """
    found = [(name, space.baseline(name)) for name in baselines]
    rng = np.random.default_rng(0)
    found += [("", space.sample(rng)) for _ in range(samples)]
    designs = [(name or choices_in_words(hp.values), space.design(hp)) for name, hp in found]
    known = {bare: _cost(bare) for bare in dict.fromkeys(_bare(design) for _, design in designs)}
    return [Sampled(name, design, known[_bare(design)]) for name, design in designs]


def time_designs(
    designs: Sequence[Sampled],
    data: TrialData,
    stop: Callable[[], bool] = lambda: False,
    devices: int = 1,
    dear: bool = True,
) -> Speed:
    """Train a cheap and a dear design for two short epochs each; return what was learned.

    A design that cannot be trained tells nothing; the search will say why. Where that is the cheap one, the answer is
    a guess.

    Args:
        designs: to choose them from.
        data: to train on.
        stop: asked while they train; ends it with ``Stopped``.
        devices: how many share each batch.
        dear: False for the cheap design alone.
    """
    guess = Speed(0.0, SLOWEST_FLOPS, 1.0)
    by_cost = sorted((one for one in designs if one.cost.flops), key=lambda one: one.cost.flops)
    if not by_cost:
        return guess
    cheap, dearest = by_cost[0], by_cost[-1]
    if (first := _try(cheap, data, SLOWEST_FLOPS, stop, devices)) is None:
        return guess
    image, overhead = first
    speed = 3 * cheap.cost.flops / image
    known = Speed(0.0, speed, overhead)
    if not dear or dearest.cost.flops < 1.5 * cheap.cost.flops:
        return known
    if (second := _try(dearest, data, speed, stop, devices)) is None:
        return known
    slower, more = second
    slope = max(slower - image, 0.05 * slower) / (3 * (dearest.cost.flops - cheap.cost.flops))
    return Speed(max(image - 3 * cheap.cost.flops * slope, 0.0), 1 / slope, (overhead + more) / 2)


def estimate_seconds(
    designs: Sequence[Sampled], speed: Speed, amount: Amount, baselines: int, images: int, val_images: int
) -> tuple[float, float]:
    """Return the least and the most seconds that a search will probably take.

    Args:
        designs: from ``sample_designs``, the baselines first.
        speed: from ``time_designs``.
        amount: what will be trained.
        baselines: how many of the designs are baselines that run first.
        images: training images an epoch.
        val_images: validation images an epoch.
    """
    counted = counted_images(images, val_images)
    epoch = np.array([counted * speed.image(one.cost.flops) for one in designs])
    drawn = epoch[baselines:] if len(epoch) > baselines else epoch
    named = sum(budget * seconds for budget, seconds in zip(amount.budgets, epoch[:baselines], strict=False))
    others = sum(amount.budgets[baselines:])
    sampling = 1.3 * drawn.std() / np.sqrt(max(len(drawn), 1))
    fixed = amount.trials * speed.trial
    low = SPREAD[0] * (fixed + named + others * max(drawn.mean() - sampling, drawn.min()))
    high = SPREAD[1] * (fixed + named + others * min(drawn.mean() + sampling, drawn.max()))
    return float(low), float(high)


def counted_images(images: int, val_images: int) -> float:
    """Return how many training images take as long as an epoch of these, with its validation."""
    return images + FORWARD_SHARE * (val_images + min(images, IMAGES))


def _try(
    one: Sampled, data: TrialData, speed: float, stop: Callable[[], bool], devices: int
) -> tuple[float, float] | None:
    """Return what ``_time`` does; None where the design cannot be trained."""
    try:
        return _time(one, data, speed, stop, devices)
    except Exception as error:
        if isinstance(error, Stopped) or disk_is_full(error):
            raise
        return None


def _time(one: Sampled, data: TrialData, speed: float, stop: Callable[[], bool], devices: int) -> tuple[float, float]:
    """Return the seconds of a training image, and of what a trial needs besides its images."""
    batch = one.design.optimisation.batch_size
    count = int(
        np.clip(IMAGE_SECONDS * speed / (3 * max(one.cost.flops, 1)), 8, min(8 * batch, 2048, len(data.labels)))
    )
    short = TrialData(data.images[:count], data.labels[:count], data.images[:8], data.labels[:8])
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(_untrained(one.design), epochs=3, folder=Path(folder), seed=0, number=0, devices=devices)
        rows = train(trial, short, Watcher(stop=stop))
    wall = time.perf_counter() - began
    epoch = min(rows[1]["seconds"], rows[2]["seconds"])
    return epoch / counted_images(count, 8), max(wall - 3 * epoch, 0.0)


def _cost(design: Design) -> Cost:
    try:
        return measure(design)
    except Exception:
        return Cost(0, 0)


def _bare(design: Design) -> Design:
    """Return a design with the same layers and nothing else."""
    return Design(network=_untrained(design).network, head=design.head)


def _untrained(design: Design) -> Design:
    """Return a design that needs no pretrained weights."""
    if not isinstance(design.network, Backbone):
        return design
    return dataclasses.replace(design, network=dataclasses.replace(design.network, weights="none"))
