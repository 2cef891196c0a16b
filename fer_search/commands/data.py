"""fer-search data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fer_search.commands.options import FerplusCsv, Labels, LabelsOption

data_app = typer.Typer(help="Find, check and download data sets.", no_args_is_help=True)


@data_app.command("info")
def info(
    path: Annotated[str, typer.Argument(help="Folder, .zip, .csv or .npz; 'toy' or 'auto'.")] = "auto",
    labels: LabelsOption = Labels.fer2013,
    ferplus_csv: FerplusCsv = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write mean faces and samples of each class to this HTML file.")
    ] = None,
) -> None:
    """Print counts, blank images, duplicates and conflicting labels of a data set."""
    from fer_search.data.audit import audit, plot_samples, tables
    from fer_search.data.load import load_dataset

    dataset = load_dataset(path, labels=labels.value, ferplus_csv=ferplus_csv)
    console = Console()
    for table in tables(audit(dataset), dataset):
        console.print(table)
    if plot is not None:
        print(plot_samples(dataset, plot))


@data_app.command("download")
def download(
    which: Annotated[str, typer.Argument(help="fer2013 (msambare/fer2013) or emotion-detection.")] = "fer2013",
) -> None:
    """Download a public data set from Kaggle with kagglehub; --data auto then finds it."""
    from fer_search.data.download import download as fetch

    print(fetch(which))
