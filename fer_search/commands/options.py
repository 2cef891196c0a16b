"""Options shared by several commands."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Tuner(StrEnum):
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


class MissingWeights(StrEnum):
    skip = "skip"
    random = "random"
    error = "error"


Data = Annotated[
    str, typer.Option(help="Folder, .zip, .csv or .npz; 'toy' for synthetic faces; 'auto' to search for FER2013.")
]
LabelsOption = Annotated[Labels, typer.Option(help="FER2013's own labels, or the majority of FER+'s votes.")]
FerplusCsv = Annotated[Path | None, typer.Option(help="FER+'s fer2013new.csv, for --labels ferplus.")]
ResultsDir = Annotated[Path, typer.Option(help="Folder of the run folders.")]
Space = Annotated[Path, typer.Option(help="Search space, a Python file.")]
Run = Annotated[Path | None, typer.Argument(help="Run folder. [default: the newest in the results folder]")]
Devices = Annotated[str, typer.Option(help="Number of GPUs that share each batch of a trial, or all.")]
GivenRun = Annotated[Path, typer.Argument(help="Run folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

RESULTS = Path("results")
REPORT_SPACE = Path("search_spaces/report.py")
