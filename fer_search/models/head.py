"""Classification head: from the last feature maps to class probabilities."""

from __future__ import annotations

import keras

from fer_search.design import Head
from fer_search.models.layers import dropout
from fer_search.models.normalization import BatchNormalization

POOLING = {
    "average": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
    "flatten": keras.layers.Flatten,
}


def apply_head(x: keras.KerasTensor, head: Head, classes: int) -> keras.KerasTensor:
    """Apply pooling, the dense layers and the softmax classifier.

    Layer order as in the course report: dropout; for each hidden layer Dense with its activation, BN, dropout; then the
    classifier.

    Args:
        x: Feature maps (n, h, w, c).
        head: Pooling, hidden units and dropout rates.
        classes: Number of classes.

    Returns:
        Probabilities, float32 (n, classes).
    """
    if len(x.shape) == 4:  # a custom network may have pooled already
        x = POOLING[head.pooling](name="pool")(x)
    x = dropout(x, head.dropout[0], "head_dropout0")
    for i, (units, rate) in enumerate(zip(head.dense, head.dropout[1:], strict=True), start=1):
        x = keras.layers.Dense(units, activation=head.activation, name=f"head_dense{i}")(x)
        if head.batch_norm:
            x = BatchNormalization(name=f"head_bn{i}")(x)
        x = dropout(x, rate, f"head_dropout{i}")
    return keras.layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(x)
