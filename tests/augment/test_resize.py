"""Area averaging, compared with OpenCV and checked for what it must preserve."""

import numpy as np
import pytest

from fer_search.augment.resize import area_matrix, shrink


@pytest.mark.parametrize(("size", "target"), [(48, 32), (48, 40), (48, 24), (48, 48), (64, 43)])
def test_resizing_matches_opencvs_area_interpolation(compiled, size, target):
    cv2 = pytest.importorskip("cv2", reason="opencv-python-headless is in the bench extra alone")
    images = np.random.default_rng(0).uniform(0, 255, (3, size, size)).astype(np.float32)
    expected = [cv2.resize(image, (target, target), interpolation=cv2.INTER_AREA) for image in images]
    np.testing.assert_allclose(np.asarray(compiled(shrink)(images, area_matrix(size, target))), expected, atol=0.01)


def test_each_output_pixel_is_the_mean_of_the_pixels_it_covers():
    image = np.arange(36, dtype=np.float32).reshape(1, 6, 6)
    blocks = image.reshape(1, 3, 2, 3, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(np.asarray(shrink(image, area_matrix(6, 3))), blocks, rtol=1e-6)


def test_the_mean_grey_value_is_preserved():
    matrix = area_matrix(48, 32)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(matrix.sum(axis=0), 32 / 48, rtol=1e-6)  # every pixel has the same weight
