"""From grey pixels to what a backbone takes: its preprocessing, and one channel where it was trained on three."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of R, G, B from 0 to 1


@dataclass(frozen=True)
class Preprocessing:
    """A channel's input is scale * pixel + offset, with pixels from 0 to 255.

    Args:
        scale: of each of the three channels, in the order in which the backbone takes them.
        offset: of each.
    """

    scale: tuple[float, float, float]
    offset: tuple[float, float, float]

    @property
    def grey(self) -> tuple[float, float]:
        """The scale and the offset for a single channel: the mean of the three."""
        return float(np.mean(self.scale)), float(np.mean(self.offset))


# What keras.applications.imagenet_utils.preprocess_input calls "tf", "caffe" (which takes B, G, R) and "torch".
SIGNED = Preprocessing((1 / 127.5,) * 3, (-1.0,) * 3)
CENTRED = Preprocessing((1.0,) * 3, (-103.939, -116.779, -123.68))
STANDARD = Preprocessing(
    tuple(1 / 255 / d for d in IMAGENET_DEVIATION),  # type: ignore[arg-type]
    tuple(-m / d for m, d in zip(IMAGENET_MEAN, IMAGENET_DEVIATION, strict=True)),  # type: ignore[arg-type]
)
RESCALE = Preprocessing((1 / 255,) * 3, (0.0,) * 3)


def to_channels(x: keras.KerasTensor, channels: str, preprocessing: Preprocessing) -> keras.KerasTensor:
    """Turn grey pixels, float32 (n, h, w, 1) from 0 to 255, into a backbone's input, (n, h, w, 3) or (n, h, w, 1).

    "rgb" repeats them and preprocesses each channel. "conv" and "sum" preprocess them once, with the mean of the three
    channels' numbers; after it "conv" learns a 3x3 convolution to three channels.
    """
    if channels == "rgb":
        x = keras.layers.Concatenate(dtype="float32", name="rgb")([x, x, x])
        scale, offset = list(preprocessing.scale), list(preprocessing.offset)
        return keras.layers.Rescaling(scale, offset, dtype="float32", name="preprocess")(x)
    x = keras.layers.Rescaling(*preprocessing.grey, dtype="float32", name="preprocess")(x)
    return keras.layers.Conv2D(3, 3, padding="same", name="channels")(x) if channels == "conv" else x


def sum_first_kernel(colour: keras.Model, grey: keras.Model, preprocessing: Preprocessing) -> None:
    """Give a backbone of one channel the weights of the same backbone of three, so that it computes the same.

    With equal channels, a convolution of three is one whose kernel is their sum. Where the preprocessing differs by
    channel, each channel's scale goes into its kernel, and what remains of its offset is a constant of each filter,
    which goes into the convolution's bias or, where it has none, into the mean that the BN after it takes away. Only at
    the borders, where the convolution sees zeros outside the image, do the two differ, and only then.

    Args:
        colour: takes (n, h, w, 3), preprocessed channel by channel.
        grey: takes (n, h, w, 1), preprocessed with ``preprocessing.grey``; its weights are overwritten.
        preprocessing: the backbone's.
    """
    first = -1
    for i, (source, target) in enumerate(zip(colour.weights, grey.weights, strict=True)):
        value = keras.ops.convert_to_numpy(source)
        if source.shape != target.shape:
            first = i
            value, offset = fold(value, preprocessing)
        target.assign(value)
    if np.any(offset):
        constant = next(w for w in grey.weights[first + 1 :] if w.name in ("bias", "moving_mean"))
        constant.assign_add(offset if constant.name == "bias" else -offset)


def fold(kernel: np.ndarray, preprocessing: Preprocessing) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel (h, w, 1, filters) and the offset (filters,) that stand for a kernel (h, w, 3, filters)."""
    scale, offset = preprocessing.grey
    scales = np.asarray(preprocessing.scale) / scale
    rest = np.asarray(preprocessing.offset) - scales * offset
    folded = np.einsum("hwcf,c->hwf", kernel.astype(np.float64), scales)[:, :, None]
    return folded.astype(np.float32), np.einsum("hwcf,c->f", kernel.astype(np.float64), rest).astype(np.float32)
