"""A trained network as a plain Keras model: float32, Keras' own layers, raw pixels in, probabilities out."""

from __future__ import annotations

import re
from collections.abc import Sequence

import keras
import numpy as np

from fer_search.augment import tta_maps
from fer_search.augment.resize import area_matrix
from fer_search.design import Design, low_resolution_side
from fer_search.models.normalization import BatchNormalization
from fer_search.models.random_layers import Dropout, GaussianNoise

STOCK_LAYERS = {
    BatchNormalization: keras.layers.BatchNormalization,
    Dropout: keras.layers.Dropout,
    GaussianNoise: keras.layers.GaussianNoise,
}
MODEL_NAME, NETWORK_NAME, INPUT_NAME = "fer", "network", "pixels"
DEFAULT_OUTPUT_NAME = "probabilities"
IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float32)  # the view that is the image itself
MAX_NAME_LENGTH = 200  # characters; TensorFlow and file formats put the name into paths


def plain_model(
    model: keras.Model, design: Design, classes: Sequence[str], views: bool = True, resolution: int = 0
) -> keras.Model:
    """Return a network that opens in any Keras, with the same weights.

    fer-search's layers become the Keras layers that they extend, and all arithmetic is float32, whatever precision the
    network was trained in. The design's test-time augmentation is part of the graph: its views are fixed linear maps of
    rows and columns, and the output is the mean of their probabilities.

    Args:
        model: The trained network: pixels (n, height, width, channels) from 0 to 255 to probabilities (n, classes).
        design: Its design; decides the views.
        classes: Class names, in the order of the output.
        views: False leaves test-time augmentation out: the image itself (its centre crop if training cropped).
        resolution: Side in pixels of 48 to which images are shrunk, in the graph; 0 for no change.

    Returns:
        An uncompiled model with the same input and output; its output layer is named for the classes.
    """
    maps = tta_maps(design.augmentation, design.evaluation, model.input_shape[1])
    if maps is not None and not views:
        maps = maps[:1] if len(maps) and not _is_identity(maps[0]) else None
    name = output_name(classes)
    if maps is None and not resolution:
        return _copy(model, MODEL_NAME, name)
    size = low_resolution_side(resolution, model.input_shape[1]) if resolution else model.input_shape[1]
    network = _copy(model, NETWORK_NAME, DEFAULT_OUTPUT_NAME, size)
    pixels = keras.Input(model.input_shape[1:], name=INPUT_NAME)
    seen = [_view(pixels, affine, f"view{index}") for index, affine in enumerate([IDENTITY] if maps is None else maps)]
    if resolution:
        seen = [_shrink(view, size, f"shrunk{index}") for index, view in enumerate(seen)]
    outputs = [network(view) for view in seen]
    if len(outputs) == 1:
        mean = keras.layers.Activation("linear", name=name)(outputs[0])
    else:
        mean = keras.layers.Average(name=name)(outputs)
    return keras.Model(pixels, mean, name=MODEL_NAME)


