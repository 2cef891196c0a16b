"""The residual family, which includes the network of the course report's Figure 1."""

from __future__ import annotations

import keras

from fer_search.design import Residual
from fer_search.models.layers import activate, conv2d, downsample, dropout, normalize


def residual_stages(x: keras.KerasTensor, network: Residual) -> keras.KerasTensor:
    """Apply the stem and the stages to (n, h, w, c); every stage except the first halves the resolution."""
    if network.stem:
        x = _stem(x, network)
    for s, stage in enumerate(network.filters(), start=1):
        strides = 1
        if s > 1 and network.downsample == "strided":
            strides = 2
        elif s > 1:
            x = downsample(x, network.downsample, f"stage{s}_pool")
        for b, filters in enumerate(stage, start=1):
            first = s == 1 and b == 1
            x = residual_block(x, network, filters, strides if b == 1 else 1, f"stage{s}_block{b}", first=first)
        if network.pre_activation and s == len(network.stages):
            x = _normalize_and_activate(x, network, "last_bn", "last_act")
        x = dropout(x, network.dropout[s - 1], f"stage{s}_dropout")
    return x


def _stem(x: keras.KerasTensor, network: Residual) -> keras.KerasTensor:
    """Apply the stem; where it halves the resolution, normalisation and activation have a quarter of the pixels."""
    kind = network.stem_downsample
    x = conv2d(x, max(1, round(network.stem * network.width)), 3, 2 if kind == "strided" else 1, "stem")
    if kind not in ("none", "strided"):
        x = downsample(x, kind, "stem_pool")
    return _normalize_and_activate(x, network, "stem_bn", "stem_act")


def residual_block(
    x: keras.KerasTensor, network: Residual, filters: int, strides: int, name: str, first: bool = False
) -> keras.KerasTensor:
    """Apply a residual block: two 3x3 convolutions and a shortcut.

    Figure 1's order is convolution, BN, ReLU, convolution, BN, sum with the shortcut, ReLU (He et al. 2016,
    arXiv:1512.03385). With pre-activation, BN and ReLU precede each convolution and nothing follows the sum (He et al.
    2016, arXiv:1603.05027); a convolution in the shortcut takes the activated input, as in their code.

    Args:
        x: Feature maps (n, h, w, c).
        network: Options of the block.
        filters: Filters of both convolutions.
        strides: Stride of the first convolution and the shortcut.
        name: Prefix of the layer names.
        first: Whether this is the network's first block, whose input needs no pre-activation: it is an image, or the
            output of the stem's activation (section 4.1 of the paper treats the first unit in the same way).
    """
    before = x
    if network.pre_activation and not first:
        x = _normalize_and_activate(x, network, f"{name}_bn1", f"{name}_act1")
    shortcut = _shortcut(before, x, network, filters, strides, name)
    x = conv2d(x, filters, 3, strides, f"{name}_conv1")
    middle = 2 if network.pre_activation else 1
    x = _normalize_and_activate(x, network, f"{name}_bn{middle}", f"{name}_act{middle}")
    x = conv2d(x, filters, 3, 1, f"{name}_conv2")
    if not network.pre_activation:
        x = normalize(x, network.normalization, f"{name}_bn2")
    if network.squeeze_excitation:
        x = squeeze_and_excite(x, network.squeeze_excitation, f"{name}_se")
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return x if network.pre_activation else activate(x, network.activation, f"{name}_act2")


def squeeze_and_excite(x: keras.KerasTensor, ratio: int, name: str) -> keras.KerasTensor:
    """Scale the channels of (n, h, w, c) by gates computed from their means (Hu et al. 2018, arXiv:1709.01507)."""
    channels = x.shape[-1]
    scale = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
    scale = keras.layers.Dense(max(1, channels // ratio), activation="relu", name=f"{name}_squeeze")(scale)
    scale = keras.layers.Dense(channels, activation="sigmoid", name=f"{name}_excite")(scale)
    return keras.layers.Multiply(name=f"{name}_scale")([x, scale])


def _shortcut(
    before: keras.KerasTensor, x: keras.KerasTensor, network: Residual, filters: int, strides: int, name: str
) -> keras.KerasTensor:
    """Return the shortcut in the shape of the block's output; ``x`` is the input after pre-activation."""
    if network.shortcut == "identity" and strides == 1 and before.shape[-1] == filters:
        return before
    shortcut = conv2d(x, filters, 1, strides, f"{name}_shortcut")
    if network.shortcut == "conv":
        return shortcut
    return normalize(shortcut, network.normalization, f"{name}_shortcut_bn")


def _normalize_and_activate(x: keras.KerasTensor, network: Residual, bn: str, act: str) -> keras.KerasTensor:
    return activate(normalize(x, network.normalization, bn), network.activation, act)
