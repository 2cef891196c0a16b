"""fer-search confirm."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from fer_search.commands.options import RESULTS, AsJson, Devices, FerplusCsv, ResultsDir, Run


def confirm(
    run: Run = None,
    results_dir: ResultsDir = RESULTS,
    top: Annotated[int, typer.Option(help="This many of the best designs.")] = 3,
    seeds: Annotated[int, typer.Option(help="Train each this many times, each time with other random numbers.")] = 3,
    trial: Annotated[
        list[str] | None,
        typer.Option(help="This trial, a number or a baseline's name, instead of the best; repeatable."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Of each training. [default: to the trial's best; cosine, one_cycle: the run's --max-epochs]"
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Where the run's data set is now. [default: where it was]")] = None,
    ferplus_csv: FerplusCsv = None,
    weights_dir: Annotated[Path | None, typer.Option(help="A folder that may hold pretrained weights.")] = None,
    devices: Devices = "1",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Confirm anew; the report says that the test was looked at before.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Train the best designs again, and test them once.

    They are trained on training and validation images. Only here are test images looked at. Stop it with Ctrl-C, or
    lose the power: the same command goes on. Writes RUN/confirm: confirm.json, and of each training its epochs, its
    predictions and the network as model.keras.

    Exit codes: those of fer-search run.
    """
    from rich.console import Console

    from fer_search import backend
    from fer_search.commands.results import wide_console
    from fer_search.report import newest_run

    backend.start()
    from fer_search.confirm.run import Settings, run_confirm
    from fer_search.report.tables.confirmed import confirmed_as_json, confirmed_table
    from fer_search.search.settings import parse_devices

    folder = run or newest_run(results_dir)
    settings = Settings(
        run=folder,
        top=top,
        seeds=seeds,
        trials=tuple(trial or ()),
        epochs=epochs,
        data=data,
        ferplus_csv=ferplus_csv,
        weights_dir=weights_dir,
        devices=parse_devices(devices, backend.device_count()),
        overwrite=overwrite,
        command=shlex.join(["fer-search", *sys.argv[1:]]),
    )
    code = run_confirm(settings, Console(stderr=True))
    if code == 0:
        if json:
            print(confirmed_as_json(folder))
        else:
            wide_console().print(confirmed_table(folder))
    raise typer.Exit(code)
