"""Design -> keras.Model."""

from __future__ import annotations

import keras

from fer_search.design import IMAGE_SIZE, Design, Head, Optimisation
from fer_search.models.residual import residual_stages

CLASS_COUNT = 7


def build_model(design: Design) -> keras.Model:
    """Build and compile the network of a design.

    The model takes raw grey pixels, so that it can be used and exported by itself: float32 (n, 48, 48, 1) from 0 to 255.
    It gives float32 (n, 7), the probability of each class in the order of ``fer_search.data.CLASSES``.

    Args:
        design: what to build.

    Returns:
        A functional model, compiled with the design's optimiser, categorical cross-entropy (labels one-hot, or mixed
        by mixup) and accuracy.
    """
    pixels = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 1), name="pixels")
    x = keras.layers.Rescaling(1 / 255, name="rescale")(pixels)
    x = residual_stages(x, design.network)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(pixels, _head(x, design.head), name="fer")
    model.compile(optimizer=make_optimizer(design.optimisation), loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def make_optimizer(optimisation: Optimisation) -> keras.optimizers.Optimizer:
    """Return the design's Keras optimiser at its first learning rate."""
    if optimisation.optimizer == "sgd":
        momentum = optimisation.momentum
        return keras.optimizers.SGD(optimisation.learning_rate, momentum=momentum, nesterov=momentum > 0)
    return keras.optimizers.Adam(optimisation.learning_rate)


def _head(x: keras.KerasTensor, head: Head) -> keras.KerasTensor:
    x = _dropout(x, head.dropout[0], "head_dropout0")
    for i, (units, rate) in enumerate(zip(head.dense, head.dropout[1:], strict=True), start=1):
        x = keras.layers.Dense(units, name=f"head_dense{i}")(x)
        x = keras.layers.BatchNormalization(name=f"head_bn{i}")(x)
        x = keras.layers.ReLU(name=f"head_relu{i}")(x)
        x = _dropout(x, rate, f"head_dropout{i}")
    return keras.layers.Dense(CLASS_COUNT, activation="softmax", dtype="float32", name="probabilities")(x)


def _dropout(x: keras.KerasTensor, rate: float, name: str) -> keras.KerasTensor:
    return keras.layers.Dropout(rate, name=name)(x) if rate else x
