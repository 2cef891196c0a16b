"""Predicting images as a design says, over its views."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from fer_search.augment import view_maps
from fer_search.design import Design
from fer_search.models import make_loss
from fer_search.training.batches import in_order
from fer_search.training.engine import Engine, make_engine


def predict_images(model: keras.Model, design: Design, images: np.ndarray) -> np.ndarray:
    """Predict images as the design says: the mean of the probabilities over its views.

    Args:
        model: compiled, with the weights of a trial's best epoch (which are averages already, where the design has
        any). design: gives the views and the images a step.
        images: uint8 (n, 48, 48).

    Returns:
        float32 (n, 7).
    """
    engine = make_engine(model, make_loss(design.optimisation, reduction="none"))
    return predict_views(engine, engine.put(images), len(images), design)


def predict_views(engine: Engine, images: Any, count: int, design: Design) -> np.ndarray:
    """Do as ``predict_images`` does, with an engine, and ``count`` images that it has put on the device."""
    rows = in_order(count, design.optimisation.batch_size)
    maps = view_maps(design.augmentation, design.evaluation)
    if maps is None:
        return engine.predict(images, {"rows": rows})[:count]
    views = [engine.predict(images, {"rows": rows, "maps": np.tile(view, (*rows.shape, 1, 1))}) for view in maps]
    return np.mean(views, axis=0)[:count]
