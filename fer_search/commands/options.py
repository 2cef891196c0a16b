"""Options that several commands have."""

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
    str, typer.Option(help="A folder, .zip, .csv or .npz; 'toy' for drawn faces; 'auto' to look for FER2013.")
]
LabelsOption = Annotated[Labels, typer.Option(help="FER2013's labels, or the majority of FER+'s votes.")]
FerplusCsv = Annotated[Path | None, typer.Option(help="FER+'s fer2013new.csv, for --labels ferplus.")]
ResultsDir = Annotated[Path, typer.Option(help="Where run folders are.")]
Space = Annotated[Path, typer.Option(help="The search space, a Python file.")]
Run = Annotated[Path | None, typer.Argument(help="The run folder. [default: the newest in the results folder]")]
Devices = Annotated[
    str, typer.Option(help="How many GPUs share each batch of a trial: a number, or all that the backend sees.")
]
GivenRun = Annotated[Path, typer.Argument(help="The run folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]

RESULTS = Path("results")
REPORT_SPACE = Path("search_spaces/report.py")
