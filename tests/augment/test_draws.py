"""The random draws of an epoch, and augmenting a batch with them."""

import numpy as np
import pytest
from keras import ops

from fer_search.augment import augment, draw_epoch
from fer_search.augment.warp import warp
from fer_search.design import Augmentation

EVERYTHING = Augmentation(
    rotation=20, crop=40, brightness=0.2, contrast=0.2, cutout=8, cutout_count=2, erasing=0.5,
    mixup_alpha=1.0, cutmix_alpha=1.0, label_smoothing=0.1,
)  # fmt: skip


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def batch(rng, count=6):
    return rng.integers(1, 256, (count, 48, 48)).astype("uint8"), np.eye(7, dtype="float32")[np.arange(count) % 7]


def first_step(rng, count, augmentation):
    return {name: values[0] for name, values in draw_epoch(rng, 1, count, augmentation).items()}


def test_an_epochs_draws_contain_what_the_design_needs(rng):
    assert draw_epoch(rng, 3, 5, Augmentation()) == {}
    drawn = {name: (values.shape, str(values.dtype)) for name, values in draw_epoch(rng, 3, 5, EVERYTHING).items()}
    assert drawn == {
        "maps": ((3, 5, 2, 3), "float32"),
        "jitter": ((3, 5, 2), "float32"),
        "squares": ((3, 5, 2, 4), "int32"),
        "erasures": ((3, 5, 4), "int32"),
        "seeds": ((3, 5), "uint32"),
        "partners": ((3, 5), "int32"),
        "pixel_lam": ((3, 5), "float32"),
        "patches": ((3, 5, 4), "int32"),
        "label_lam": ((3, 5), "float32"),
        "smoothing": ((3,), "float32"),
    }
    assert set(draw_epoch(rng, 3, 5, Augmentation(flip=True, mixup_alpha=0.3))) == {
        "maps", "partners", "pixel_lam", "label_lam",
    }  # fmt: skip
    assert set(draw_epoch(rng, 3, 5, Augmentation(cutmix_alpha=1.0))) == {"partners", "patches", "label_lam"}
    assert all(sorted(step) == [0, 1, 2, 3, 4] for step in draw_epoch(rng, 3, 5, EVERYTHING)["partners"].tolist())


def test_draws_of_one_augmentation_do_not_depend_on_the_others():
    alone = draw_epoch(np.random.default_rng(5), 2, 8, Augmentation(rotation=20))
    together = draw_epoch(np.random.default_rng(5), 2, 8, Augmentation(rotation=20, cutout=8, mixup_alpha=1.0))
    np.testing.assert_array_equal(alone["maps"], together["maps"])
    again = draw_epoch(np.random.default_rng(5), 2, 8, EVERYTHING)
    for name, values in draw_epoch(np.random.default_rng(5), 2, 8, EVERYTHING).items():
        np.testing.assert_array_equal(values, again[name])


@pytest.mark.parametrize("augmentation", [Augmentation(mixup_alpha=1.0), Augmentation(mixup_share=0.7)])
def test_mixup_mixes_labels_with_the_weights_of_the_pixels(rng, compiled, augmentation):
    images, labels = batch(rng)
    step = first_step(rng, 6, augmentation)
    x, y = compiled(augment)(images, labels, step)
    for k, (p, s) in enumerate(zip(step["partners"], step["label_lam"], strict=True)):
        np.testing.assert_allclose(numpy(x)[k, ..., 0], s * images[k] + (1 - s) * images[p], rtol=1e-4)
        np.testing.assert_allclose(numpy(y)[k], s * labels[k] + (1 - s) * labels[p], rtol=1e-5, atol=1e-7)
    if augmentation.mixup_share:
        assert (step["label_lam"] == np.float32(0.7)).all()


def test_mixup_or_cutmix_is_applied_to_each_image_with_equal_probability(rng, compiled):
    images, labels = batch(rng, 400)
    step = first_step(rng, 400, Augmentation(mixup_alpha=1.0, cutmix_alpha=1.0))
    x, y = map(numpy, compiled(augment)(images, labels, step))
    blended = 0
    for k, p in enumerate(step["partners"]):
        own, other = images[k].astype(float), images[p].astype(float)
        s, (top, left, bottom, right) = step["pixel_lam"][k], step["patches"][k]
        if s < 1:
            assert top == bottom  # no patch
            blended += 1
        slow = s * own + (1 - s) * other
        slow[top:bottom, left:right] = other[top:bottom, left:right]
        np.testing.assert_allclose(x[k, ..., 0], slow, rtol=1e-4)
        fraction = s * (1 - (bottom - top) * (right - left) / 48**2)
        np.testing.assert_allclose(y[k], fraction * labels[k] + (1 - fraction) * labels[p], atol=1e-5)
    assert blended / 400 == pytest.approx(0.5, abs=0.08)


def test_label_smoothing_spreads_a_fraction_over_all_classes(rng):
    images, labels = batch(rng)
    x, y = augment(images, labels, first_step(rng, 6, Augmentation(label_smoothing=0.2)))
    np.testing.assert_allclose(numpy(y), 0.8 * labels + 0.2 / 7, rtol=1e-5)
    np.testing.assert_array_equal(numpy(x)[..., 0], images)


def test_augmentations_run_in_order_geometry_brightness_cutout_mixing(rng, compiled):
    images, labels = batch(rng, 12)
    step = first_step(rng, 12, EVERYTHING)
    x, y = map(numpy, compiled(augment)(images, labels, step))
    slow = numpy(compiled(warp)(images.astype("float32"), step["maps"]))
    slow = np.stack(
        [np.clip((i - i.mean()) * c + i.mean() + b, 0, 255) for i, (c, b) in zip(slow, step["jitter"], strict=True)]
    )
    certain = np.ones(slow.shape, bool)  # erasing noise is excluded: test_pixels.py checks its values
    for k in range(12):
        for top, left, bottom, right in step["squares"][k]:
            slow[k, max(top, 0) : bottom, max(left, 0) : right] = 0
        top, left, bottom, right = step["erasures"][k]
        certain[k, top:bottom, left:right] = False
    partners, s = step["partners"], step["pixel_lam"][:, None, None]
    mixed, sure = s * slow + (1 - s) * slow[partners], certain & certain[partners]
    for k, (top, left, bottom, right) in enumerate(step["patches"]):
        mixed[k, top:bottom, left:right] = slow[partners[k], top:bottom, left:right]
    assert 0.5 < sure.mean() < 1
    np.testing.assert_allclose(x[..., 0][sure], mixed[sure], atol=0.05)
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-5)
    assert x.min() >= 0
    assert x.max() <= 255


def test_images_are_unchanged_without_augmentation(rng):
    images, labels = batch(rng)
    plain, same = augment(images, labels, {})
    np.testing.assert_array_equal(numpy(plain)[..., 0], images)
    np.testing.assert_array_equal(numpy(same), labels)
