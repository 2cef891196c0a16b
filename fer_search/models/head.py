"""The head: from the last feature maps to the seven classes."""

from __future__ import annotations

import keras

from fer_search.design import Head
from fer_search.models.normalization import BatchNormalization
from fer_search.models.parts import drop

CLASS_COUNT = 7
POOLING = {
    "average": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
    "flatten": keras.layers.Flatten,
}


def apply_head(x: keras.KerasTensor, head: Head) -> keras.KerasTensor:
    """Pool (n, h, w, c), apply the dense layers, and give the probabilities, float32 (n, 7).

    The order is the one in which the report names the layers: dropout, then for each dense layer Dense with its
    activation, BN, dropout; then Dense 7 with softmax.
    """
    x = POOLING[head.pooling](name="pool")(x)
    x = drop(x, head.dropout[0], "head_dropout0")
    for i, (units, rate) in enumerate(zip(head.dense, head.dropout[1:], strict=True), start=1):
        x = keras.layers.Dense(units, activation=head.activation, name=f"head_dense{i}")(x)
        if head.batch_norm:
            x = BatchNormalization(name=f"head_bn{i}")(x)
        x = drop(x, rate, f"head_dropout{i}")
    return keras.layers.Dense(CLASS_COUNT, activation="softmax", dtype="float32", name="probabilities")(x)
