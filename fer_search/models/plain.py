"""The plain family: VGG-like networks."""

from __future__ import annotations

import keras

from fer_search.design import Plain
from fer_search.models.parts import activate, convolve, drop, normalize, pool_half


def plain_stages(x: keras.KerasTensor, network: Plain) -> keras.KerasTensor:
    """Apply the stages to (n, h, w, c): convolution, normalisation, activation; each stage ends by halving."""
    stages = zip(network.filters(), network.kernels, network.dropout, strict=True)
    for s, (stage, kernel, rate) in enumerate(stages, start=1):
        for i, filters in enumerate(stage, start=1):
            name = f"stage{s}_conv{i}"
            halves = network.downsample == "strided" and i == len(stage)
            x = convolve(x, filters, kernel, 2 if halves else 1, name)
            x = normalize(x, network.normalization, f"{name}_bn")
            x = activate(x, network.activation, f"{name}_act")
        if network.downsample != "strided":
            x = pool_half(x, network.downsample, f"stage{s}_pool")
        x = drop(x, rate, f"stage{s}_dropout")
    return x
