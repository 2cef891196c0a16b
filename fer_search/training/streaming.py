"""Training on images that do not fit into memory: a few steps' images at a time are copied to the device.

They come from the memory-mapped cache of the data set (``data.cache``), so that neither the host nor the device holds
all of them. The results equal those of images in memory.
"""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np

from fer_search.augment import EpochDraws
from fer_search.training.engine import Engine, RandomSeeds, random_states

CHUNK_BYTES = 64 * 2**20  # images on the device at a time
MEMORY_FRACTION = 0.4  # of the device's memory that images may take
MEMORY_VARIABLE = "FER_SEARCH_IMAGE_MEMORY"  # MB that images may take, instead


class ImageRows:
    """Some rows of an array of images that stays where it is; indexing it reads rows.

    Args:
        images: uint8 (n, ...), usually memory-mapped.
        rows: int (m,), the rows.
    """

    def __init__(self, images: np.ndarray, rows: np.ndarray) -> None:
        self.images, self.rows = images, rows
        self.shape, self.dtype, self.ndim = (len(rows), *images.shape[1:]), images.dtype, images.ndim
        self.nbytes = int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.asarray(self.images[self.rows[index]])

    def __reduce__(self) -> tuple[Any, ...]:
        name = getattr(self.images, "filename", None)
        return (_reopen, (str(name), self.rows)) if name else (ImageRows, (self.images, self.rows))


def _reopen(path: str, rows: np.ndarray) -> ImageRows:
    return ImageRows(np.load(path, "r", allow_pickle=False), rows)


def select(images: np.ndarray, rows: np.ndarray, memory: int) -> np.ndarray:
    """Return rows of the images: in memory if all images take at most ``memory`` bytes, otherwise an ``ImageRows``."""
    if images.nbytes <= memory:
        selected: np.ndarray = images[rows]
        return selected
    return ImageRows(images, rows)  # type: ignore[return-value]  # indexed like an array


def image_memory(device_bytes: int) -> int:
    """Return the bytes that images may take on a device with so much memory."""
    given = os.environ.get(MEMORY_VARIABLE)
    return int(float(given) * 2**20) if given else int(MEMORY_FRACTION * device_bytes)


class StreamingEngine(Engine):
    """An engine that copies the images of a few steps to the device at a time.

    Args:
        engine: Takes the steps.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine, self.model, self.loss = engine, engine.model, engine.loss
        self.micro_batches, self.classes = engine.micro_batches, engine.classes

    def put(self, array: np.ndarray) -> Any:
        return array

    def begin_epoch(self, data: tuple[Any, Any], batches: EpochDraws, random_seeds: RandomSeeds) -> None:
        self.epoch, self.seeds = (*data, batches), random_seeds

    def train(self, start: int, stop: int) -> np.ndarray:
        images, labels, batches = self.epoch
        sums = np.zeros(3)
        chunk = _chunk_steps(images, batches)
        for first in range(start, stop, chunk):
            count = min(chunk, stop - first)
            pixels, own, rows = _gather(images, batches, first, count, chunk)
            own_labels = np.zeros(len(pixels), np.int32)
            own_labels[: rows.size] = labels[rows.ravel()]
            data = self.engine.put(pixels), self.engine.put(own_labels)
            self.engine.begin_epoch(data, own, self.seeds)
            sums += self.engine.train(0, count)
            self.engine.end_epoch()
            self.seeds = [keras.ops.convert_to_numpy(state) for state in random_states(self.model)]
        return sums

    def end_epoch(self) -> None:
        del self.epoch

    def measure_batchnorm(self, images: Any, batches: EpochDraws) -> None:
        steps = len(batches["rows"])  # about a thousand images, whose statistics are a mean over all of them
        pixels, own, _ = _gather(images, batches, 0, steps, steps)
        self.engine.measure_batchnorm(self.engine.put(pixels), own)

    def predict(self, images: Any, batches: EpochDraws) -> np.ndarray:
        steps, batch = batches["rows"].shape
        chunk = _chunk_steps(images, batches)
        parts = []
        for first in range(0, steps, chunk):
            count = min(chunk, steps - first)
            pixels, own, _ = _gather(images, batches, first, count, chunk)
            parts.append(self.engine.predict(self.engine.put(pixels), own)[: count * batch])
        return np.concatenate(parts)


def _chunk_steps(images: Any, batches: EpochDraws) -> int:
    steps, batch = batches["rows"].shape
    return int(max(1, min(steps, CHUNK_BYTES // (batch * int(np.prod(images.shape[1:]))))))


def _gather(
    images: Any, batches: EpochDraws, first: int, count: int, chunk: int
) -> tuple[np.ndarray, EpochDraws, np.ndarray]:
    """Return the images of some steps, those steps' batches with rows that index these images, and the rows.

    Every chunk has the same shapes, so that one compiled program serves all of them: unused steps repeat the last one.
    """
    rows = batches["rows"][first : first + count]
    pixels = np.zeros((chunk * rows.shape[1], *images.shape[1:]), np.uint8)
    order = np.argsort(rows, axis=None)  # in the order in which they lie in the file
    pixels[order] = images[rows.ravel()[order]]
    steps = np.minimum(np.arange(first, first + chunk), first + count - 1)
    own = {name: values[steps] for name, values in batches.items()}
    own["rows"] = np.arange(chunk * rows.shape[1], dtype=np.int32).reshape(chunk, -1)
    own["rows"][count:] = own["rows"][count - 1]
    return pixels, own, rows
