"""Estimating the run time of a search before it starts, by timing a small and a large design.

The time per image is a constant that every network pays (augmentation, the host's part of a step, memory traffic) plus
FLOPs / throughput; two designs determine both.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_search import backend
from fer_search.choices import fill_defaults
from fer_search.data.spec import DataSpec
from fer_search.design import Backbone, Design
from fer_search.files import storage_failed
from fer_search.models import Cost, measure_cost
from fer_search.search.display.events import Range
from fer_search.search.display.formatting import format_choices
from fer_search.search.proposing.oracles import oracle_for
from fer_search.search.scheduling.budget import TrialBudgets, baseline_names, plan_budgets, trial_limit
from fer_search.search.scheduling.speed import SPREAD, Speed, equivalent_images, training_flops
from fer_search.search.settings import Settings
from fer_search.space import Space
from fer_search.training.trial import Progress, Stopped, Trial, TrialData, TrialHooks, train

SAMPLES = 8  # random designs whose FLOPs are counted, besides the baselines
TIMING_SECONDS = 2.0  # training time that a measurement aims at
DEVICE_STEPS = 64  # batches to time on a GPU or TPU, at most
DEFAULT_THROUGHPUT = 3e10  # FLOP/s assumed before anything is measured: a few CPU cores


@dataclass(frozen=True)
class SampledDesign:
    """A design of the space, its name or formatted choices, and its cost."""

    name: str
    design: Design
    cost: Cost


def estimate_search(
    settings: Settings,
    space: Space,
    data: TrialData,
    timer: Callable[[list[SampledDesign], bool], Speed],
    expensive: bool = True,
    on_speed: Callable[[Speed], None] = lambda speed: None,
) -> Range:
    """Return the seconds that the trials of a run will probably take, low and high, from a few seconds of training.

    Those of a search that only its time budget ends are the time budget.

    Args:
        settings: Options of the run.
        space: Design space.
        data: Training and validation images.
        timer: ``time_designs`` of an executor.
        expensive: Whether to time an expensive design too.
        on_speed: Called with the fitted time model.
    """
    names = baseline_names(settings, space)
    limit = trial_limit(settings, names)
    budgets = plan_budgets(oracle_for(settings, space, len(data.labels)), len(names), limit, settings.max_epochs)
    seconds = settings.time_budget if budgets.endless else None
    samples = 0 if settings.baselines == "only" else SAMPLES
    designs = sample_designs(space, names[:limit], data.spec, samples)
    speed = timer(designs, expensive)
    on_speed(speed)
    if seconds is not None:
        return seconds, seconds
    if settings.equal_time:
        designs = [default_design(space, data.spec)] * len(designs)
    return estimate_seconds(designs, speed, budgets, len(names[:limit]), len(data.labels), len(data.val_labels))


def default_design(space: Space, spec: DataSpec) -> SampledDesign:
    """Return the design of a space's default values; with --equal-time, others take as long as it does."""
    design = space.design(fill_defaults(space.choices()))
    return SampledDesign("default", design, measure_cost(design, spec))


def sample_designs(
    space: Space, baselines: Sequence[str], spec: DataSpec, samples: int = SAMPLES
) -> list[SampledDesign]:
    """Return the baselines that will run and some random designs, always the same ones.

    A design that cannot be built has zero cost here; the search will report why.
    """
    points = [(name, space.baseline(name)) for name in baselines]
    rng = np.random.default_rng(0)
    points += [("", space.sample(rng)) for _ in range(samples)]
    designs = [(name or format_choices(hp.values), space.design(hp)) for name, hp in points]
    costs = {bare: _cost(bare, spec) for bare in dict.fromkeys(_layers_only(design) for _, design in designs)}
    return [SampledDesign(name, design, costs[_layers_only(design)]) for name, design in designs]


def time_designs(
    designs: Sequence[SampledDesign],
    data: TrialData,
    stop: Callable[[], bool] = lambda: False,
    devices: int = 1,
    expensive: bool = True,
) -> Speed:
    """Train a cheap and an expensive design for some seconds each; return the fitted time model.

    A design that cannot be trained contributes nothing; the search will report why. If that is the cheap one, the
    result is a guess.

    Args:
        designs: Candidates for the two.
        data: Training images.
        stop: Polled while training; True raises ``Stopped``.
        devices: Number of devices that share each batch.
        expensive: False to time the cheap design only.
    """
    guess = Speed(0.0, DEFAULT_THROUGHPUT, 1.0)
    by_cost = sorted((sampled for sampled in designs if sampled.cost.flops), key=lambda sampled: sampled.cost.flops)
    if not by_cost:
        return guess
    cheapest, dearest = by_cost[0], by_cost[-1]
    if (first := _try_timing(cheapest, data, DEFAULT_THROUGHPUT, stop, devices)) is None:
        return guess
    image, overhead = first
    throughput = 3 * cheapest.cost.flops / image
    from_cheapest = Speed(0.0, throughput, overhead)
    if not expensive or dearest.cost.flops < 1.5 * cheapest.cost.flops:
        return from_cheapest
    if (second := _try_timing(dearest, data, throughput, stop, devices)) is None:
        return from_cheapest
    slower_image, larger_overhead = second
    slope = max(slower_image - image, 0.05 * slower_image) / (3 * (dearest.cost.flops - cheapest.cost.flops))
    floor = max(image - 3 * cheapest.cost.flops * slope, 0.0)
    return Speed(floor, 1 / slope, (overhead + larger_overhead) / 2)


