"""Keeping a network that was trained for a confirmation: as a plain Keras model, which is also what is tested."""

from __future__ import annotations

import numpy as np

from fer_search import __version__
from fer_search.data.spec import DataSpec
from fer_search.export.formats import write_keras
from fer_search.export.metadata import LABELS_FILE, ModelInfo
from fer_search.export.plain import plain_model
from fer_search.export.runtime import from_keras
from fer_search.files import write_atomic, write_text
from fer_search.runfolder.schema import MODEL_FILE
from fer_search.training.trial import Trial, trained_model


def save_and_predict(trial: Trial, spec: DataSpec, run: str, description: str, images: np.ndarray) -> np.ndarray:
    """Write a trained network to model.keras and labels.txt in its folder, and predict with it.

    Args:
        trial: The training, ended.
        spec: Classes and shape of the images.
        run: Name of the run, for the file's metadata.
        description: The network in words, for the same.
        images: uint8 (n, height, width[, channels]).

    Returns:
        Probabilities, float32 (n, classes): in float32 arithmetic, as whoever opens the file gets them.
    """
    views = trial.design.evaluation.views
    info = ModelInfo(spec.classes, *spec.input_shape, run, description, views, __version__)
    with trained_model(trial, spec) as model:
        plain = plain_model(model, trial.design, spec.classes, resolution=trial.resolution(trial.epochs))
        write_text(trial.folder / LABELS_FILE, info.labels)
        write_atomic(trial.folder / MODEL_FILE, lambda path: write_keras(plain, path, info))
        return from_keras(plain, info, str(trial.folder)).probabilities(images)
