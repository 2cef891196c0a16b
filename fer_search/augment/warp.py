"""One bilinear sampling for all the geometry of a batch."""

from __future__ import annotations

from typing import Any

from keras import ops


def warp(images: Any, maps: Any) -> Any:
    """Sample every image through its affine map; positions outside take the nearest border pixel.

    Equal to ``scipy.ndimage.affine_transform(image, matrix, offset, order=1, mode="nearest")`` on each image, within
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

    def position(axis: int, last: int) -> Any:
        at = maps[:, axis, 0:1] * rows + maps[:, axis, 1:2] * columns + maps[:, axis, 2:3]
        return ops.clip(at, 0.0, float(last))

    y, x = position(0, height - 1), position(1, width - 1)
    top, left = ops.floor(y), ops.floor(x)
    dy, dx = y - top, x - left
    top, left = ops.cast(top, "int32"), ops.cast(left, "int32")
    bottom, right = ops.minimum(top + 1, height - 1), ops.minimum(left + 1, width - 1)
    pixels = ops.reshape(images, (n, height * width))

    def value(row: Any, column: Any) -> Any:
        return ops.take_along_axis(pixels, row * width + column, axis=1)

    upper = value(top, left) * (1.0 - dx) + value(top, right) * dx
    lower = value(bottom, left) * (1.0 - dx) + value(bottom, right) * dx
    return ops.reshape(upper * (1.0 - dy) + lower * dy, (n, height, width))