def estimate_seconds(
    designs: Sequence[SampledDesign], speed: Speed, budgets: TrialBudgets, baselines: int, images: int, val_images: int
) -> Range:
    """Return the seconds that a search will probably take, low and high.

    Args:
        designs: From ``sample_designs``, the baselines first.
        speed: From ``time_designs``.
        budgets: What will be trained.
        baselines: Number of designs that are baselines and run first.
        images: Training images per epoch.
        val_images: Validation images per epoch.
    """
    equivalent = equivalent_images(images, val_images)
    epoch = np.array(
        [equivalent * speed.image(training_flops(sampled.design, sampled.cost.flops)) for sampled in designs]
    )
    drawn = epoch[baselines:] if len(epoch) > baselines else epoch
    named = sum(budget * seconds for budget, seconds in zip(budgets.budgets, epoch[:baselines], strict=False))
    others = sum(budgets.budgets[baselines:])
    sampling_error = 1.3 * drawn.std() / np.sqrt(max(len(drawn), 1))
    fixed = len(budgets.budgets) * speed.trial
    low = SPREAD[0] * (fixed + named + others * max(drawn.mean() - sampling_error, drawn.min()))
    high = SPREAD[1] * (fixed + named + others * min(drawn.mean() + sampling_error, drawn.max()))
    return float(low), float(high)


def _try_timing(
    sampled: SampledDesign, data: TrialData, throughput: float, stop: Callable[[], bool], devices: int
) -> tuple[float, float] | None:
    """Return the result of ``_time``; None if the design cannot be trained."""
    try:
        return _time(sampled, data, throughput, stop, devices)
    except Exception as error:
        if isinstance(error, Stopped) or storage_failed(error):
            raise
        return None


def _time(
    sampled: SampledDesign, data: TrialData, throughput: float, stop: Callable[[], bool], devices: int
) -> tuple[float, float]:
    """Return the seconds per training image, and the seconds of a trial besides its images."""
    count = _timed_images(sampled, len(data.labels), throughput)
    parts = data.images[:count], data.labels[:count], data.images[:8], data.labels[:8]
    short = TrialData(*parts, class_names=data.class_names)
    watch = _Stopwatch()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        design = _without_pretrained_weights(sampled.design)
        trial = Trial(design, epochs=3, folder=Path(folder), seed=0, number=0, devices=devices)
        hooks = TrialHooks(should_stop=lambda: stop() or watch.seconds > TIMING_SECONDS, on_progress=watch)
        try:
            rows = train(trial, short, hooks)
        except Stopped:
            if stop():
                raise
            return watch.seconds / watch.images, time.perf_counter() - began - watch.seconds
    wall = time.perf_counter() - began
    epoch = min(rows[1]["seconds"], rows[2]["seconds"])
    return epoch / equivalent_images(count, 8), max(wall - 3 * epoch, 0.0)


def _timed_images(sampled: SampledDesign, images: int, throughput: float) -> int:
    """Return how many images to time a design on.

    On a CPU about as many as take ``TIMING_SECONDS``, fewer than a batch where need be. On other devices many batches,
    since a step of few images takes as long as a full one there; the stopwatch ends the measurement.
    """
    batch = sampled.design.optimisation.batch_size
    if not backend.device().startswith("CPU"):
        return min(DEVICE_STEPS * batch, images)
    wanted = TIMING_SECONDS * throughput / (3 * max(sampled.cost.flops, 1))
    return int(np.clip(wanted, 8, min(8 * batch, 2048, images)))


class _Stopwatch:
    """Sums the seconds and images between the reports of progress of each epoch; the first one includes compilation."""

    def __init__(self) -> None:
        self.seconds, self.images = 0.0, 0
        self.last: tuple[float, Progress] | None = None

    def __call__(self, progress: Progress) -> None:
        now = time.perf_counter()
        if self.last is not None and self.last[1].epoch == progress.epoch:
            self.seconds += now - self.last[0]
            self.images += progress.done - self.last[1].done
        self.last = now, progress


def _cost(design: Design, spec: DataSpec) -> Cost:
    try:
        return measure_cost(design, spec)
    except Exception:
        return Cost(0, 0)


def _layers_only(design: Design) -> Design:
    """Return a design with the same layers and default augmentation and optimisation."""
    return Design(network=_without_pretrained_weights(design).network, head=design.head)


def _without_pretrained_weights(design: Design) -> Design:
    if not isinstance(design.network, Backbone):
        return design
    return dataclasses.replace(design, network=dataclasses.replace(design.network, weights="none"))
