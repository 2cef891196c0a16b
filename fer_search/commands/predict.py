"""fer-search predict."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fer_search.errors import UserError


class PredictFormat(StrEnum):
    table = "table"
    csv = "csv"
    json = "json"


def predict(
    model: Annotated[
        Path,
        typer.Argument(help="A run folder, or a .keras, .tflite, .onnx or SavedModel that fer-search export wrote."),
    ],
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Photos, folders, globs, one video, or - for a list of paths on stdin.", show_default=False
        ),
    ] = None,
    no_detect: Annotated[
        bool, typer.Option("--no-detect", help="Each picture is a face already cut out; do not look for faces.")
    ] = False,
    trial: Annotated[
        str | None,
        typer.Option(help="Of a run, a trial's number or a baseline's name. [default: confirmed, else the best]"),
    ] = None,
    format: Annotated[PredictFormat, typer.Option("--format", help="Output on stdout.")] = PredictFormat.table,
    annotate: Annotated[
        Path | None, typer.Option(help="Write each picture with boxes and labels into this folder.")
    ] = None,
    camera: Annotated[
        int | None, typer.Option(help="Predict from this camera, 0 being the first, until q or Ctrl-C.", min=0)
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Faces per call of the network.", min=1)] = 64,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write into an --annotate folder that holds files.")
    ] = False,
) -> None:
    """Predict the expressions of the faces in photos or a video.

    For every face: file, box in pixels of the upright photo, class, probability, and (csv, json) the probability of
    each class. A file that cannot be read is named on stderr; the others are done all the same.

    Exit codes: 0 all files were read, 2 some were not, or wrong usage, 3 no trial of the run completed.
    """
    from fer_search.predict.command import PredictSettings, predict_photos, predict_stream
    from fer_search.predict.photos import VIDEO_SUFFIXES

    if not paths and camera is None:
        raise UserError("give photos, folders or a video to predict, or --camera 0")
    if paths and camera is not None:
        raise UserError("--camera takes no paths; give one of the two")
    settings = PredictSettings(
        model, tuple(paths or ()), not no_detect, trial, format.value, annotate, batch_size, overwrite
    )
    videos = [path for path in settings.paths if path.lower().endswith(VIDEO_SUFFIXES)]
    if camera is None and not videos:
        raise typer.Exit(predict_photos(settings, sys.stdin or ()))
    if len(settings.paths) > 1:
        raise UserError(f"{videos[0]} is a video; give one video alone")
    if no_detect:
        raise UserError("--no-detect is for photos, not for videos")
    raise typer.Exit(predict_stream(settings, Path(videos[0]) if camera is None else camera))
