"""The small parts that the networks share: what a word of the vocabulary means as Keras layers."""

from __future__ import annotations

import keras

from fer_search.models.normalization import BatchNormalization
from fer_search.models.random_layers import Dropout, GaussianNoise

MOST_GROUPS = 32  # of group normalisation, as in its paper


def normalize(x: keras.KerasTensor, kind: str, name: str) -> keras.KerasTensor:
    """Normalise (n, h, w, c) as ``Residual.normalization`` says; "none" changes nothing."""
    if kind == "batch":
        return BatchNormalization(name=name)(x)
    if kind == "layer":
        return keras.layers.LayerNormalization(name=name)(x)
    if kind == "group":
        return keras.layers.GroupNormalization(group_count(x.shape[-1]), name=name)(x)
    return x


def group_count(channels: int) -> int:
    """Return the most groups, at most 32, that divide the channels."""
    return max(g for g in range(1, MOST_GROUPS + 1) if channels % g == 0)


def activate(x: keras.KerasTensor, kind: str, name: str) -> keras.KerasTensor:
    """Apply a Keras activation; "leaky_relu" has a slope of 0.2 below zero."""
    return keras.layers.Activation(kind, name=name)(x)


def drop(x: keras.KerasTensor, rate: float, name: str) -> keras.KerasTensor:
    """Drop a share of the values while training; nothing is added for a share of 0."""
    return Dropout(rate, name=name)(x) if rate else x


def add_noise(x: keras.KerasTensor, deviation: float, name: str) -> keras.KerasTensor:
    """Add Gaussian noise while training; nothing is added for a deviation of 0."""
    return GaussianNoise(deviation, name=name)(x) if deviation else x


def pool_half(x: keras.KerasTensor, kind: str, name: str) -> keras.KerasTensor:
    """Halve the resolution of (n, h, w, c), by "max_pool", "average_pool" or "blur_pool".

    The low-pass filter of blur_pool, (1 2 1)/4 in both directions at every other pixel (Zhang 2019, arXiv:1904.11486,
    Triangle-3), is two box filters one after the other, so two stock layers do it on every backend; at the right and
    the lower border the outermost pixel is repeated.
    """
    if kind == "max_pool":
        return keras.layers.MaxPooling2D(2, name=name)(x)
    if kind == "blur_pool":
        x = keras.layers.AveragePooling2D(2, strides=1, padding="same", name=f"{name}_blur")(x)
    return keras.layers.AveragePooling2D(2, name=name)(x)


def convolve(x: keras.KerasTensor, filters: int, kernel: int, strides: int, name: str) -> keras.KerasTensor:
    """Convolve (n, h, w, c) with bias and padding "same"; a stride of 2 halves the resolution, rounded up."""
    if kernel == 1 and strides > 1:
        # A 1x1 convolution of stride 2 sees every other pixel, and leaving the others out first is the same map.
        # TensorFlow 2.21 (oneDNN, CPU) corrupts memory in the strided one's weight gradient below 16 channels.
        x = keras.layers.MaxPooling2D(1, strides=strides, name=f"{name}_stride")(x)
        strides = 1
    return keras.layers.Conv2D(filters, kernel, strides=strides, padding="same", name=name)(x)
