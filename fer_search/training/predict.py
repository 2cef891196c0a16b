"""Prediction under a design's evaluation: one view, flip averaging or ten-crop (test-time augmentation)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from fer_search.augment import EpochDraws, tta_maps
from fer_search.augment.resize import area_matrix
from fer_search.design import Design, low_resolution_side
from fer_search.models import training_loss
from fer_search.training.batches import sequential_batches
from fer_search.training.engine import Engine
from fer_search.training.engines import make_engine
from fer_search.training.streaming import ImageRows, StreamingEngine


def predict_images(model: keras.Model, design: Design, images: np.ndarray, resolution: int = 0) -> np.ndarray:
    """Predict class probabilities, averaged over the design's views.

    Args:
        model: Compiled model with the weights of a trial's best epoch (already averaged, if the design uses EMA).
        design: Determines the views and the batch size.
        images: uint8 (n, size, size) or (n, size, size, 3).
        resolution: Side in pixels of 48 to which they are shrunk, if the best epoch was trained at low resolution; 0
            for none.

    Returns:
        float32 (n, classes).
    """
    if resolution:
        accept_any_size(model)
    engine = make_engine(model, training_loss(model, design.optimisation))
    if isinstance(images, ImageRows):
        engine = StreamingEngine(engine)
    return predict_views(engine, engine.put(images), len(images), design, resolution)


def predict_views(engine: Engine, images: Any, count: int, design: Design, resolution: int = 0) -> np.ndarray:
    """Like ``predict_images``, with an engine and ``count`` images that it has copied to the device."""
    rows = sequential_batches(count, design.optimisation.batch_size)
    size = engine.model.input_shape[1]
    batches: EpochDraws = {"rows": rows, **shrinking(resolution, size, len(rows))}
    maps = tta_maps(design.augmentation, design.evaluation, size)
    if maps is None:
        return engine.predict(images, batches)[:count]
    views = [engine.predict(images, batches | {"maps": np.tile(view, (*rows.shape, 1, 1))}) for view in maps]
    mean: np.ndarray = np.mean(views, axis=0)[:count]
    return mean


def shrinking(resolution: int, size: int, steps: int) -> EpochDraws:
    """Return the draws that shrink the images of some steps.

    Args:
        resolution: Side in pixels of 48, as in a design; 0 for no change.
        size: Side of the images.
        steps: Number of steps.
    """
    if not resolution:
        return {}
    return {"shrink": np.tile(area_matrix(size, low_resolution_side(resolution, size)), (steps, 1, 1))}


def accept_any_size(model: keras.Model) -> None:
    """Let a model be called on images of another size than it was built for; its layers take any."""
    model.input_spec = keras.layers.InputSpec(shape=(None, None, None, model.input_shape[-1]))
