"""Opening an exported file, of any format, to predict with it."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fer_search.backend import suppressed_native_stderr
from fer_search.errors import UserError
from fer_search.export import metadata
from fer_search.export.metadata import ModelInfo, parse_info

BATCH_SIZE = 64
HDF5 = b"\x89HDF\r\n\x1a\n"
KERAS_CONFIG = "config.json"
ONNX_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


@dataclass(frozen=True)
class ExportedModel:
    """A network that predicts, wherever it comes from.

    Args:
        info: Class names and input shape.
        run: float32 (batch, height, width, channels) from 0 to 255 to float32 (batch, classes).
        fixed_batch: Whether each new batch size is compiled anew, so that batches are padded to a few sizes.
        name: File or run, for messages.
    """

    info: ModelInfo
    run: Callable[[np.ndarray], np.ndarray]
    fixed_batch: bool
    name: str

    def probabilities(self, images: np.ndarray, batch_size: int = BATCH_SIZE) -> np.ndarray:
        """Return the probability of each class, float32 (n, classes).

        Args:
            images: uint8 or float (n, height, width) or (n, height, width, channels), from 0 to 255.
            batch_size: Images per call.

        Raises:
            ValueError: The images do not have the shape that the network takes.
        """
        images = as_batch(images, self.info.shape)
        parts = [self._batch(images[first : first + batch_size]) for first in range(0, len(images), batch_size)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.info.classes)), np.float32)

    def _batch(self, images: np.ndarray) -> np.ndarray:
        batch, count = images.astype(np.float32), len(images)
        if self.fixed_batch:
            size = 1 << (count - 1).bit_length()  # the next power of two
            batch = np.concatenate([batch, np.repeat(batch[-1:], size - count, axis=0)])
        return self.run(batch)[:count]


def open_model(path: Path) -> ExportedModel:
    """Open a file or folder that ``fer-search export`` or ``confirm`` wrote.

    Raises:
        UserError: It is missing, broken, not a model, or another tool's model.
    """
    kind = model_format(path)
    if kind is None:
        raise UserError(
            f"{path} is not a model: give a run folder, or a .keras, .tflite, .onnx or SavedModel that fer-search "
            "export wrote"
        )
    try:
        return OPENERS[kind](path)
    except UserError:
        raise
    except Exception as error:  # each library has its own exceptions for broken files
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} cannot be opened ({first}); export it again with fer-search export") from error


def model_format(path: Path) -> str | None:
    """Return the format of a file or folder, by its content: a key of ``OPENERS``; None if it is not a model.

    Raises:
        UserError: It does not exist or cannot be read.
    """
    try:
        if path.is_dir():
            return "saved_model" if (path / "saved_model.pb").exists() else None
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give a run folder or an exported model") from error
    if start[4:8] == b"TFL3":
        return "tflite"
    if start == HDF5:
        raise _foreign(path, "a Keras HDF5 file")
    if start[:2] == b"PK":
        try:
            with zipfile.ZipFile(path) as archive:
                return "keras" if KERAS_CONFIG in archive.namelist() else None
        except zipfile.BadZipFile:
            if path.suffix == ".keras":
                raise UserError(f"{path} is damaged (an incomplete zip file); export it again") from None
            return None
    return "onnx" if path.suffix == ".onnx" else None


def _foreign(path: Path, what: str) -> UserError:
    return UserError(
        f"{path} is {what} that fer-search did not write: its class names and the scale of its input are unknown. Give "
        "a run folder, or a file that fer-search export wrote"
    )


def _open_keras(path: Path) -> ExportedModel:
    info = metadata.read_from_keras(path)
    if info is None:
        raise _foreign(path, "a Keras model")
    import keras

    return from_keras(keras.models.load_model(path, compile=False), info, str(path))


def from_keras(model: Any, info: ModelInfo, name: str) -> ExportedModel:
    """Wrap a plain Keras model."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        return ExportedModel(info, _frozen(model), False, name)
    return ExportedModel(info, lambda batch: np.asarray(model.predict_on_batch(batch)), backend == "jax", name)


def _frozen(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Compile a model with its weights as constants, so that TensorFlow folds batch normalisation into convolutions."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
    traced = tf.function(lambda pixels: model(pixels, training=False), autograph=False)
    constant = convert_variables_to_constants_v2(traced.get_concrete_function(signature))
    return lambda batch: np.asarray(constant(tf.constant(batch))[0])


def _open_tflite(path: Path) -> ExportedModel:
    info = metadata.read_from_tflite(path)
    if info is None:
        raise _foreign(path, "a TensorFlow Lite model")
    interpreter = _interpreter(path)
    pixels, output = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(batch: np.ndarray) -> np.ndarray:
        if tuple(interpreter.get_input_details()[0]["shape"]) != batch.shape:
            interpreter.resize_tensor_input(pixels, batch.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(pixels, batch)
        interpreter.invoke()
        return np.array(interpreter.get_tensor(output))

    return ExportedModel(info, run, True, str(path))


def _interpreter(path: Path) -> Any:
    """Return TensorFlow Lite's interpreter, from LiteRT where it is installed, otherwise TensorFlow's own."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        with suppressed_native_stderr():
            import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    with warnings.catch_warnings(action="ignore"):  # TensorFlow's own is to move to LiteRT
        interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    return interpreter


def _open_onnx(path: Path) -> ExportedModel:
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"{path} needs the extra 'onnx': pip install 'fer-search[onnx]'") from error
    providers = [name for name in ONNX_PROVIDERS if name in onnxruntime.get_available_providers()]
    session = onnxruntime.InferenceSession(str(path), providers=providers)
    text = session.get_modelmeta().custom_metadata_map.get(metadata.KEY)
    info = parse_info(text) if text else None
    if info is None:
        raise _foreign(path, "an ONNX model")
    name = session.get_inputs()[0].name
    return ExportedModel(info, lambda batch: session.run(None, {name: batch})[0], False, str(path))


def _open_saved_model(path: Path) -> ExportedModel:
    info = metadata.read_from_saved_model(path)
    if info is None:
        raise _foreign(path, "a SavedModel")
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return ExportedModel(info, lambda batch: loaded.serve(tf.constant(batch)).numpy(), False, str(path))


OPENERS: dict[str, Callable[[Path], ExportedModel]] = {
    "keras": _open_keras,
    "tflite": _open_tflite,
    "onnx": _open_onnx,
    "saved_model": _open_saved_model,
}


def as_batch(images: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return images as (n, height, width, channels); the channel axis may be missing where there is one channel.

    Raises:
        ValueError: The images do not have the shape that the network takes.
    """
    images = np.asarray(images)
    if images.ndim == 3 and shape[-1] == 1:
        images = images[..., None]
    if images.shape[1:] != tuple(shape):
        raise ValueError(f"images must have the shape (n, {', '.join(map(str, shape))}), not {images.shape}")
    return images
