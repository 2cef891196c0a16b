"""Bilinear sampling of a batch through affine maps: one interpolation for all geometric augmentation."""

from __future__ import annotations

from typing import Any

from keras import ops


def warp(images: Any, maps: Any) -> Any:
    """Sample every image through its affine map; positions outside take the nearest border pixel.

    Equal to ``scipy.ndimage.affine_transform(image, matrix, offset, order=1, mode="nearest")`` on each image, up to
    float32 rounding.

    Args:
        images: float32 (n, h, w).
        maps: float32 (n, 2, 3), from ``fer_search.augment.geometry``.

    Returns:
        float32 (n, h, w).
    """
    n, height, width = ops.shape(images)
    rows = ops.reshape(ops.repeat(ops.arange(height, dtype="float32"), width), (1, height * width))
    columns = ops.reshape(ops.tile(ops.arange(width, dtype="float32"), [height]), (1, height * width))

    def source_position(axis: int, last: int) -> Any:
        position = maps[:, axis, 0:1] * rows + maps[:, axis, 1:2] * columns + maps[:, axis, 2:3]
        return ops.clip(position, 0.0, float(last))

    y, x = source_position(0, height - 1), source_position(1, width - 1)
    top, left = ops.floor(y), ops.floor(x)
    dy, dx = y - top, x - left
    top, left = ops.cast(top, "int32"), ops.cast(left, "int32")
    bottom, right = ops.minimum(top + 1, height - 1), ops.minimum(left + 1, width - 1)
    pixels = ops.reshape(images, (n, height * width))

    def pixel(row: Any, column: Any) -> Any:
        return ops.take_along_axis(pixels, row * width + column, axis=1)

    upper = pixel(top, left) * (1.0 - dx) + pixel(top, right) * dx
    lower = pixel(bottom, left) * (1.0 - dx) + pixel(bottom, right) * dx
    return ops.reshape(upper * (1.0 - dy) + lower * dy, (n, height, width))
