"""fer-search data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fer_search.commands.options import (
    Classes,
    Colour,
    FerplusCsv,
    GroupBy,
    ImageSize,
    Labels,
    LabelsOption,
    Map,
    Test,
    parse_data_options,
    parse_sources,
)
from fer_search.console import SafeConsole

data_app = typer.Typer(help="Find, check and download data sets.", no_args_is_help=True)


@data_app.command("info")
def info(
    data: Annotated[
        list[Path] | None,
        typer.Argument(help="What --data takes in fer-search run; several are joined. [default: auto]"),
    ] = None,
    classes: Classes = None,
    map: Map = None,
    image_size: ImageSize = None,
    colour: Colour = False,
    test: Test = None,
    group_by: GroupBy = None,
    labels: LabelsOption = Labels.fer2013,
    ferplus_csv: FerplusCsv = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write mean faces and samples of each class to this HTML file.")
    ] = None,
) -> None:
    """Print counts, blank images, duplicates and conflicting labels of a data set."""
    from fer_search.data.audit import audit, plot_samples
    from fer_search.data.audit_tables import tables
    from fer_search.data.load import load_dataset

    options = parse_data_options(classes, map, image_size, colour, test, group_by)
    dataset = load_dataset(parse_sources(data), labels=labels.value, ferplus_csv=ferplus_csv, options=options)
    console = SafeConsole()
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
