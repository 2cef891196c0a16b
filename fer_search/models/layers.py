"""Building blocks that the network families share: the options of a design as Keras layers."""

from __future__ import annotations

import keras

from fer_search.models.normalization import BatchNormalization
from fer_search.models.random_layers import Dropout, GaussianNoise

MAX_GROUPS = 32  # default of the group normalisation paper (Wu & He 2018, arXiv:1803.08494)


def normalize(x: keras.KerasTensor, kind: str, name: str) -> keras.KerasTensor:
    """Apply the normalisation of (n, h, w, c) that ``Residual.normalization`` names; "none" is the identity."""
    if kind == "batch":
        return BatchNormalization(name=name)(x)
    if kind == "layer":
        return keras.layers.LayerNormalization(name=name)(x)
    if kind == "group":
        return keras.layers.GroupNormalization(group_count(x.shape[-1]), name=name)(x)
    return x


def group_count(channels: int) -> int:
    """Return the largest number of groups, at most MAX_GROUPS, that divides the channels."""
    return max(g for g in range(1, MAX_GROUPS + 1) if channels % g == 0)


def activate(x: keras.KerasTensor, kind: str, name: str) -> keras.KerasTensor:
    """Apply a Keras activation by name; "leaky_relu" has a negative slope of 0.2."""
    return keras.layers.Activation(kind, name=name)(x)


def dropout(x: keras.KerasTensor, rate: float, name: str) -> keras.KerasTensor:
    """Apply dropout; no layer is added for rate 0."""
    return Dropout(rate, name=name)(x) if rate else x


def gaussian_noise(x: keras.KerasTensor, stddev: float, name: str) -> keras.KerasTensor:
    """Add Gaussian noise in training; no layer is added for standard deviation 0."""
    return GaussianNoise(stddev, name=name)(x) if stddev else x


def downsample(x: keras.KerasTensor, kind: str, name: str) -> keras.KerasTensor:
    """Halve the resolution of (n, h, w, c) by "max_pool", "average_pool" or "blur_pool".

    The low-pass filter of blur_pool, (1 2 1)/4 in both directions with stride 2 (Zhang 2019, arXiv:1904.11486,
    Triangle-3), is the composition of two box filters, so two stock layers implement it on every backend; at the right
    and lower border the outermost pixel is repeated.
    """
    if kind == "max_pool":
        return keras.layers.MaxPooling2D(2, name=name)(x)
    if kind == "blur_pool":
        x = keras.layers.AveragePooling2D(2, strides=1, padding="same", name=f"{name}_blur")(x)
    return keras.layers.AveragePooling2D(2, name=name)(x)


def conv2d(x: keras.KerasTensor, filters: int, kernel: int, strides: int, name: str) -> keras.KerasTensor:
    """Convolve (n, h, w, c) with bias and padding "same"; stride 2 halves the resolution, rounded up."""
    if kernel == 1 and strides > 1:
        # A strided 1x1 convolution equals an unstrided one on every other pixel. TensorFlow 2.21 (oneDNN, CPU) corrupts
        # memory in the weight gradient of the strided one below 16 channels.
        x = keras.layers.MaxPooling2D(1, strides=strides, name=f"{name}_stride")(x)
        strides = 1
    return keras.layers.Conv2D(filters, kernel, strides=strides, padding="same", name=name)(x)
