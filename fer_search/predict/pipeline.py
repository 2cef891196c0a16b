"""From files to predictions: photos are read in threads, faces are predicted in batches, memory stays bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from fer_search.backend import cores
from fer_search.export.runtime import BATCH_SIZE, ExportedModel
from fer_search.predict.faces import Box, FaceDetector, cut_out
from fer_search.predict.photos import UnreadablePhoto, fit_to_network, read_photo

AHEAD = 4  # photos per thread that may be read before they are needed
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Face:
    """A face and its prediction.

    Args:
        box: Where it is, in pixels of the upright photo.
        probabilities: float32 (classes,).
    """

    box: Box
    probabilities: np.ndarray


@dataclass(eq=False)
class PhotoResult:
    """What was found in a photo.

    Args:
        path: The file.
        faces: Its faces, the largest first.
        error: Why it could not be read; "" if it could.
        frames: Number of frames; the first one was used.
    """

    path: Path
    faces: list[Face] = field(default_factory=list)
    error: str = ""
    frames: int = 1


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A photo that was read: its boxes and its faces as the network takes them, uint8 (n, height, width, channels)."""

    result: PhotoResult
    boxes: list[Box]
    inputs: np.ndarray


def predict_files(
    model: ExportedModel, paths: Iterable[Path], detector: FaceDetector | None, batch_size: int = BATCH_SIZE
) -> Iterator[PhotoResult]:
    """Predict the faces of photos, in their order; memory does not grow with their number.

    Args:
        model: The network.
        paths: The files.
        detector: Finds the faces; None where each photo is a face already cut out.
        batch_size: Faces per call of the network.
    """
    shape = model.info.shape

    def prepare(path: Path) -> _Prepared:
        return _prepare(path, shape, detector)

    waiting: list[_Prepared] = []
    faces = 0
    for prepared in map_ahead(prepare, paths):
        waiting.append(prepared)
        faces += len(prepared.boxes)
        if faces >= batch_size or len(waiting) >= 4 * batch_size:
            yield from _predict(model, waiting, batch_size)
            waiting, faces = [], 0
    yield from _predict(model, waiting, batch_size)


def map_ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Like ``map``, in order, computed by threads a few items ahead of who asks for the results."""
    threads = max(2, cores())
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= AHEAD * threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _prepare(path: Path, shape: tuple[int, int, int], detector: FaceDetector | None) -> _Prepared:
    """Read a photo and cut its faces out."""
    nothing = np.empty((0, *shape), np.uint8)
    try:
        photo = read_photo(path, colour=shape[2] == 3)
    except UnreadablePhoto as error:
        return _Prepared(PhotoResult(path, error=str(error)), [], nothing)
    result = PhotoResult(path, frames=photo.frames)
    if detector is None:
        whole = fit_to_network(photo.pixels, shape)
        return _Prepared(result, [Box(0, 0, photo.width, photo.height)], whole[None])
    boxes = detector.find(photo.grey)
    inputs = [fit_to_network(cut_out(photo.pixels, box), shape) for box in boxes]
    return _Prepared(result, [photo.in_file(box) for box in boxes], np.stack(inputs) if inputs else nothing)


def _predict(model: ExportedModel, waiting: list[_Prepared], batch_size: int) -> Iterator[PhotoResult]:
    """Predict all faces of some photos together."""
    if not waiting:
        return
    probabilities = model.probabilities(np.concatenate([prepared.inputs for prepared in waiting]), batch_size)
    first = 0
    for prepared in waiting:
        own = probabilities[first : first + len(prepared.boxes)]
        first += len(prepared.boxes)
        prepared.result.faces = [Face(box, values) for box, values in zip(prepared.boxes, own, strict=True)]
        yield prepared.result
