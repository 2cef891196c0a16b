"""What ``fer-search predict`` does: photos or a video in, rows out, pictures with boxes on the side."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fer_search.errors import EXIT_USAGE, UserError
from fer_search.predict.drawing import Annotator
from fer_search.predict.faces import FaceDetector
from fer_search.predict.photos import expand
from fer_search.predict.pipeline import PhotoResult
from fer_search.predict.predictor import Predictor, load
from fer_search.predict.rows import RowWriter, face_row
from fer_search.predict.video import Video, VideoFile, Window, has_display, predict_video
from fer_search.report.formatting import plural
from fer_search.runfolder.run_json import load_run
from fer_search.runfolder.schema import RUN_FILE

Item = TypeVar("Item")


@dataclass(frozen=True)
class PredictSettings:
    """The arguments of ``fer-search predict``; its help explains each."""

    model: Path
    paths: tuple[str, ...]
    detect: bool = True
    trial: str | None = None
    format: str = "table"
    annotate: Path | None = None
    batch_size: int = 64
    overwrite: bool = False


@dataclass
class Counts:
    """How many files there were of each kind, for the last line."""

    files: int = 0
    faces: int = 0
    without: int = 0
    unreadable: int = 0


def predict_photos(settings: PredictSettings, lines: Iterable[str]) -> int:
    """Predict photos; return the exit code: 0, or 2 where some could not be read.

    Args:
        settings: What to predict.
        lines: stdin, for the path "-".

    Raises:
        UserError: The model cannot be loaded, or a path stands for no photo.
    """
    paths = list(expand(settings.paths, lines))  # their names alone: 10,000 are a megabyte
    if not paths:
        raise UserError("no photos were given: stdin is empty")
    annotator = _annotator(settings, paths, ".jpg")
    network = _load(settings)
    console, counts = Console(stderr=True), Counts()
    writer = RowWriter(settings.format, _print, network.classes)
    results = network.results(paths, settings.detect, settings.batch_size)
    for number, result in enumerate(_with_bar(results, len(paths), console)):
        _report(result, counts, console, settings.detect)
        for face in result.faces:
            writer.write(face_row(str(result.path), face, network.classes))
        if annotator is not None and not result.error:
            annotator.write(number, result, network.classes)
    writer.close()
    _say(console, _summary(counts, settings))
    return EXIT_USAGE if counts.unreadable else 0


def predict_stream(settings: PredictSettings, source: Path | int) -> int:
    """Predict a video or a camera until it ends, its window is closed or Ctrl-C; return the exit code."""
    video = Video(source)
    name = f"camera {source}" if isinstance(source, int) else str(source)
    annotator = _annotator(settings, [Path(f"camera_{source}") if isinstance(source, int) else source], ".mp4")
    network, console = _load(settings), Console(stderr=True)
    with ExitStack() as stack:
        stack.callback(video.close)
        window = _open_window(f"fer-search: {name}", console)
        if window is not None:
            stack.callback(window.close)
        copy = None
        if annotator is not None:
            copy = VideoFile(annotator.files[0], video.frames_per_second)
            stack.callback(copy.close)
        writer = RowWriter(settings.format, _print, network.classes, timed=True)
        stack.callback(writer.close)
        try:
            frames = predict_video(network.model, video, FaceDetector())
            for frame in _with_bar(frames, video.frame_count, console, "frames"):
                for face in frame.faces:
                    writer.write(face_row(name, face, network.classes, frame.seconds))
                if copy is not None:
                    copy.write(frame)
                if window is not None:
                    window.show(frame)
                    if not window.open:
                        break
        except KeyboardInterrupt:  # how one ends a camera
            pass
    return 0


def _open_window(title: str, console: Console) -> Window | None:
    """Return a window; None where there is no display, which need not be an error: the rows are printed anyway."""
    if not has_display():
        return None
    try:
        return Window(title)
    except UserError as error:
        _say(console, f"No window is shown: {error}")
        return None


def _load(settings: PredictSettings) -> Predictor:
    network = load(settings.model, settings.trial)
    if (settings.model / RUN_FILE).exists() and load_run(settings.model).toy:
        print("Trained on synthetic faces: what this network predicts for real ones means nothing.", file=sys.stderr)
    return network


def _annotator(settings: PredictSettings, inputs: Sequence[Path], suffix: str) -> Annotator | None:
    if settings.annotate is None:
        return None
    return Annotator(settings.annotate, inputs, suffix, settings.overwrite)


def _with_bar(items: Iterable[Item], total: int, console: Console, noun: str = "photos") -> Iterator[Item]:
    """Show a progress bar on stderr, where that is a terminal; rows printed to the same terminal go above it."""
    hidden = not console.is_terminal or total == 1
    columns = (TextColumn(noun), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    above = sys.stdout.isatty()
    with Progress(*columns, console=console, transient=True, disable=hidden, redirect_stdout=above) as progress:
        task = progress.add_task(noun, total=total or None)
        for item in items:
            yield item
            progress.advance(task)


def _report(result: PhotoResult, counts: Counts, console: Console, detect: bool) -> None:
    """Count a photo, and say what is unusual about it."""
    counts.files += 1
    counts.faces += len(result.faces)
    if result.error:
        counts.unreadable += 1
        _say(console, f"{result.path}: cannot be read: {result.error}")
        return
    if result.frames > 1:
        _say(console, f"{result.path}: {result.frames} frames, of which the first is used")
    if detect and not result.faces:
        counts.without += 1
        _say(console, f"{result.path}: no face found")


def _summary(counts: Counts, settings: PredictSettings) -> str:
    parts = [f"{plural(counts.faces, 'face')} in {plural(counts.files, 'file')}"]
    if counts.without:
        hint = "" if counts.faces else " (for pictures that are faces already: --no-detect)"
        parts.append(f"{counts.without:,} without a face{hint}")
    if counts.unreadable:
        parts.append(f"{counts.unreadable:,} could not be read")
    if settings.annotate is not None:
        parts.append(f"pictures with boxes in {settings.annotate}")
    return "; ".join(parts)


def _print(text: str) -> None:
    print(text, end="", flush=True)


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
