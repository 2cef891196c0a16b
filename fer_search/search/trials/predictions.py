"""predictions.npz: what the best network of a run predicts for the validation images, for the report.

Its arrays: ``trial`` (str), its id; ``probabilities`` float16 (m, 7); ``labels`` uint8 (m,), from 0 to 6; ``rows``
int64 (m,), of the images in the data set; ``mistakes`` int64 (k,), indices into these of the at most 40 images that it
got wrong with the highest probability, the worst first; ``mistake_images`` uint8 (k, 48, 48).
"""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import numpy as np

from fer_search.design import Design
from fer_search.files import write_atomic
from fer_search.models import build_model
from fer_search.training.checkpoint import BEST
from fer_search.training.precision import dtype_policy
from fer_search.training.predict import predict_images

FILE = "predictions.npz"
MISTAKES = 40


def predicted_trial(run: Path) -> str | None:
    """Return the trial whose predictions are kept; None where there are none, or none that can be read."""
    try:
        with np.load(run / FILE) as arrays:
            return str(arrays["trial"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def keep_predictions(
    run: Path, trial_id: str, design: Design, images: np.ndarray, labels: np.ndarray, rows: np.ndarray
) -> None:
    """Predict the validation images with a trial's best weights and keep the result; nothing if these are not there.

    Args:
        run: the run folder.
        trial_id: of the best trial.
        design: of the trial.
        images: uint8 (m, 48, 48).
        labels: int (m,).
        rows: int (m,), of the images in the data set.
    """
    weights = run / f"trial_{trial_id}" / BEST
    if not weights.exists():
        return
    with dtype_policy(design.optimisation.precision):
        model = build_model(design, pretrained=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras says that the optimiser's state is left out, which is right here
        model.load_weights(weights)
    probabilities = predict_images(model, design, images)
    arrays = {"trial": np.array(trial_id), "probabilities": probabilities.astype(np.float16)}
    arrays |= {"labels": labels.astype(np.uint8), "rows": rows.astype(np.int64)}
    worst = worst_mistakes(probabilities, labels)
    arrays |= {"mistakes": worst, "mistake_images": images[worst]}
    write_atomic(run / FILE, lambda path: np.savez_compressed(path, allow_pickle=False, **arrays))


def worst_mistakes(probabilities: np.ndarray, labels: np.ndarray, most: int = MISTAKES) -> np.ndarray:
    """Return the indices of the wrong predictions with the highest probability, the worst first; int64."""
    guess = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(guess != labels)
    return wrong[np.argsort(-probabilities[wrong, guess[wrong]], kind="stable")][:most].astype(np.int64)
