"""Prediction under a design's evaluation: one view, flip averaging or ten-crop (test-time augmentation)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from fer_search.augment import tta_maps
from fer_search.design import Design
from fer_search.models import training_loss
from fer_search.training.batches import sequential_batches
from fer_search.training.engine import Engine
from fer_search.training.engines import make_engine
from fer_search.training.streaming import ImageRows, StreamingEngine


def predict_images(model: keras.Model, design: Design, images: np.ndarray) -> np.ndarray:
    """Predict class probabilities, averaged over the design's views.

    Args:
        model: Compiled model with the weights of a trial's best epoch (already averaged, if the design uses EMA).
        design: Determines the views and the batch size.
        images: uint8 (n, size, size) or (n, size, size, 3).

    Returns:
        float32 (n, classes).
    """
    engine = make_engine(model, training_loss(model, design.optimisation))
    if isinstance(images, ImageRows):
        engine = StreamingEngine(engine)
    return predict_views(engine, engine.put(images), len(images), design)


def predict_views(engine: Engine, images: Any, count: int, design: Design) -> np.ndarray:
    """Like ``predict_images``, with an engine and ``count`` images that it has copied to the device."""
    rows = sequential_batches(count, design.optimisation.batch_size)
    maps = tta_maps(design.augmentation, design.evaluation, engine.model.input_shape[1])
    if maps is None:
        return engine.predict(images, {"rows": rows})[:count]
    views = [engine.predict(images, {"rows": rows, "maps": np.tile(view, (*rows.shape, 1, 1))}) for view in maps]
    mean: np.ndarray = np.mean(views, axis=0)[:count]
    return mean
