"""Writing a plain Keras model as .keras (on any backend), .tflite, .onnx or a SavedModel (on TensorFlow)."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fer_search.errors import UserError
from fer_search.export import metadata
from fer_search.export.metadata import ModelInfo

SUFFIXES = {"keras": ".keras", "tflite": ".tflite", "onnx": ".onnx", "saved_model": ""}
QUANTISATIONS = ("int8", "float16")
ONNX_INSTALL = "ONNX export needs the extra 'onnx': pip install 'fer-search[onnx]'"


def write_keras(model: keras.Model, path: Path, info: ModelInfo) -> None:
    """Write a .keras file that opens with ``keras.models.load_model`` on every backend."""
    model.save(path)
    metadata.add_to_keras(path, info)


def write_tflite(
    model: keras.Model, path: Path, info: ModelInfo, quantise: str | None = None, samples: np.ndarray | None = None
) -> None:
    """Write a .tflite file; input and output stay float32.

    Args:
        model: From ``plain_model``.
        path: The file.
        info: Its description.
        quantise: "float16" stores the weights in half precision; "int8" computes in 8-bit integers; None neither.
        samples: uint8 or float32 (n, height, width, channels), on which "int8" measures the ranges of activations.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if quantise:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantise == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantise == "int8":
        assert samples is not None
        images = samples.astype(np.float32)
        converter.representative_dataset = lambda: ([image[None]] for image in images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
    with quiet():
        path.write_bytes(converter.convert())
    metadata.add_to_tflite(path, info)


def write_onnx(model: keras.Model, path: Path, info: ModelInfo) -> None:
    """Write an .onnx file with one input, "pixels", and one output, "probabilities", for any batch size.

    Raises:
        UserError: onnx or tf2onnx is not installed.
    """
    try:
        import onnx
        import tf2onnx  # noqa: F401 - Keras imports it, with a less helpful message
    except ImportError as error:
        raise UserError(ONNX_INSTALL) from error
    with quiet():
        model.export(path, format="onnx", verbose=False)
    graph = onnx.load(path)
    _rename(graph, graph.graph.output[0].name, "probabilities")
    for value in (graph.graph.input[0], graph.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.helper.set_model_props(graph, {metadata.KEY: info.to_json(), "classes": ",".join(info.classes)})
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def write_saved_model(model: keras.Model, path: Path, info: ModelInfo) -> None:
    """Write a SavedModel folder with the signature "serve"."""
    with quiet():
        model.export(path, format="tf_saved_model", verbose=False)
    metadata.add_to_saved_model(path, info)


WRITERS: dict[str, Callable[..., None]] = {
    "keras": write_keras,
    "tflite": write_tflite,
    "onnx": write_onnx,
    "saved_model": write_saved_model,
}


def _rename(model: Any, old: str, new: str) -> None:
    """Rename a tensor of an ONNX graph."""
    for node in model.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
    for value in model.graph.output:
        if value.name == old:
            value.name = new


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep back what the converters print; they report failures as exceptions."""
    from fer_search.backend import suppressed_native_stderr

    held, printed = suppressed_native_stderr(), contextlib.redirect_stdout(io.StringIO())
    with held, printed, warnings.catch_warnings(action="ignore"):
        yield
