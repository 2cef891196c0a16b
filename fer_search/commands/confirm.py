"""fer-search confirm."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from fer_search.commands.options import (
    RESULTS,
    AsJson,
    ClusterAddress,
    Devices,
    FerplusCsv,
    GpusPerTrial,
    ResultsDir,
    Run,
    Workers,
)


def confirm(
    run: Run = None,
    results_dir: ResultsDir = RESULTS,
    top: Annotated[
        int, typer.Option(help="Number of designs to confirm: the one that the guided tuner recommends, then the best.")
    ] = 3,
    seeds: Annotated[int, typer.Option(help="Number of training runs per design, each with its own random seed.")] = 3,
    trial: Annotated[
        list[str] | None,
        typer.Option(help="Confirm this trial (number or baseline name) instead of the best; repeatable."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Epochs per training run. [default: up to the trial's best epoch; cosine, one_cycle: --max-epochs]"
        ),
    ] = None,
    time_budget: Annotated[
        str | None,
        typer.Option(help="Train for as many epochs as take about this long in all, instead of --epochs: 30min, 2h."),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Path of the run's data set. [default: as in the run]")] = None,
    ferplus_csv: FerplusCsv = None,
    weights_dir: Annotated[Path | None, typer.Option(help="Folder with pretrained weights.")] = None,
    devices: Devices = "1",
    workers: Workers = "1",
    gpus_per_trial: GpusPerTrial = None,
    cluster: ClusterAddress = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Confirm again; the report states how often the test set was used.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Retrain the best designs and evaluate them once on the test set.

    They are trained on the training and validation images together. No other command evaluates on test images. Re-run
    the same command to resume after Ctrl-C or a crash. Writes RUN/confirm: confirm.json, and for each training run its
    epochs, its predictions and the network as model.keras.

    Exit codes: as for fer-search run.
    """

    from fer_search import backend
    from fer_search.commands.results import wide_console
    from fer_search.console import SafeConsole
    from fer_search.report import newest_run

    if workers != "1" or cluster is not None:
        backend.hide_gpus()
    backend.start()
    from fer_search.confirm.run import run_confirm
    from fer_search.confirm.settings import Settings
    from fer_search.report.tables.confirmed import confirmed_as_json, confirmed_table
    from fer_search.search.executors.request import WorkerRequest
    from fer_search.search.settings import parse_count, parse_devices, parse_duration

    folder = run or newest_run(results_dir)
    settings = Settings(
        run=folder,
        top=top,
        seeds=seeds,
        trials=tuple(trial or ()),
        epochs=epochs,
        time_budget=None if time_budget is None else parse_duration(time_budget),
        data=data,
        ferplus_csv=ferplus_csv,
        weights_dir=weights_dir,
        devices=1 if devices == "1" else parse_devices(devices, backend.device_count()),
        workers=WorkerRequest(parse_count(workers, "--workers"), gpus_per_trial, cluster),
        overwrite=overwrite,
        command=shlex.join(["fer-search", *sys.argv[1:]]),
    )
    code = run_confirm(settings, SafeConsole(stderr=True))
    if code == 0:
        from fer_search.report import write_report

        report = write_report(folder)
        if json:
            print(confirmed_as_json(folder))
        else:
            wide_console().print(confirmed_table(folder))
            print(f"Report: {report}")
    raise typer.Exit(code)
