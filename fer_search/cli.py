"""The commands: parse, call, print. No logic, and no import of Keras before a command needs it."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fer_search import __version__
from fer_search.errors import UserError

app = typer.Typer(
    help="Search architectures and augmentations for facial emotion recognition.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Find, check and download data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")


class Tuner(str, Enum):
    hyperband = "hyperband"
    bayesian = "bayesian"
    random = "random"
    grid = "grid"


class Baselines(str, Enum):
    first = "first"
    only = "only"
    none = "none"


class Protocol(str, Enum):
    holdout = "holdout"
    report = "report"


class Labels(str, Enum):
    fer2013 = "fer2013"
    ferplus = "ferplus"


class Format(str, Enum):
    html = "html"
    md = "md"
    csv = "csv"
    json = "json"


DEMO = {"width": 0.125, "limit_train": 2000, "max_epochs": 4, "max_trials": 10, "tuner": Tuner.random}

Data = Annotated[
    str, typer.Option(help="A folder, .zip, .csv or .npz; 'toy' for drawn faces; 'auto' to look for FER2013.")
]
LabelsOption = Annotated[Labels, typer.Option(help="FER2013's labels, or the majority of FER+'s votes.")]
FerplusCsv = Annotated[Path | None, typer.Option(help="FER+'s fer2013new.csv, for --labels ferplus.")]
ResultsDir = Annotated[Path, typer.Option(help="Where run folders are.")]


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit
    if debug:
        os.environ["FER_SEARCH_DEBUG"] = "1"


@app.command()
def run(
    space: Annotated[Path, typer.Option(help="The search space, a Python file.")] = Path("search_spaces/report.py"),
    data: Data = "auto",
    tuner: Annotated[
        Tuner | None, typer.Option(help="Which of Keras Tuner's oracles proposes. [default: hyperband]")
    ] = None,
    max_trials: Annotated[
        int | None,
        typer.Option(help="Trials in all, baselines included. [default: 50; hyperband, grid: their own end]"),
    ] = None,
    max_epochs: Annotated[
        int | None, typer.Option(help="Epochs of a trial; Hyperband: of its last rung. [default: 50]")
    ] = None,
    factor: Annotated[int, typer.Option(help="Hyperband: cut trials and raise epochs by this from rung to rung.")] = 3,
    baselines: Annotated[
        Baselines, typer.Option(help="The space's named designs: before the tuner's, without the tuner, or not at all.")
    ] = Baselines.first,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    name: Annotated[str | None, typer.Option(help="Of the run folder. [default: the space's name]")] = None,
    results_dir: ResultsDir = Path("results"),
    limit_train: Annotated[
        int | None, typer.Option(help="Train on this many images, the same share of each class. [default: all]")
    ] = None,
    width: Annotated[
        float | None, typer.Option(help="Scale every filter count; 0.125 is 64 times cheaper. [default: 1]")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step, instead of the designs' own.")] = None,
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
    demo: Annotated[
        bool,
        typer.Option(
            "--demo", help="A few minutes on two CPU cores: " + ", ".join(f"{k} {v}" for k, v in DEMO.items())
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew where the run folder exists.")] = False,
) -> None:
    """Search a space. Stop it with Ctrl-C, or lose the power: the same command goes on."""
    from fer_search import backend

    backend.start()
    from fer_search.search.run import run_search
    from fer_search.search.settings import Settings

    given = {
        "width": width,
        "limit_train": limit_train,
        "max_epochs": max_epochs,
        "max_trials": max_trials,
        "tuner": tuner,
    }
    defaults = DEMO if demo else {"tuner": Tuner.hyperband, "width": 1.0, "max_epochs": 50}
    chosen = {key: defaults.get(key) if value is None else value for key, value in given.items()}
    settings = Settings(
        **chosen | {"tuner": chosen["tuner"].value},
        space=space,
        data=data,
        name=name,
        results_dir=results_dir,
        factor=factor,
        baselines=baselines.value,
        seed=seed,
        protocol=protocol.value,
        validation=validation,
        batch_size=batch_size,
        drop_duplicates=drop_duplicates,
        labels=labels.value,
        ferplus_csv=ferplus_csv,
        overwrite=overwrite,
        command=shlex.join(["fer-search", *sys.argv[1:]]),
    )
    raise typer.Exit(run_search(settings, Console(stderr=True)))


@app.command()
def report(
    run: Annotated[
        Path | None, typer.Argument(help="The run folder. [default: the newest in the results folder]")
    ] = None,
    results_dir: ResultsDir = Path("results"),
    format: Annotated[
        Format, typer.Option("--format", help="A page, or the table of trials as text on stdout.")
    ] = Format.html,
    out: Annotated[
        Path | None, typer.Option(help="Where to write. [default: report.html in the run folder; else stdout]")
    ] = None,
) -> None:
    """Show what a run learned."""
    from fer_search import report as reports

    folder = run or reports.newest_run(results_dir)
    if format is Format.html:
        print(reports.write_report(folder, out))
        return
    text = {Format.md: reports.to_markdown, Format.csv: reports.to_csv, Format.json: reports.to_json}[format](folder)
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")
        print(out)


@data_app.command("info")
def data_info(
    path: Annotated[str, typer.Argument(help="A folder, .zip, .csv or .npz; 'toy' or 'auto'.")] = "auto",
    labels: LabelsOption = Labels.fer2013,
    ferplus_csv: FerplusCsv = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write the mean faces and samples of each class to this HTML file.")
    ] = None,
) -> None:
    """Print counts, blank images, duplicates and conflicting labels of a data set."""
    from fer_search.data.info import examine, plot_samples, tables
    from fer_search.data.load import load_dataset

    dataset = load_dataset(path, labels=labels.value, ferplus_csv=ferplus_csv)
    console = Console()
    for table in tables(examine(dataset), dataset):
        console.print(table)
    if plot is not None:
        print(plot_samples(dataset, plot))


@data_app.command("download")
def data_download(
    which: Annotated[str, typer.Argument(help="fer2013 (msambare/fer2013) or emotion-detection.")] = "fer2013",
) -> None:
    """Download a public Kaggle set with kagglehub, for --data auto."""
    from fer_search.data.download import download

    print(download(which))


def main() -> None:
    """Run the command line; errors that the user can mend end in one line and an exit code."""
    try:
        app(prog_name="fer-search")
    except UserError as error:
        if os.environ.get("FER_SEARCH_DEBUG"):
            traceback.print_exc()
        print(f"fer-search: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("fer-search: stopped at once; the same command goes on from the last epoch", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
