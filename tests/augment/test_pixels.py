"""Brightness, cutout, erasing and mixing, each compared with a loop over the images."""

import numpy as np
import pytest
from keras import ops

from fer_search.augment.boxes import draw_sizes
from fer_search.augment.cutmix import draw_patches, paste, patch_lam
from fer_search.augment.cutout import cut_out, draw_squares
from fer_search.augment.erasing import draw_erasures, draw_seeds, erase, gray_noise
from fer_search.augment.jitter import apply_jitter, draw_jitter
from fer_search.augment.mixup import draw_lam, mix


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def test_contrast_scales_around_the_mean_and_brightness_adds(rng, compiled):
    images = rng.integers(0, 256, (40, 48, 48)).astype("float32")
    light = draw_jitter(rng, 40, brightness=0.3, contrast=0.5)
    slow = [np.clip((i - i.mean()) * c + i.mean() + b, 0, 255) for i, (c, b) in zip(images, light, strict=True)]
    np.testing.assert_allclose(numpy(compiled(apply_jitter)([images], light)[0]), slow, atol=0.02)
    factor, more = draw_jitter(rng, 20_000, 0.3, 0.5).T
    assert (factor.min(), factor.max()) == pytest.approx((0.5, 1.5), abs=0.01)
    assert (more.min(), more.max()) == pytest.approx((-76.5, 76.5), abs=0.5)
    assert abs(np.corrcoef(factor, more)[0, 1]) < 0.05
    assert (draw_jitter(rng, 9, 0.3, 0)[:, 0] == 1).all()


@pytest.mark.parametrize(("side", "squares", "clipped"), [(8, 1, True), (16, 3, True), (8, 1, False), (15, 2, False)])
def test_cutout_blackens_squares(rng, compiled, side, squares, clipped):
    boxes = draw_squares(rng, 3000, side, squares, clipped)
    black = numpy(compiled(cut_out)(np.full((3000, 48, 48), 200.0, np.float32), boxes)) == 0
    slow = np.zeros((3000, 48, 48), bool)
    for image, own in zip(slow, boxes, strict=True):
        for top, left, bottom, right in own:
            image[max(top, 0) : bottom, max(left, 0) : right] = True
    np.testing.assert_array_equal(black, slow)
    areas = black.sum(axis=(1, 2))
    if squares == 1:
        assert areas.max() == side * side
        assert (areas.min() == side * side) != clipped
    else:
        assert side * side < areas.max() <= squares * side * side
    assert black.any(axis=0).mean() > 0.99  # anywhere in the image


def test_erasing_fills_a_rectangle_with_noise_and_keeps_the_rest(rng, compiled):
    images = rng.uniform(0.25, 0.75, (2000, 48, 48)).astype("float32")  # values that the noise does not take
    boxes, seeds = draw_erasures(rng, 2000, 0.6), draw_seeds(rng, 2000)
    erased = numpy(compiled(erase)(images, boxes, seeds))
    noise = numpy(gray_noise(seeds, 48, 48))
    slow = images.copy()
    for image, grey, (top, left, bottom, right) in zip(slow, noise, boxes, strict=True):
        image[top:bottom, left:right] = grey[top:bottom, left:right]
    np.testing.assert_array_equal(erased, slow)
    sides = (boxes[:, 2:] - boxes[:, :2]).astype(float)
    area = sides.prod(axis=1) / 48**2
    assert (area > 0).mean() == pytest.approx(0.6, abs=0.05)
    hit = sides[area > 0]
    assert 0.015 < hit.prod(axis=1).min() / 48**2 < 0.03  # rounded to pixels
    assert 0.37 < hit.prod(axis=1).max() / 48**2 < 0.42
    assert 0.25 < (hit[:, 1] / hit[:, 0]).min() < 0.4
    assert (boxes >= 0).all()
    assert (boxes <= 48).all()


