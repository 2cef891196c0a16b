"""Options shared by several commands."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fer_search.errors import UserError

if TYPE_CHECKING:
    from fer_search.data.options import DataOptions


class Tuner(StrEnum):
    guided = "guided"
    hyperband = "hyperband"
    bayesian = "bayesian"
    random = "random"
    grid = "grid"


class Baselines(StrEnum):
    first = "first"
    only = "only"
    none = "none"


class Protocol(StrEnum):
    holdout = "holdout"
    report = "report"


class Labels(StrEnum):
    fer2013 = "fer2013"
    ferplus = "ferplus"


class Prune(StrEnum):
    none = "none"
    median = "median"


class DropDuplicates(StrEnum):
    exact = "exact"
    near = "near"


class MissingWeights(StrEnum):
    skip = "skip"
    random = "random"
    error = "error"


Data = Annotated[
    list[Path] | None,
    typer.Option(
        help="Folder, archive, .csv, .npz, .npy, .h5, .parquet or list of files; 'toy': synthetic faces; 'auto': look "
        "for FER2013. Repeatable: the data sets are joined. [default: auto]"
    ),
]
Classes = Annotated[str | None, typer.Option(help="Keep only these classes: happy,sad,neutral. [default: all]")]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        help="Rename, merge or drop labels: contempt=neutral,1=surprise,9=drop; or a preset that says what numbers or "
        "file names mean: rafdb, fer2013, affectnet, ferplus, ckplus, jaffe, kdef. Repeatable.",
    ),
]
ImageSize = Annotated[
    int | None, typer.Option(help="Side of the images, 32 to 224 pixels. [default: 48, 64 or 96, by the data]")
]
Colour = Annotated[bool, typer.Option("--colour", help="Keep three colour channels. [default: grey]")]
Test = Annotated[
    float | None,
    typer.Option(help="Data without test images: fraction of train to set aside. 0: none. [default: 0.1]"),
]
GroupBy = Annotated[
    str | None,
    typer.Option(help="Regular expression for the person in a file name: no person is on both sides of a split."),
]
LabelsOption = Annotated[Labels, typer.Option(help="FER2013's own labels, or the majority of FER+'s votes.")]
FerplusCsv = Annotated[Path | None, typer.Option(help="FER+'s fer2013new.csv, for --labels ferplus.")]
ResultsDir = Annotated[Path, typer.Option(help="Folder of the run folders.")]
Space = Annotated[
    Path | None,
    typer.Option(
        help="Search space, a Python file. [default: search_spaces/cpu.py on a CPU, search_spaces/modern.py on a GPU]"
    ),
]
Run = Annotated[Path | None, typer.Argument(help="Run folder. [default: the newest in the results folder]")]
Devices = Annotated[str, typer.Option(help="Number of GPUs that share each batch of a trial, or all.")]
Workers = Annotated[str, typer.Option(help="Number of trainings at the same time.")]
GpusPerTrial = Annotated[
    float | None,
    typer.Option(help="GPUs of each worker; 0.25 trains four at a time on one. [default: an equal share, at most 1]"),
]
ClusterAddress = Annotated[
    str | None, typer.Option("--cluster", help="Ray cluster to train on: auto or HOST:PORT. [default: this machine]")
]
GivenRun = Annotated[Path, typer.Argument(help="Run folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

RESULTS = Path("results")


def parse_sources(data: list[Path] | None) -> str | tuple[str, ...]:
    """Return the values of --data as ``load_dataset`` takes them."""
    sources = tuple(map(str, data or ())) or ("auto",)
    return sources[0] if len(sources) == 1 else sources


def parse_validation(text: str | None) -> float | str | None:
    """Return the value of --validation: a fraction, "own", or None for the default.

    Raises:
        UserError: It is neither.
    """
    if text is None or text == "own":
        return text
    try:
        return float(text)
    except ValueError as error:
        raise UserError(f"--validation must be a fraction between 0 and 1, or own, not {text!r}") from error


def parse_data_options(
    classes: str | None,
    mapping: list[str] | None,
    image_size: int | None,
    colour: bool,
    test: float | None,
    group_by: str | None,
) -> DataOptions:
    """Return the options of how a data set is read."""
    from fer_search.data.options import DataOptions

    names = tuple(name.strip() for name in (classes or "").split(",") if name.strip())
    return DataOptions(names, tuple(mapping or ()), image_size, colour, test, group_by)
