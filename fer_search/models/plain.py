"""The plain family: VGG-like networks."""

from __future__ import annotations

import keras

from fer_search.design import Plain
from fer_search.models.layers import activate, conv2d, downsample, dropout, normalize


def plain_stages(x: keras.KerasTensor, network: Plain) -> keras.KerasTensor:
    """Apply the stages to (n, h, w, c): convolution, normalisation, activation; each stage ends with downsampling."""
    stages = zip(network.filters(), network.kernels, network.dropout, strict=True)
    for s, (stage, kernel, rate) in enumerate(stages, start=1):
        for i, filters in enumerate(stage, start=1):
            name = f"stage{s}_conv{i}"
            strided = network.downsample == "strided" and i == len(stage)
            x = conv2d(x, filters, kernel, 2 if strided else 1, name)
            x = normalize(x, network.normalization, f"{name}_bn")
            x = activate(x, network.activation, f"{name}_act")
        if network.downsample != "strided":
            x = downsample(x, network.downsample, f"stage{s}_pool")
        x = dropout(x, rate, f"stage{s}_dropout")
    return x