def test_noise_is_uniform_and_uncorrelated(rng):
    noise = numpy(gray_noise(draw_seeds(rng, 300), 48, 48))
    counts = np.bincount(noise.astype(int).ravel(), minlength=256)
    assert len(counts) == 256
    assert abs(counts / counts.mean() - 1).max() < 0.1
    flat = noise.reshape(300, -1)
    assert abs(np.corrcoef(flat[:100])[np.triu_indices(100, 1)]).max() < 0.1  # images
    assert abs(np.corrcoef(flat[:, :-1].ravel(), flat[:, 1:].ravel())[0, 1]) < 0.01  # neighbours
    assert abs(np.corrcoef(numpy(gray_noise(np.arange(2, dtype=np.uint32), 48, 48)).reshape(2, -1))[0, 1]) < 0.1


def test_mixup_uses_the_same_weights_for_images_and_labels(rng):
    images, labels = rng.random((6, 48, 48)).astype("float32"), np.eye(7, dtype="float32")[:6]
    partners, shares = np.array([3, 4, 5, 0, 1, 2], np.int32), rng.random(6).astype("float32")
    for values in (images, labels):
        slow = [s * values[k] + (1 - s) * values[p] for k, (p, s) in enumerate(zip(partners, shares, strict=True))]
        np.testing.assert_allclose(numpy(mix(values, values[partners], shares)), slow, rtol=1e-5, atol=1e-6)


def test_cutmix_pastes_a_rectangle_and_returns_the_remaining_fraction(rng, compiled):
    images, others = np.zeros((3000, 48, 48), np.float32), np.ones((3000, 48, 48), np.float32)
    patches = draw_patches(rng, 3000, 1.0)
    mixed = numpy(compiled(paste)(images, others, patches))
    slow = images.copy()
    for image, (top, left, bottom, right) in zip(slow, patches, strict=True):
        image[top:bottom, left:right] = 1
    np.testing.assert_array_equal(mixed, slow)
    np.testing.assert_allclose(patch_lam(patches), 1 - mixed.mean(axis=(1, 2)), atol=1e-6)
    sides = patches[:, 2:] - patches[:, :2]
    unclipped = ((patches[:, :2] > 0) & (patches[:, 2:] < 48)).all(axis=1)
    assert (sides[unclipped, 0] == sides[unclipped, 1]).all()
    assert sides.max() > 44
    assert (draw_patches(rng, 500, 100.0)[:, 2:] - draw_patches(rng, 500, 100.0)[:, :2]).std() < 20


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixup_weights_follow_their_beta_distribution(rng, alpha):
    """Beta(a, a) has mean 1/2 and variance 1 / (8a + 4)."""
    lam = draw_lam(rng, 20_000, alpha)
    assert lam.dtype == np.float32
    assert lam.mean() == pytest.approx(0.5, abs=0.01)
    assert lam.var() == pytest.approx(1 / (8 * alpha + 4), rel=0.05)


def test_cutmix_patches_cover_the_drawn_fraction_of_the_area(rng):
    """At a large alpha the fraction is 1/2, so an unclipped patch has a side of 48 / sqrt(2) pixels."""
    patches = draw_patches(rng, 2000, 1e6)
    unclipped = ((patches[:, :2] > 0) & (patches[:, 2:] < 48)).all(axis=1)
    assert unclipped.sum() > 50
    assert set((patches[unclipped, 2:] - patches[unclipped, :2]).ravel()) == {34}


def test_rectangles_that_do_not_fit_are_redrawn_not_clipped(rng):
    """Area and aspect ratio stay in their ranges although many first draws exceed the image."""
    area, aspect = (0.5, 0.9), (0.3, 1 / 0.3)
    height, width = draw_sizes(rng, 20_000, area, aspect).T
    full = (height == 1) & (width == 1)
    assert full.mean() < 0.05
    assert (np.maximum(height, width) <= 1).all()
    assert area[0] - 1e-9 <= (height * width)[~full].min()
    assert (height * width)[~full].max() <= area[1] + 1e-9
    assert aspect[0] - 1e-9 <= (width / height)[~full].min()
    assert (width / height)[~full].max() <= aspect[1] + 1e-9
    assert (draw_sizes(rng, 5, (0.9, 0.9), (9.0, 9.0)) == 1).all()  # never fits: the full image
