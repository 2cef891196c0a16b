"""fer-search run."""

from __future__ import annotations

import dataclasses
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fer_search import backend
from fer_search.commands.command_line import command_line
from fer_search.commands.default_space import choose_space
from fer_search.commands.options import (
    RESULTS,
    Baselines,
    Classes,
    ClusterAddress,
    Colour,
    Data,
    Devices,
    DropDuplicates,
    FerplusCsv,
    GpusPerTrial,
    GroupBy,
    ImageSize,
    Labels,
    LabelsOption,
    Map,
    MissingWeights,
    Protocol,
    Prune,
    ResultsDir,
    Space,
    Test,
    Tuner,
    parse_data_options,
    parse_sources,
    parse_validation,
)
from fer_search.commands.run_confirm import check_not_tested, confirm_gain
from fer_search.commands.waiting import waiting

if TYPE_CHECKING:
    from fer_search.search.settings import Settings


def run(
    context: typer.Context,
    space: Space = None,
    data: Data = None,
    classes: Classes = None,
    map: Map = None,
    image_size: ImageSize = None,
    colour: Colour = False,
    test: Test = None,
    group_by: GroupBy = None,
    tuner: Annotated[Tuner | None, typer.Option(help="Search algorithm. [default: guided]")] = None,
    objective: Annotated[
        str,
        typer.Option(
            help="Validation metric to optimise: accuracy, loss, macro_f1, balanced_accuracy, or recall_CLASS such as "
            "recall_sad."
        ),
    ] = "accuracy",
    max_trials: Annotated[
        int | None,
        typer.Option(
            help="Number of trials, including baselines. [default: 50, or no limit if there is a --time-budget; "
            "hyperband, grid: until they end]"
        ),
    ] = None,
    max_epochs: Annotated[int, typer.Option(help="Epochs per trial; guided, hyperband: of the last rung.")] = 50,
    time_budget: Annotated[
        str | None,
        typer.Option(
            help="Stop after this much time, summed over restarts: 90s, 45min, 2h, 1d. A trial that can end within 5% "
            "more is finished."
        ),
    ] = None,
    equal_time: Annotated[
        bool,
        typer.Option(
            "--equal-time",
            help="Train each design for as long as the space's default design takes for its epochs, instead of for as "
            "many epochs; estimated from its FLOPs.",
        ),
    ] = False,
    factor: Annotated[int, typer.Option(help="Guided, hyperband: growth of the epochs from rung to rung.")] = 3,
    min_steps: Annotated[
        int | None,
        typer.Option(
            help="Guided, hyperband: training steps before a trial may be stopped. [default: guided 150, hyperband 300]"
        ),
    ] = None,
    baselines: Annotated[
        Baselines, typer.Option(help="Run the space's baselines first, only them, or none.")
    ] = Baselines.first,
    repeats: Annotated[int, typer.Option(help="Train each baseline this many times, with different random seeds.")] = 1,
    patience: Annotated[
        int | None, typer.Option(help="Stop a trial after this many epochs without improvement; never a baseline.")
    ] = None,
    search_patience: Annotated[
        int | None, typer.Option(help="Stop the search after this many proposed trials without a new best one.")
    ] = None,
    prune: Annotated[
        Prune, typer.Option(help="median: stop a trial that is below the median of earlier trials; never a baseline.")
    ] = Prune.none,
    max_params: Annotated[
        int | None, typer.Option(help="Fail networks with more parameters without training them.")
    ] = None,
    max_seconds_per_epoch: Annotated[
        float | None,
        typer.Option(help="Fail designs whose estimated time per epoch is longer without training them."),
    ] = None,
    max_failures: Annotated[int, typer.Option(help="Stop after this many failed trials in a row.")] = 10,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    name: Annotated[str | None, typer.Option(help="Name of the run folder. [default: the space's name]")] = None,
    results_dir: ResultsDir = RESULTS,
    limit_train: Annotated[
        int | None, typer.Option(help="Train on a stratified subset of this many images. [default: all]")
    ] = None,
    width: Annotated[float, typer.Option(help="Factor on every filter count; 0.125 costs about 1/64.")] = 1.0,
    batch_size: Annotated[int | None, typer.Option(help="Batch size, overriding that of the designs.")] = None,
    fix: Annotated[list[str] | None, typer.Option(help="NAME=VALUE: fix a choice of the space; repeatable.")] = None,
    protocol: Annotated[
        Protocol,
        typer.Option(
            help="Validate on held-out training images, or, as the course report did, on augmented test images."
        ),
    ] = Protocol.holdout,
    validation: Annotated[
        str | None,
        typer.Option(
            help="Fraction of the training images to validate on; or own: the data set's validation split. "
            "[default: own if there is one, else 0.1]"
        ),
    ] = None,
    drop_duplicates: Annotated[
        DropDuplicates | None,
        typer.Option(help="Drop training images that also occur in the test set; near: near copies too. [bare: exact]"),
    ] = None,
    labels: LabelsOption = Labels.fer2013,
    ferplus_csv: FerplusCsv = None,
    weights_dir: Annotated[Path | None, typer.Option(help="Folder with pretrained weights.")] = None,
    missing_weights: Annotated[
        MissingWeights,
        typer.Option(help="If pretrained weights are unavailable: skip those designs, use random weights, or fail."),
    ] = MissingWeights.skip,
    devices: Devices = "1",
    workers: Annotated[
        str, typer.Option(help="Number of trials to train at the same time, or auto to choose by measuring.")
    ] = "1",
    gpus_per_trial: GpusPerTrial = None,
    cluster: ClusterAddress = None,
    ahead: Annotated[
        str | None,
        typer.Option(
            help="Trials that may begin before an earlier one has ended: a number, which makes the search repeatable, "
            "or any. [default: twice --workers]"
        ),
    ] = None,
    max_disk: Annotated[str, typer.Option(help="Disk space limit for checkpoints: 800MB, 5GB, none.")] = "1GB",
    confirm: Annotated[
        bool,
        typer.Option(
            "--confirm",
            help="Then retrain the recommended design, the best proposal and the best baseline, and test them once.",
        ),
    ] = False,
    extend: Annotated[
        bool,
        typer.Option(
            "--extend",
            help="Continue a run with larger --max-trials, --time-budget or, except with guided and hyperband, "
            "--max-epochs; a finished Hyperband search with one more iteration.",
        ),
    ] = False,
    extend_trials: Annotated[
        bool,
        typer.Option("--extend-trials", help="With --extend: train finished trials again for the new --max-epochs."),
    ] = False,
    from_run: Annotated[
        Path | None,
        typer.Option(
            "--from",
            envvar="FER_SEARCH_RUN_FROM",
            help="Begin with the completed trials of another run that fit the space.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing run folder.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Train nothing; show the space, batch statistics, costs and estimated time."),
    ] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard logs for every trial.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no epochs and no trials but those that fail.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line per event.")] = False,
) -> None:
    """Search a space. Re-run the same command to resume after Ctrl-C, a crash or a power cut.

    Exit codes: 0 the budget is reached; 2 usage or input error; 3 no trial completed, or --max-failures in a row; 4 the
    run folder is in use or damaged, or its disk is full; 5 the run was started with other settings; 130, 143 stopped by
    a signal.
    """
    options = dict(locals())
    # a wrong option shows before the seconds that Keras takes, unless the device decides what the options mean
    settings = None if space is None or devices != "1" or workers == "auto" else _parse_settings(options)
    with waiting("Starting Keras", silent=quiet or json):
        options["workers"] = _start_backend(workers, gpus_per_trial, cluster)
        from fer_search.search.display import choose_reporter
        from fer_search.search.run import run_search

    settings = settings or _parse_settings(options)
    if dry_run:
        from fer_search.search.display.dry_run import print_dry_run

        print_dry_run(settings)
        return
    check_not_tested(settings)
    code = run_search(settings, choose_reporter(quiet, json))
    raise typer.Exit(code or (confirm_gain(settings, quiet, json) if confirm else 0))


