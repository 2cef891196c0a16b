"""Predicting the validation images with the best network of a run, for the report."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from fer_search.design import Design
from fer_search.models import build_model
from fer_search.models.precision import dtype_policy
from fer_search.runfolder.predictions import write_predictions
from fer_search.runfolder.schema import TRIAL_PREFIX
from fer_search.training.checkpoint import BEST_FILE
from fer_search.training.precision import resolve_precision
from fer_search.training.predict import predict_images
from fer_search.training.types import TrialData


def store_predictions(
    run: Path, trial_id: str, design: Design, resolution: int, data: TrialData, rows: np.ndarray
) -> None:
    """Write predictions.npz (see ``fer_search.runfolder.predictions``); no-op without the trial's best weights.

    Args:
        run: Run folder.
        trial_id: Id of the best trial.
        design: Its design.
        resolution: From ``design_json.weights_resolution``.
        data: The validation images and their labels.
        rows: int (m,) indices of the validation images in the data set.
    """
    weights = run / f"{TRIAL_PREFIX}{trial_id}" / BEST_FILE
    if not weights.exists():
        return
    with dtype_policy(resolve_precision(design.optimisation.precision)):
        model = build_model(design, pretrained=False, spec=data.spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns that the optimizer state is not loaded, as intended
        model.load_weights(weights)
    probabilities = predict_images(model, design, data.val_images, resolution)
    write_predictions(run, trial_id, probabilities, data.val_labels, data.val_images, rows, data.class_names)
