"""Affine maps and resampling, compared with scipy.ndimage, the legacy ImageDataGenerator and plain slicing."""

import numpy as np
import pytest
from keras import ops
from keras.src.legacy.preprocessing.image import apply_affine_transform
from scipy import ndimage

from fer_search.augment.crop_flip import tta_maps
from fer_search.augment.geometry import compose_maps, crop_flip_maps, draw_maps, draw_windows, mirror_maps
from fer_search.augment.warp import warp
from fer_search.design import Augmentation, Evaluation

STRONG = Augmentation(rotation=90, shear=30, zoom=0.5, shift=0.3, flip=True)
WHOLE = np.array([[0.0, 0.0, 48.0, 48.0]])


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def by_scipy(images, maps):
    return [
        ndimage.affine_transform(i, m[:, :2].astype(float), m[:, 2].astype(float), order=1, mode="nearest")
        for i, m in zip(images.astype(float), maps, strict=True)
    ]


@pytest.mark.parametrize(
    "augmentation",
    [STRONG, Augmentation(rotation=30, crop=40, flip=True), Augmentation(shear=20, resized_crop=0.2, flip=True)],
)
def test_warp_equals_scipy_on_every_image(rng, compiled, augmentation):
    images = rng.integers(0, 256, (32, 48, 48)).astype("float32")
    maps = draw_maps(rng, 32, augmentation)
    np.testing.assert_allclose(
        numpy(compiled(warp)(images, maps)), by_scipy(images, maps), atol=0.03
    )  # of 255; float32 positions


@pytest.mark.parametrize("flipped", [False, True])
def test_geometry_matches_image_data_generator(rng, compiled, flipped):
    for _ in range(15):
        image = rng.integers(0, 256, (48, 48)).astype("float32")
        theta, shear, (ty, tx) = rng.uniform(-40, 40), rng.uniform(-20, 20), rng.uniform(-6, 6, 2)
        zy, zx = rng.uniform(0.7, 1.3, 2)
        # ImageDataGenerator's x axis is the column axis.
        theirs = apply_affine_transform(
            image[..., None], theta, tx, ty, shear, zx, zy, row_axis=0, col_axis=1, channel_axis=2, fill_mode="nearest"
        )[..., 0]
        maps = compose_maps(
            rotation=np.deg2rad([theta]),
            shift=np.array([[ty], [tx]]),
            shear=np.deg2rad([shear]),
            zoom=np.array([[zy], [zx]]),
            flipped=np.array([flipped]),
            windows=WHOLE,
        )
        ours = numpy(compiled(warp)(image[None], maps))[0]
        np.testing.assert_allclose(ours, theirs[:, ::-1] if flipped else theirs, atol=0.02)


@pytest.mark.parametrize("flipped", [False, True])
def test_rotation_then_crop_equals_the_single_map(rng, compiled, flipped):
    """On a smooth image, rotating and then resizing a crop window gives the same result as the single affine map."""
    rows, columns = np.mgrid[:48, :48]
    for _ in range(10):
        image = 100 + 2.0 * rows - 1.5 * columns  # linear, so interpolating twice is exact
        theta, window = rng.uniform(-0.2, 0.2), np.array([10.0, 14.0, 24.0, 20.0]) + rng.uniform(-4, 4, 4)
        zeros, ones = np.zeros(1), np.ones((2, 1))
        still = (np.zeros((2, 1)), zeros, ones)
        turned = numpy(
            compiled(warp)(
                image[None].astype("float32"), compose_maps(np.array([theta]), *still, np.array([False]), WHOLE)
            )
        )
        steps = np.arange(48) + 0.5
        positions = (window[0] + steps * window[2] / 48 - 0.5, window[1] + steps * window[3] / 48 - 0.5)
        slow = ndimage.map_coordinates(turned[0].astype(float), np.meshgrid(*positions, indexing="ij"), order=1)
        maps = compose_maps(np.array([theta]), *still, np.array([flipped]), window[None])
        ours = numpy(compiled(warp)(image[None].astype("float32"), maps))[0]
        np.testing.assert_allclose(ours[:, ::-1] if flipped else ours, slow, atol=0.02)


def test_a_crop_of_a_third_samples_exact_pixels(rng, compiled):
    """A 16-pixel window is scaled up by 3, so every third row and column of the result equals the window."""
    image = rng.integers(0, 256, (1, 48, 48)).astype("float32")
    maps = crop_flip_maps(np.array([[5.0, 20.0, 16.0, 16.0]]), np.array([False]))
    np.testing.assert_allclose(numpy(compiled(warp)(image, maps))[0, 1::3, 1::3], image[0, 5:21, 20:36], atol=0.02)