def _start_backend(workers: str, gpus_per_trial: float | None, cluster: str | None) -> str:
    """Start the backend, on no GPU if workers train; return the number of workers, or "auto" if it is measured."""
    if workers == "auto" and cluster is None and (gpus := backend.gpu_count()):
        workers = str(max(int(gpus / (gpus_per_trial or 1)), 1))
    if workers != "1" or cluster is not None:
        backend.hide_gpus()
    backend.start()
    return workers


def _parse_settings(options: dict[str, Any]) -> Settings:
    """Return the settings of a run from the options of the command, by name."""
    from fer_search.runfolder.identity import recorded_defaults
    from fer_search.search import settings as parsing

    given = {name: value.value if isinstance(value, Enum) else value for name, value in options.items()}
    duration, devices = given["time_budget"], given["devices"]
    space = choose_space(given["space"], silent=given["quiet"] or given["json"])
    parsed = {
        "space": space,
        "data": parse_sources(given["data"]),
        "data_options": parse_data_options(
            *(given[name] for name in ("classes", "map", "image_size", "colour", "test", "group_by"))
        ),
        "validation": parse_validation(given["validation"]),
        "fix": parsing.parse_fixed(given["fix"] or []),
        "drop_duplicates": {None: False, "exact": True}.get(given["drop_duplicates"], "near"),
        "time_budget": None if duration is None else parsing.parse_duration(duration),
        "devices": 1 if devices == "1" else parsing.parse_devices(devices, backend.device_count()),
        "workers": parsing.parse_workers(given["workers"]),
        "ahead": parsing.parse_ahead(given["ahead"]),
        "max_disk": parsing.parse_bytes(given["max_disk"]),
        "command": command_line(options["context"]),
    }
    recorded = {} if given["overwrite"] else recorded_defaults(_folder(given, space))
    parsed |= {"tuner": given["tuner"] or recorded.get("tuner", "guided")}
    parsed |= {name: recorded.get(name) if given[name] is None else given[name] for name in ("min_steps", "max_trials")}
    names = {field.name for field in dataclasses.fields(parsing.Settings)}
    return parsing.Settings(**{name: value for name, value in given.items() if name in names} | parsed)


def _folder(given: dict[str, Any], space: Path) -> Path:
    return Path(given["results_dir"]) / (given["name"] or space.stem)
