"""The dry run: the space, a batch, the cost of sampled designs and the estimated run time, without training."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from fer_search import backend
from fer_search.augment import augment, draw_epoch
from fer_search.console import SafeConsole
from fer_search.data.load import describe
from fer_search.inspection.describe import describe_space
from fer_search.search.display.formatting import format_range, plural
from fer_search.search.display.messages import describe_plan
from fer_search.search.executors.open import open_executor
from fer_search.search.proposing.oracles import oracle_for
from fer_search.search.run import load_data
from fer_search.search.scheduling.budget import baseline_names, plan_budgets, trial_limit
from fer_search.search.scheduling.estimate import SampledDesign, estimate_seconds, sample_designs
from fer_search.search.scheduling.speed import Speed, equivalent_images, training_flops
from fer_search.search.scheduling.time_limits import TimeLimits
from fer_search.search.settings import Settings
from fer_search.search.state import trial_data
from fer_search.search.trials.pretrained import resolve_missing_weights
from fer_search.search.trials.signals import Stop
from fer_search.space import load_space
from fer_search.training.trial import TrialData, TrialFailed


def print_dry_run(settings: Settings, console: Console | None = None) -> None:
    """Print what a search with these settings would do; writes nothing to its run folder.

    Args:
        settings: Options of the run.
        console: Console to print to; stdout by default.
    """
    console = console or SafeConsole()

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    loaded = load_space(settings.space, settings.width, settings.batch_size, settings.fix)
    space, skipped = resolve_missing_weights(loaded, settings)
    dataset, split = load_data(settings)
    data = trial_data(dataset, split)
    for part in describe_space(space):
        console.print(part)
    for entry in skipped:
        say(f"Missing here: {entry['what']} ({entry['why']}).")
    say(describe(dataset))
    say(f"Protocol: {split.note}.")
    say(f"Device: {backend.device()}, {backend.start()} backend.")
    names = baseline_names(settings, space)
    limit = trial_limit(settings, names)
    designs = sample_designs(space, names[:limit], dataset.spec)
    say(describe_batch(designs[0], data))
    budgets = plan_budgets(oracle_for(settings, space, len(data.labels)), len(names), limit, settings.max_epochs)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        with open_executor(settings, space, data, run, Stop(), say) as executor:
            speed, slots = executor.time_designs(designs, True), executor.slots
    unique = list(dict.fromkeys(designs))
    images = equivalent_images(len(data.labels), len(data.val_labels))
    console.print(_costs(unique, speed, images, console.width))
    limits = TimeLimits(speed, images, settings.max_seconds_per_epoch, settings.time_budget)
    if (slow := _count_slow(unique, limits, settings.max_epochs)) > 0:
        say(f"{slow} of these {len(unique)} designs are too slow for the time given, and would be left out.")
    if budgets.endless:
        say(describe_plan(settings, names, limit, budgets, len(data.labels), (0.0, 0.0))[-1])
        return
    low, high = estimate_seconds(designs, speed, budgets, len(names[:limit]), len(data.labels), len(data.val_labels))
    workers = f" with {slots} workers" if slots > 1 else ""
    say(
        f"Search: {settings.tuner}, {plural(len(budgets.budgets), 'trial')}, {plural(budgets.epochs, 'epoch')}; "
        f"{format_range(low / slots, high / slots)} on this device{workers}."
    )


def describe_batch(sampled: SampledDesign, data: TrialData) -> str:
    """Describe one training batch of a design: its size, pixel values and labels after augmentation."""
    import keras

    design, rng = sampled.design, np.random.default_rng(0)
    size = min(design.optimisation.batch_size, len(data.labels))
    rows = rng.choice(len(data.labels), size, replace=False)
    plan = draw_epoch(rng, 1, size, design.augmentation, data.spec.image_size)
    one_hot = np.eye(len(data.class_names), dtype="float32")[data.labels[rows]]
    images, labels = augment(data.images[rows], one_hot, {name: values[0] for name, values in plan.items()})
    pixels, fractions = keras.ops.convert_to_numpy(images), keras.ops.convert_to_numpy(labels).mean(axis=0)
    classes = ", ".join(f"{name} {fraction:.0%}" for name, fraction in zip(data.class_names, fractions, strict=True))
    return (
        f"A batch of {sampled.name}: {size} images, grey values from {pixels.min():.0f} to {pixels.max():.0f}, "
        f"mean {pixels.mean():.0f}; labels {classes}."
    )


def _count_slow(designs: list[SampledDesign], limits: TimeLimits, epochs: int) -> int:
    """Return how many designs a search would leave out because they take too long."""
    slow = 0
    for sampled in designs:
        try:
            limits.check(training_flops(sampled.design, sampled.cost.flops), epochs)
        except TrialFailed:
            slow += 1
    return slow


def _costs(designs: list[SampledDesign], speed: Speed, images: float, width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for head in ("parameters", "GFLOP an image", "seconds an epoch"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("design", no_wrap=True, overflow="ellipsis", max_width=max(width - 53, 20))
    for sampled in designs:
        cost = sampled.cost
        seconds = images * speed.image(training_flops(sampled.design, cost.flops))
        table.add_row(f"{cost.parameters:,}", f"{cost.flops / 1e9:.3g}", f"{seconds:.3g}", sampled.name)
    return table
