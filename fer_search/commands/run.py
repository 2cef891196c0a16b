"""fer-search run."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from fer_search.commands.options import (
    REPORT_SPACE,
    RESULTS,
    Baselines,
    Data,
    Devices,
    FerplusCsv,
    Labels,
    LabelsOption,
    MissingWeights,
    Protocol,
    Prune,
    ResultsDir,
    Space,
    Tuner,
)


def run(
    space: Space = REPORT_SPACE,
    data: Data = "auto",
    tuner: Annotated[Tuner, typer.Option(help="Which of Keras Tuner's oracles proposes.")] = Tuner.hyperband,
    max_trials: Annotated[
        int | None,
        typer.Option(help="Trials in all, baselines included. [default: 50; hyperband, grid: their own end]"),
    ] = None,
    max_epochs: Annotated[int, typer.Option(help="Epochs of a trial; Hyperband: of its last rung.")] = 50,
    time_budget: Annotated[
        str | None, typer.Option(help="End after this time, all starts together: 90s, 45min, 2h, 1d.")
    ] = None,
    factor: Annotated[int, typer.Option(help="Hyperband: cut trials and raise epochs by this from rung to rung.")] = 3,
    baselines: Annotated[
        Baselines, typer.Option(help="The space's named designs: before the tuner's, without the tuner, or not at all.")
    ] = Baselines.first,
    repeats: Annotated[
        int, typer.Option(help="Train every baseline this many times, each time with other random numbers.")
    ] = 1,
    patience: Annotated[
        int | None, typer.Option(help="End a trial after this many epochs without a better one; never a baseline.")
    ] = None,
    prune: Annotated[
        Prune, typer.Option(help="median: end a trial that is below the median of those before; never a baseline.")
    ] = Prune.none,
    max_params: Annotated[
        int | None, typer.Option(help="Networks with more parameters count as failed, untrained.")
    ] = None,
    max_failures: Annotated[int, typer.Option(help="Stop after this many failed trials in a row.")] = 10,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    name: Annotated[str | None, typer.Option(help="Of the run folder. [default: the space's name]")] = None,
    results_dir: ResultsDir = RESULTS,
    limit_train: Annotated[
        int | None, typer.Option(help="Train on this many images, the same share of each class. [default: all]")
    ] = None,
    width: Annotated[float, typer.Option(help="Scale every filter count; 0.125 is 64 times cheaper.")] = 1.0,
    batch_size: Annotated[int | None, typer.Option(help="Images a step, instead of the designs' own.")] = None,
    fix: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE: give a choice of the space one value; repeatable.")
    ] = None,
    protocol: Annotated[
        Protocol,
        typer.Option(
            help="Validate on images held out of train, or, as the course report did, on the augmented test images."
        ),
    ] = Protocol.holdout,
    validation: Annotated[float, typer.Option(help="Share of train that is held out.")] = 0.1,
    drop_duplicates: Annotated[
        bool, typer.Option("--drop-duplicates", help="Leave out training images that are in the test data too.")
    ] = False,
    labels: LabelsOption = Labels.fer2013,
    ferplus_csv: FerplusCsv = None,
    weights_dir: Annotated[Path | None, typer.Option(help="A folder that may hold pretrained weights.")] = None,
    missing_weights: Annotated[
        MissingWeights,
        typer.Option(
            help="Where pretrained weights cannot be had: leave those designs out, start at random, or refuse."
        ),
    ] = MissingWeights.skip,
    devices: Devices = "1",
    max_disk: Annotated[str, typer.Option(help="Most that checkpoints may take: 800MB, 5GB, none.")] = "1GB",
    extend: Annotated[
        bool, typer.Option("--extend", help="Go on with more --max-trials, --max-epochs or --time-budget.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew where the run folder exists.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train nothing: show the space, a batch's figures, costs and the time.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write TensorBoard files for every trial.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Failures and the end alone.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON line on stdout for each event.")] = False,
) -> None:
    """Search a space. Stop it with Ctrl-C, or lose the power: the same command goes on.

    Exit codes: 0 the budget is reached; 2 wrong usage or input; 3 no trial completed, or --max-failures in a row; 4 the
    run folder is in use or broken, or its disk is full; 5 the run was started with something else; 130, 143 stopped by
    a signal.
    """
    from fer_search import backend

    backend.start()
    from fer_search.search.display import choose_view
    from fer_search.search.run import run_search
    from fer_search.search.settings import Settings, parse_bytes, parse_devices, parse_duration, parse_fixed

    settings = Settings(
        tuner=tuner.value,
        max_trials=max_trials,
        max_epochs=max_epochs,
        width=width,
        limit_train=limit_train,
        batch_size=batch_size,
        space=space,
        data=data,
        name=name,
        results_dir=results_dir,
        factor=factor,
        baselines=baselines.value,
        repeats=repeats,
        seed=seed,
        protocol=protocol.value,
        validation=validation,
        fix=parse_fixed(fix or []),
        drop_duplicates=drop_duplicates,
        labels=labels.value,
        ferplus_csv=ferplus_csv,
        weights_dir=weights_dir,
        missing_weights=missing_weights.value,
        patience=patience,
        prune=prune.value,
        max_params=max_params,
        max_failures=max_failures,
        time_budget=None if time_budget is None else parse_duration(time_budget),
        devices=parse_devices(devices, backend.device_count()),
        max_disk=parse_bytes(max_disk),
        extend=extend,
        overwrite=overwrite,
        tensorboard=tensorboard,
        command=shlex.join(["fer-search", *sys.argv[1:]]),
    )
    if dry_run:
        from fer_search.search.display.dry_run import show_plan

        show_plan(settings)
        return
    raise typer.Exit(run_search(settings, choose_view(quiet, json)))