def output_name(classes: Sequence[str]) -> str:
    """Return a layer name that lists the classes in order, "angry_disgust_fear"; "probabilities" if that is too long.

    Characters that TensorFlow does not accept in a name become underscores; the exact names are in the metadata.
    """
    name = "_".join(filter(None, (re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_") for text in classes)))
    valid = name and name[0].isalnum() and len(name) <= MAX_NAME_LENGTH
    return name if valid else DEFAULT_OUTPUT_NAME


def foreign_layers(model: keras.Model) -> list[str]:
    """Return the classes of a model's layers that are not Keras' own: a space file may define its own layers."""
    kinds = {type(layer) for layer in model._flatten_layers()}
    return sorted(kind.__name__ for kind in kinds if kind.__module__.split(".")[0] != "keras")


def _copy(model: keras.Model, name: str, output: str, size: int | None = None) -> keras.Model:
    """Copy a functional model, its layers replaced by Keras' own in float32, its output layer renamed.

    Args:
        model: The model.
        name: Name of the copy.
        output: Name of its output layer.
        size: Side of its input in pixels; that of the model by default.
    """
    last = model.outputs[0]._keras_history.operation

    def plain_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.Model):  # a backbone, or a model that a space file built
            return _copy_nested(layer) if _is_graph(layer) else layer
        config = layer.get_config() | {"dtype": "float32"}
        if layer is last:
            config["name"] = output
        try:
            return STOCK_LAYERS.get(type(layer), type(layer)).from_config(config)
        except (TypeError, ValueError, NotImplementedError):  # Lambda, and layers of a space file without get_config
            return layer

    other = size is not None and size != model.input_shape[1]
    pixels = keras.Input((size, size, model.input_shape[-1]), name=INPUT_NAME) if other else None
    copy: keras.Model = keras.models.clone_model(model, input_tensors=pixels, clone_function=plain_layer)
    copy.set_weights(model.get_weights())
    return keras.Model(copy.inputs[0], copy.outputs[0], name=name)


def _copy_nested(model: keras.Model) -> keras.Model:
    return _copy(model, model.name, model.outputs[0]._keras_history.operation.name)


def _is_graph(model: keras.Model) -> bool:
    """Whether a model is a graph of layers, and not a class with a ``call`` of its own."""
    return isinstance(model, keras.Sequential) or type(model).__name__ == "Functional"


def _view(pixels: keras.KerasTensor, affine: np.ndarray, name: str) -> keras.KerasTensor:
    """Apply one view: a bilinear sampling of rows, then of columns, each a constant matrix in a Dense layer.

    Args:
        pixels: float32 (n, height, width, channels).
        affine: float32 (2, 3), without rotation or shear; see ``fer_search.augment.geometry``.
        name: Prefix of the layers' names.
    """
    if _is_identity(affine):
        return pixels
    _, height, width, _ = pixels.shape
    if affine[0, 1] or affine[1, 0]:
        raise ValueError(f"a view must not rotate or shear, but its map is {affine.tolist()}")
    columns = sampling_matrix(affine[1, 1], affine[1, 2], width)
    return _resample(pixels, sampling_matrix(affine[0, 0], affine[0, 2], height), columns, name)


def _shrink(pixels: keras.KerasTensor, size: int, name: str) -> keras.KerasTensor:
    """Shrink square images to a side in pixels, as ``fer_search.augment.resize`` does."""
    matrix = area_matrix(pixels.shape[1], size)
    return _resample(pixels, matrix, matrix, name)


def _resample(pixels: keras.KerasTensor, rows: np.ndarray, columns: np.ndarray, name: str) -> keras.KerasTensor:
    """Multiply the columns, then the rows of images by constant matrices, float32 (output, input).

    Args:
        pixels: float32 (n, height, width, channels).
        rows: Matrix of each column of pixels.
        columns: Matrix of each row of pixels.
        name: Prefix of the layers' names.
    """
    x = keras.layers.Permute((3, 1, 2), name=f"{name}_channels_first")(pixels)
    x = _multiply(x, columns, f"{name}_columns")
    x = keras.layers.Permute((1, 3, 2), name=f"{name}_swap")(x)
    x = _multiply(x, rows, f"{name}_rows")
    return keras.layers.Permute((3, 2, 1), name=f"{name}_channels_last")(x)


def _multiply(x: keras.KerasTensor, matrix: np.ndarray, name: str) -> keras.KerasTensor:
    """Multiply the last axis by a constant matrix, float32 (output, input)."""
    layer = keras.layers.Dense(len(matrix), use_bias=False, trainable=False, dtype="float32", name=name)
    y = layer(x)
    layer.set_weights([matrix.T])
    return y


def sampling_matrix(scale: float, offset: float, size: int) -> np.ndarray:
    """Return the matrix of a bilinear sampling along one axis; positions outside take the border pixel.

    Args:
        scale: Input pixels per output pixel; negative mirrors.
        offset: Input position of output pixel 0.
        size: Number of pixels along the axis.

    Returns:
        float32 (size, size): output = matrix @ input.
    """
    position = np.float32(scale) * np.arange(size, dtype=np.float32) + np.float32(offset)
    position = np.clip(position, 0, size - 1).astype(np.float32)
    lower = np.floor(position).astype(int)
    fraction = position - lower.astype(np.float32)
    matrix = np.zeros((size, size), np.float32)
    np.add.at(matrix, (np.arange(size), lower), 1 - fraction)
    np.add.at(matrix, (np.arange(size), np.minimum(lower + 1, size - 1)), fraction)
    return matrix


def _is_identity(affine: np.ndarray) -> bool:
    return bool(np.array_equal(affine, IDENTITY))