def test_draws_cover_their_ranges_and_stay_inside(rng):
    maps = draw_maps(rng, 20_000, Augmentation(rotation=30, flip=True))
    angle = np.degrees(np.arctan2(maps[:, 1, 0], maps[:, 0, 0]))
    assert -30.01 < angle.min() < -29.5
    assert 29.5 < angle.max() < 30.01
    assert (np.linalg.det(maps[:, :, :2]) < 0).mean() == pytest.approx(0.5, abs=0.02)  # flipped
    zoomed = draw_maps(rng, 20_000, Augmentation(zoom=0.2))
    for axis in (0, 1):
        assert zoomed[:, axis, axis].min() == pytest.approx(0.8, abs=0.01)
        assert zoomed[:, axis, axis].max() == pytest.approx(1.2, abs=0.01)
    assert abs(np.corrcoef(zoomed[:, 0, 0], zoomed[:, 1, 1])[0, 1]) < 0.05  # drawn independently


def test_crop_offsets_cover_all_positions_inside_the_image(rng):
    windows = draw_windows(rng, 5000, Augmentation(crop=40))
    assert set(windows[:, 0]) == set(windows[:, 1]) == set(range(9))
    assert (windows[:, 2:] == 40).all()


def test_resized_crops_are_inside_and_distributed_as_in_torchvision(rng):
    windows = draw_windows(rng, 40_000, Augmentation(resized_crop=0.25))
    assert (windows[:, :2] >= 0).all()
    assert (windows[:, :2] + windows[:, 2:] <= 48 + 1e-9).all()
    area, aspect = windows[:, 2] * windows[:, 3] / 48**2, windows[:, 3] / windows[:, 2]
    assert 0.25 <= area.min() < 0.26
    assert area.max() > 0.97
    assert 0.75 - 1e-9 <= aspect.min() < 0.76
    assert 1.32 < aspect.max() <= 4 / 3 + 1e-9
    small = area < 0.5  # every aspect ratio fits, so nothing was redrawn
    assert np.log(aspect[small]).mean() == pytest.approx(0, abs=0.01)
    assert area[small].mean() == pytest.approx(0.375, abs=0.005)


def test_without_geometry_images_do_not_move(rng, compiled):
    images = rng.integers(0, 256, (4, 48, 48)).astype("float32")
    np.testing.assert_array_equal(numpy(compiled(warp)(images, draw_maps(rng, 4, Augmentation()))), images)


def test_views_are_crops_and_their_mirror_images(rng, compiled):
    image = rng.integers(0, 256, (48, 48)).astype("float32")

    def views(augmentation, evaluation):
        maps = tta_maps(augmentation, evaluation)
        return numpy(compiled(warp)(np.stack([image] * len(maps)), maps))

    def enlarged(part):
        maps = crop_flip_maps(np.array([[0.0, 0.0, part.shape[0], part.shape[1]]]), np.array([False]))
        padded = np.pad(part, ((0, 48 - part.shape[0]), (0, 48 - part.shape[1])), mode="edge")
        return numpy(compiled(warp)(padded[None], maps))[0]

    assert tta_maps(Augmentation(rotation=30, resized_crop=0.5), Evaluation()) is None
    np.testing.assert_allclose(views(Augmentation(), Evaluation("flip")), [image, image[:, ::-1]], atol=1e-3)
    (cropped,) = views(Augmentation(crop=40), Evaluation())
    inner = slice(1, -1)  # a crop's border interpolates with its neighbours, a padded image's with itself
    np.testing.assert_allclose(cropped[inner, inner], enlarged(image[4:44, 4:44])[inner, inner], atol=0.05)
    ten = views(Augmentation(), Evaluation("ten_crop", crop=44))
    corners = [image[2:46, 2:46], image[:44, :44], image[:44, 4:], image[4:, :44], image[4:, 4:]]
    np.testing.assert_allclose(ten[:5, inner, inner], [enlarged(c)[inner, inner] for c in corners], atol=0.05)
    np.testing.assert_allclose(ten[5:], ten[:5, :, ::-1], atol=0.05)
    by_training = tta_maps(Augmentation(crop=44), Evaluation("ten_crop", crop=40))
    np.testing.assert_array_equal(by_training, tta_maps(Augmentation(), Evaluation("ten_crop", crop=44)))


def test_mirrored_maps_mirror_what_the_maps_make(rng, compiled):
    augmentation = Augmentation(rotation=30, shift=0.1, zoom=0.2, shear=20, flip=True, crop=44)
    maps, images = draw_maps(rng, 20, augmentation), rng.integers(0, 256, (20, 48, 48)).astype(np.float32)
    plain, mirrored = compiled(warp)(images, maps), compiled(warp)(images, mirror_maps(maps))
    np.testing.assert_allclose(np.asarray(mirrored), np.asarray(plain)[:, :, ::-1], atol=0.05)
    np.testing.assert_allclose(mirror_maps(mirror_maps(maps)), maps, atol=1e-4)
