"""Preprocessing of pixels for backbones, which were pretrained on three channels."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # R, G, B, pixels scaled to 0-1


@dataclass(frozen=True)
class Preprocessing:
    """Per-channel affine preprocessing: scale * pixel + offset, for pixels from 0 to 255.

    Args:
        scale: Scale of each of the three channels, in the backbone's channel order.
        offset: Offset of each channel.
        bgr: Whether the channel order is blue, green, red.
    """

    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    bgr: bool = False

    @property
    def gray(self) -> tuple[float, float]:
        """Scale and offset for a single channel: the means over the three."""
        return float(np.mean(self.scale)), float(np.mean(self.offset))


# Named "tf", "caffe" (B, G, R order) and "torch" by keras.applications.imagenet_utils.preprocess_input.
SIGNED = Preprocessing((1 / 127.5,) * 3, (-1.0,) * 3)
CENTRED = Preprocessing((1.0,) * 3, (-103.939, -116.779, -123.68), bgr=True)
STANDARD = Preprocessing(
    tuple(1 / 255 / d for d in IMAGENET_STD),  # type: ignore[arg-type]
    tuple(-m / d for m, d in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)),  # type: ignore[arg-type]
)
RESCALE = Preprocessing((1 / 255,) * 3, (0.0,) * 3)


def to_channels(x: keras.KerasTensor, channels: str, preprocessing: Preprocessing) -> keras.KerasTensor:
    """Turn grey or RGB pixels into a backbone's input.

    Args:
        x: float32 (n, h, w, 1), grey, or (n, h, w, 3), RGB; 0 to 255.
        channels: "rgb" repeats the channel and preprocesses each copy. "conv" and "sum" preprocess it once, with the
            mean scale and offset; "conv" then learns a 3x3 convolution to three channels.
            RGB pixels are used as they are by "rgb", and averaged to grey by "sum".
        preprocessing: The backbone's preprocessing.

    Returns:
        (n, h, w, 3), or (n, h, w, 1) for "sum".
    """
    if channels == "rgb":
        if x.shape[-1] == 1:
            x = keras.layers.Concatenate(dtype="float32", name="rgb")([x, x, x])
        elif preprocessing.bgr:
            x = keras.ops.flip(x, axis=-1)
        scale, offset = list(preprocessing.scale), list(preprocessing.offset)
        return keras.layers.Rescaling(scale, offset, dtype="float32", name="preprocess")(x)
    if channels == "sum" and x.shape[-1] > 1:
        x = keras.ops.mean(x, axis=-1, keepdims=True)
    x = keras.layers.Rescaling(*preprocessing.gray, dtype="float32", name="preprocess")(x)
    return keras.layers.Conv2D(3, 3, padding="same", name="channels")(x) if channels == "conv" else x


def sum_first_kernel(colour: keras.Model, gray: keras.Model, preprocessing: Preprocessing) -> None:
    """Copy the weights of a three-channel backbone to its one-channel version, so that both compute the same.

    For equal channels, a convolution of three channels equals one with the summed kernel. Where the preprocessing
    differs by channel, each channel's scale is folded into its kernel, and the remaining offset is a constant per
    filter that is folded into the convolution's bias or, without a bias, into the moving mean of the BN after it. The
    two differ only at the borders, where the convolution sees zero padding, and only in that case.

    Args:
        colour: Takes (n, h, w, 3), preprocessed channel by channel.
        gray: Takes (n, h, w, 1), preprocessed with ``preprocessing.gray``; its weights are overwritten.
        preprocessing: The backbone's preprocessing.
    """
    first = -1
    for i, (source, target) in enumerate(zip(colour.weights, gray.weights, strict=True)):
        value = keras.ops.convert_to_numpy(source)
        if source.shape != target.shape:
            first = i
            value, offset = fold(value, preprocessing)
        target.assign(value)
    if np.any(offset):
        constant = next(w for w in gray.weights[first + 1 :] if w.name in ("bias", "moving_mean"))
        constant.assign_add(offset if constant.name == "bias" else -offset)


def fold(kernel: np.ndarray, preprocessing: Preprocessing) -> tuple[np.ndarray, np.ndarray]:
    """Fold a kernel (h, w, 3, filters) into one of shape (h, w, 1, filters) and an offset (filters,)."""
    scale, offset = preprocessing.gray
    scales = np.asarray(preprocessing.scale) / scale
    rest = np.asarray(preprocessing.offset) - scales * offset
    folded = np.einsum("hwcf,c->hwf", kernel.astype(np.float64), scales)[:, :, None]
    return folded.astype(np.float32), np.einsum("hwcf,c->f", kernel.astype(np.float64), rest).astype(np.float32)
