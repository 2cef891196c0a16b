"""fer-search export."""

from __future__ import annotations

import os
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fer_search.commands.options import RESULTS, FerplusCsv, ResultsDir, Run


class ExportFormat(StrEnum):
    keras = "keras"
    tflite = "tflite"
    onnx = "onnx"
    saved_model = "saved_model"


class Quantise(StrEnum):
    int8 = "int8"
    float16 = "float16"


def export(
    run: Run = None,
    results_dir: ResultsDir = RESULTS,
    trial: Annotated[
        str | None, typer.Option(help="A trial's number or a baseline's name. [default: the best one]")
    ] = None,
    confirmed: Annotated[
        bool | None,
        typer.Option(
            "--confirmed/--searched",
            help="The network that fer-search confirm trained, or that of the search. [default: confirmed, if any]",
        ),
    ] = None,
    format: Annotated[ExportFormat, typer.Option("--format", help="File format.")] = ExportFormat.keras,
    out: Annotated[
        Path | None, typer.Option(help="File, or folder for saved_model. [default: RUN/export/FORMAT/model.SUFFIX]")
    ] = None,
    quantise: Annotated[
        Quantise | None, typer.Option(help="For tflite: half-precision weights, or 8-bit integer arithmetic.")
    ] = None,
    views: Annotated[
        bool,
        typer.Option("--views/--no-views", help="With or without the design's test-time augmentation."),
    ] = True,
    data: Annotated[
        str | None, typer.Option(help="Current location of the run's data set. [default: where it was]")
    ] = None,
    ferplus_csv: FerplusCsv = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
) -> None:
    """Write a network as a file that works without fer-search.

    It takes raw pixels (n, height, width, channels) from 0 to 255 and gives the probability of each class. The file is
    compared with the network on validation images, and written only if it predicts the same. Beside it: labels.txt, the
    class names in order, and MODEL_CARD.md, with data, protocol, accuracy per class, confusion and limits.

    Exit codes: 0 written, 1 the parity check failed, 2 wrong usage or input, 3 no trial completed, 5 other
    data than the run's.
    """
    from rich.console import Console

    from fer_search import backend
    from fer_search.report import newest_run

    if format is not ExportFormat.keras:
        os.environ["KERAS_BACKEND"] = "tensorflow"  # whose converters they are; weights do not depend on the backend
    backend.start()
    from fer_search.export.run import Settings, export_network

    settings = Settings(
        run=run or newest_run(results_dir),
        format=format.value,
        out=out,
        trial=trial,
        confirmed=confirmed,
        quantise=quantise.value if quantise else None,
        views=views,
        data=data,
        ferplus_csv=ferplus_csv,
        overwrite=overwrite,
        command=shlex.join(["fer-search", *sys.argv[1:]]),
    )
    print(export_network(settings, Console(stderr=True, soft_wrap=True)).path)
