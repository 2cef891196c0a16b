"""The residual family, around the network of the report's Figure 1."""

from __future__ import annotations

import keras

from fer_search.design import Residual
from fer_search.models.parts import activate, convolve, drop, normalize, pool_half


def residual_stages(x: keras.KerasTensor, network: Residual) -> keras.KerasTensor:
    """Apply the stem and the stages to (n, h, w, c); each stage but the first halves the resolution."""
    if network.stem:
        x = convolve(x, max(1, round(network.stem * network.width)), 3, 1, "stem")
        x = _normalize_and_activate(x, network, "stem_bn", "stem_act")
    for s, stage in enumerate(network.filters(), start=1):
        strides = 1
        if s > 1 and network.downsample == "strided":
            strides = 2
        elif s > 1:
            x = pool_half(x, network.downsample, f"stage{s}_pool")
        for b, filters in enumerate(stage, start=1):
            first = s == 1 and b == 1
            x = residual_block(x, network, filters, strides if b == 1 else 1, f"stage{s}_block{b}", first=first)
        if network.pre_activation and s == len(network.stages):
            x = _normalize_and_activate(x, network, "last_bn", "last_act")
        x = drop(x, network.dropout[s - 1], f"stage{s}_dropout")
    return x


def residual_block(
    x: keras.KerasTensor, network: Residual, filters: int, strides: int, name: str, first: bool = False
) -> keras.KerasTensor:
    """Apply a block: two 3x3 convolutions and a shortcut around them.

    Figure 1's order is convolution, BN, ReLU, convolution, BN, plus the shortcut, then ReLU (He et al. 2016,
    arXiv:1512.03385). With pre-activation BN and ReLU come before each convolution and nothing after the sum (He et al.
    2016, arXiv:1603.05027); a convolution in the shortcut sees the activated input too, as in their code.

    Args:
        x: (n, h, w, c).
        network: for its options.
        filters: of both convolutions.
        strides: 2 halves the resolution.
        name: prefix of the layers' names.
        first: whether it is the network's first block, whose input is not activated before: it is an image, or comes
            out of the stem's activation (their section 4.1 treats the first unit alike).
    """
    before = x
    if network.pre_activation and not first:
        x = _normalize_and_activate(x, network, f"{name}_bn1", f"{name}_act1")
    shortcut = _shortcut(before, x, network, filters, strides, name)
    x = convolve(x, filters, 3, strides, f"{name}_conv1")
    middle = 2 if network.pre_activation else 1
    x = _normalize_and_activate(x, network, f"{name}_bn{middle}", f"{name}_act{middle}")
    x = convolve(x, filters, 3, 1, f"{name}_conv2")
    if not network.pre_activation:
        x = normalize(x, network.normalization, f"{name}_bn2")
    if network.squeeze_excitation:
        x = squeeze_and_excite(x, network.squeeze_excitation, f"{name}_se")
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return x if network.pre_activation else activate(x, network.activation, f"{name}_act2")


def squeeze_and_excite(x: keras.KerasTensor, ratio: int, name: str) -> keras.KerasTensor:
    """Scale each channel of (n, h, w, c) by what all channels' means say (Hu et al. 2018, arXiv:1709.01507)."""
    channels = x.shape[-1]
    scale = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
    scale = keras.layers.Dense(max(1, channels // ratio), activation="relu", name=f"{name}_squeeze")(scale)
    scale = keras.layers.Dense(channels, activation="sigmoid", name=f"{name}_excite")(scale)
    return keras.layers.Multiply(name=f"{name}_scale")([x, scale])


def _shortcut(
    before: keras.KerasTensor, x: keras.KerasTensor, network: Residual, filters: int, strides: int, name: str
) -> keras.KerasTensor:
    """Return the block's input in the shape of its output; ``x`` is the input after pre-activation."""
    if network.shortcut == "identity" and strides == 1 and before.shape[-1] == filters:
        return before
    shortcut = convolve(x, filters, 1, strides, f"{name}_shortcut")
    if network.shortcut == "conv":
        return shortcut
    return normalize(shortcut, network.normalization, f"{name}_shortcut_bn")


def _normalize_and_activate(x: keras.KerasTensor, network: Residual, bn: str, act: str) -> keras.KerasTensor:
    return activate(normalize(x, network.normalization, bn), network.activation, act)
