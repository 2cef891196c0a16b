"""The residual family of the report's Figure 1."""

from __future__ import annotations

import keras

from fer_search.design import Residual


def residual_stages(x: keras.KerasTensor, network: Residual) -> keras.KerasTensor:
    """Apply the network's stages to (n, h, w, c); gives (n, h / 2^(stages - 1), w / 2^(stages - 1), filters)."""
    for s, stage in enumerate(network.filters(), start=1):
        strides = 1
        if s > 1 and network.downsample == "max_pool":
            x = keras.layers.MaxPooling2D(2, name=f"stage{s}_pool")(x)
        elif s > 1:
            strides = 2
        for b, filters in enumerate(stage, start=1):
            x = residual_block(x, filters, strides if b == 1 else 1, name=f"stage{s}_block{b}")
    return x


def residual_block(x: keras.KerasTensor, filters: int, strides: int, name: str) -> keras.KerasTensor:
    """Apply Figure 1's block: two 3x3 convolutions with BN, and a shortcut that is always a 1x1 convolution.

    He et al. 2016 (arXiv:1512.03385) use a 1x1 shortcut only where shapes change, with BN; the report's figure has one
    in every block, with bias and without BN.
    """
    layers = keras.layers
    shortcut = layers.Conv2D(filters, 1, strides=strides, name=f"{name}_shortcut")(x)
    x = layers.Conv2D(filters, 3, strides=strides, padding="same", name=f"{name}_conv1")(x)
    x = layers.BatchNormalization(name=f"{name}_bn1")(x)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_conv2")(x)
    x = layers.BatchNormalization(name=f"{name}_bn2")(x)
    x = layers.Add(name=f"{name}_add")([x, shortcut])
    return layers.ReLU(name=f"{name}_relu2")(x)
