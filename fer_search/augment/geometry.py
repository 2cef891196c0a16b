"""All the geometry of an augmentation as one affine map for each image.

A map takes the position (row, column) of an output pixel to the position in the input where its value is found, as in
``scipy.ndimage.affine_transform``. Rotation, shift, shear and zoom are composed in the order of the legacy Keras
ImageDataGenerator (``keras.src.legacy.preprocessing.image``, ``apply_affine_transform``), about the image's centre, and
mirroring comes last, so that the same numbers give the same pictures as there.
"""

from __future__ import annotations

import numpy as np

from fer_search.design import IMAGE_SIZE, Augmentation


def draw_maps(rng: np.random.Generator, count: int, augmentation: Augmentation) -> np.ndarray:
    """Draw one affine map for each of ``count`` images.

    Args:
        rng: where all randomness comes from; how much is drawn depends on ``count`` alone.
        count: number of images.
        augmentation: the ranges; its docstring gives their units.

    Returns:
        float32 (count, 2, 3): the matrix and the offset of each map, in pixels.
    """
    u = rng.uniform(-1.0, 1.0, (7, count))
    a = augmentation
    return compose_maps(
        rotation=np.deg2rad(a.rotation * u[0]),
        shift=a.shift * IMAGE_SIZE * u[1:3],
        shear=np.deg2rad(a.shear * u[3]),
        zoom=1.0 + a.zoom * u[4:6],
        mirrored=(u[6] < 0) & a.flip,
    )


def compose_maps(
    rotation: np.ndarray, shift: np.ndarray, shear: np.ndarray, zoom: np.ndarray, mirrored: np.ndarray
) -> np.ndarray:
    """Compose one affine map for each image.

    Args:
        rotation: (n,) radians.
        shift: (2, n) pixels, rows then columns.
        shear: (n,) radians.
        zoom: (2, n) factors on the distance to the centre in the input, rows then columns: above 1 shrinks the picture.
        mirrored: (n,) bool, left and right exchanged.

    Returns:
        float32 (n, 2, 3).
    """
    sine, cosine = np.sin(rotation), np.cos(rotation)
    # rotation @ shear @ zoom on (column, row), the order of coordinates that ImageDataGenerator composes in
    matrix = np.empty((len(rotation), 2, 2))
    matrix[:, 0, 0] = cosine * zoom[1]
    matrix[:, 1, 0] = sine * zoom[1]
    matrix[:, 0, 1] = -np.sin(rotation + shear) * zoom[0]
    matrix[:, 1, 1] = np.cos(rotation + shear) * zoom[0]
    moved = np.stack([cosine * shift[1] - sine * shift[0], sine * shift[1] + cosine * shift[0]], axis=1)
    matrix, moved = matrix[:, ::-1, ::-1], moved[:, ::-1]  # to (row, column)
    # The mirror comes last: it turns a column of the output into minus its distance to the centre.
    matrix = matrix * np.where(mirrored[:, None], [1.0, -1.0], 1.0)[:, None, :]
    centre = np.full(2, IMAGE_SIZE / 2 - 0.5)
    offset = centre + moved - matrix @ centre
    return np.concatenate([matrix, offset[:, :, None]], axis=2).astype(np.float32)
