"""fer-search space."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from fer_search.commands.options import Classes, Colour, Data, ImageSize, Map, parse_data_options, parse_sources
from fer_search.console import SafeConsole
from fer_search.errors import UserError
from fer_search.terminal import printable

if TYPE_CHECKING:
    from fer_search.data.dataset import Dataset
    from fer_search.inspection.describe import Costs
    from fer_search.space import Space

space_app = typer.Typer(help="Inspect a search space.", no_args_is_help=True)
SpaceFile = Annotated[Path, typer.Argument(help="Search space, a Python file.")]
Width = Annotated[float, typer.Option(help="Factor on every filter count.")]
Samples = Annotated[int, typer.Option(help="Number of random designs.", min=0)]
Seed = Annotated[int, typer.Option(help="Random seed.")]
DataOfCheck = Annotated[
    list[Path] | None,
    typer.Option("--data", help="Data set to train on, as for fer-search run. [default: a few toy faces]"),
]


@space_app.command("show")
def show(
    file: SpaceFile,
    width: Width = 1.0,
    samples: Annotated[int, typer.Option(help="Number of designs whose cost is measured; 0 for none.", min=0)] = 100,
    plot: Annotated[Path | None, typer.Option(help="Write an HTML page with images under every augmentation.")] = None,
    data: Data = None,
    classes: Classes = None,
    map: Map = None,
    image_size: ImageSize = None,
    colour: Colour = False,
    seed: Seed = 0,
    time: Annotated[
        bool, typer.Option(help="Train two designs for a moment to estimate the seconds per epoch on this machine.")
    ] = True,
) -> None:
    """Show a space: its choices and conditions, its size, and the costs of sampled designs."""
    from fer_search import backend

    backend.start()
    from fer_search.data.load import load_dataset
    from fer_search.inspection.describe import describe_space, measure_costs
    from fer_search.space import load_space

    space = load_space(file, width)
    console = SafeConsole()
    costs = dataset = None
    if data or plot is not None or (samples and time):
        options = parse_data_options(classes, map, image_size, colour, None, None)
        dataset = load_dataset(parse_sources(data), options=options)
    if samples:
        with Progress(console=SafeConsole(stderr=True), transient=True) as progress:
            task = progress.add_task(f"costs of {samples} designs", total=samples)
            costs = measure_costs(
                space, samples, seed, lambda: progress.advance(task), dataset.spec if dataset else None
            )
            if time and dataset is not None:
                progress.update(task, description="timing two designs")
                costs = _with_seconds(costs, space, dataset)
    for part in describe_space(space, costs):
        console.print(part)
    if plot is not None and dataset is not None:
        from fer_search.inspection.gallery import plot_space

        print(plot_space(space, dataset, plot, seed))


def _with_seconds(costs: Costs, space: Space, dataset: Dataset) -> Costs:
    """Add the estimated seconds per epoch on all images of a data set that a search would train on."""
    import numpy as np

    from fer_search.data.split import make_split
    from fer_search.search.scheduling.estimate import sample_designs, time_designs
    from fer_search.search.scheduling.speed import equivalent_images
    from fer_search.search.state import trial_data

    images = trial_data(dataset, make_split(dataset, validation=None, near=False))
    speed = time_designs(sample_designs(space, list(space.baselines), images.spec), images)
    count = equivalent_images(len(images.labels), len(images.val_labels))
    seconds = np.array([count * speed.image(flops) for flops in costs.flops])
    return dataclasses.replace(costs, seconds=seconds, timed_on=f"{len(images.labels):,} images of {dataset.name}")


@space_app.command("check")
def check(
    file: SpaceFile,
    width: Width = 1.0,
    samples: Samples = 5,
    seed: Seed = 0,
    data: DataOfCheck = None,
    classes: Classes = None,
    map: Map = None,
    image_size: ImageSize = None,
    colour: Colour = False,
) -> None:
    """Train every baseline and some random designs for one step; exit code 2 if one fails.

    The toy faces have FER2013's seven classes.
    """
    from fer_search import backend

    backend.start()
    from fer_search.inspection.check import check_space
    from fer_search.space import load_space

    space, dataset, failed = load_space(file, width), None, 0
    if data:
        from fer_search.data.load import load_dataset

        options = parse_data_options(classes, map, image_size, colour, None, None)
        dataset = load_dataset(parse_sources(data), options=options)
    for result in check_space(space, samples, seed, dataset):
        failed += bool(result.problem)
        print(printable(f"{result.name}: {result.problem or f'trains, {result.seconds:.1f} s'}"), flush=True)
    if failed:
        raise UserError(f"{file}: {failed} of the designs above do not train")
