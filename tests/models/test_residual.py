import keras
import numpy as np
import pytest

from fer_search.design import Design, DesignError, Residual
from fer_search.models import build_network, count_parameters
from fer_search.models.layers import downsample, group_count


def build(**options):
    return build_network(Design(network=Residual(**{"stages": ((4,), (8,))} | options)))


def names(model, kind=""):
    return [layer.name for layer in model.layers if kind in type(layer).__name__]


def parameters(**options):
    return count_parameters(build(**options))


PLAIN_BLOCKS = 4 * (9 * 1 + 9 * 4 + 1 + 3) + 8 * (9 * 4 + 9 * 8 + 4 + 3)  # kernels and biases of two blocks
CLASSIFIER = 9 * 7


def test_parameters_match_a_hand_count():
    batch = 2 * 4 * (4 + 8)  # two BNs with four parameters per channel in each block
    assert parameters() == PLAIN_BLOCKS + batch + CLASSIFIER
    assert parameters(normalization="none") == PLAIN_BLOCKS + CLASSIFIER
    assert (
        parameters(normalization="layer") == parameters(normalization="group") == PLAIN_BLOCKS + batch // 2 + CLASSIFIER
    )
    assert parameters(shortcut="conv_bn") == PLAIN_BLOCKS + batch + 4 * (4 + 8) + CLASSIFIER
    stem = (9 + 1) * 6 + 4 * 6  # after it the first block has 6 input channels instead of 1
    assert parameters(stem=6) == PLAIN_BLOCKS + batch + CLASSIFIER + stem + 4 * (9 + 1) * 5
    squeezes = (4 * 2 + 2) + (2 * 4 + 4) + (8 * 4 + 4) + (4 * 8 + 8)
    assert parameters(squeeze_excitation=2) == PLAIN_BLOCKS + batch + squeezes + CLASSIFIER


def test_an_identity_shortcut_has_a_convolution_only_where_shapes_change():
    model = build(stages=((4, 4), (4, 4), (8,)), stem=4, shortcut="identity", downsample="strided")
    assert [n for n in names(model, "Conv2D") if "shortcut" in n] == [
        "stage2_block1_shortcut",
        "stage3_block1_shortcut",
    ]
    assert [n for n in names(model, "BatchNorm") if "shortcut" in n] == [
        "stage2_block1_shortcut_bn",
        "stage3_block1_shortcut_bn",
    ]
    sums = model.get_layer("stage1_block1_add").input
    assert sums[1] is model.get_layer("stem_act").output


@pytest.mark.parametrize(
    ("kind", "layer"), [("max_pool", "stem_pool"), ("blur_pool", "stem_pool"), ("strided", "stem")]
)
def test_a_stem_can_halve_the_resolution_before_its_normalisation(kind, layer):
    model = build(stages=((4,), (8,)), stem=6, stem_downsample=kind)
    assert model.get_layer(layer).output.shape == (None, 24, 24, 6)
    assert model.get_layer("stem_bn").input is model.get_layer(layer).output
    assert model.get_layer("stage2_block1_act2").output.shape == (None, 12, 12, 8)
    assert count_parameters(model) == parameters(stages=((4,), (8,)), stem=6)


def test_a_downsampling_stem_allows_one_stage_less():
    with pytest.raises(DesignError, match=r"Residual\.stages must be 1 to 4 stages"):
        Residual(stages=((4,),) * 5, stem=4, stem_downsample="max_pool")
    with pytest.raises(DesignError, match=r"Residual\.stem_downsample must be none where there is no stem"):
        Residual(stages=((4,),), stem_downsample="max_pool")


def test_pre_activation_normalises_before_convolutions_and_at_the_end():
    model = build(stages=((4, 4), (8,)), stem=4, pre_activation=True, shortcut="identity")
    block = [n for n in names(model) if n.startswith("stage1_block2")]
    assert block == [f"stage1_block2_{part}" for part in ("bn1", "act1", "conv1", "bn2", "act2", "conv2", "add")]
    first = [n for n in names(model) if n.startswith("stage1_block1")]
    assert first == [f"stage1_block1_{part}" for part in ("conv1", "bn2", "act2", "conv2", "add")]
    assert names(model)[-4:] == ["last_bn", "last_act", "pool", "probabilities"]
    assert model.get_layer("stage1_block2_add").input[1] is model.get_layer("stage1_block1_add").output
    shortcut = model.get_layer("stage2_block1_shortcut")
    # The shape changes, so the shortcut starts at the activated input.
    assert shortcut.input is model.get_layer("stage2_block1_act1").output


@pytest.mark.parametrize("downsample", ["max_pool", "average_pool", "strided", "blur_pool"])
def test_five_stages_go_from_48_to_3_pixels(downsample):
    model = build(stages=((2,), (2,), (2,), (2,), (2,)), downsample=downsample)
    sides = [model.get_layer(f"stage{s}_block1_add").output.shape[1] for s in range(1, 6)]
    assert sides == [48, 24, 12, 6, 3]


def test_strided_downsampling_is_in_first_convolution_and_shortcut():
    model = build(stages=((2, 2), (2, 2), (2, 2)), downsample="strided")
    strided = {layer.name: layer for layer in model.layers if getattr(layer, "strides", None) == (2, 2)}
    assert sorted(strided) == [f"stage{s}_block1_{part}" for s in (2, 3) for part in ("conv1", "shortcut_stride")]
    assert all(layer.pool_size == (1, 1) for name, layer in strided.items() if "shortcut" in name)


def test_the_strided_shortcut_is_a_strided_1x1_convolution(rng):
    images = rng.normal(size=(2, 12, 12, 16)).astype("float32")
    strided = keras.layers.Conv2D(5, 1, strides=2)
    ours = keras.Sequential([keras.layers.MaxPooling2D(1, strides=2), keras.layers.Conv2D(5, 1)])
    expected = strided(images)
    ours.build(images.shape)
    ours.layers[1].set_weights(strided.get_weights())
    np.testing.assert_allclose(ours(images), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("side", [12, 7])
def test_blur_pool_is_a_binomial_filter_at_every_other_pixel(side, rng):
    images = rng.normal(size=(2, side, side, 3)).astype("float32")
    x = keras.Input((side, side, 3))
    pooled = keras.Model(x, downsample(x, "blur_pool", "pool"))(images)
    padded = np.pad(images, ((0, 0), (0, 2), (0, 2), (0, 0)), mode="edge")
    half = side // 2
    expected = np.zeros((2, half, half, 3))
    for i, j in np.ndindex(3, 3):
        weight = (1, 2, 1)[i] * (1, 2, 1)[j] / 16
        expected += weight * padded[:, i : i + 2 * half : 2, j : j + 2 * half : 2]
    np.testing.assert_allclose(pooled, expected, atol=1e-5)


def test_dropout_follows_stages_and_noise_follows_the_input():
    model = build(stages=((2,), (2,), (2,)), dropout=(0.0, 0.1, 0.2), noise=0.05)
    assert names(model, "Dropout") == ["stage2_dropout", "stage3_dropout"]
    assert [model.get_layer(n).rate for n in names(model, "Dropout")] == [0.1, 0.2]
    assert names(model)[:3] == ["pixels", "rescale", "noise"]
    assert model.get_layer("noise").stddev == 0.05
    assert names(build(), "Dropout") == names(build(), "Noise") == []


@pytest.mark.parametrize(("channels", "groups"), [(512, 32), (48, 24), (7, 7), (37, 1), (34, 17), (1, 1)])
def test_group_count_divides_the_channels(channels, groups):
    assert group_count(channels) == groups


def test_squeeze_excitation_scales_channels_by_their_means(pixels):
    from fer_search.models.residual import squeeze_and_excite

    x = keras.Input((4, 4, 8))
    model = keras.Model(x, squeeze_and_excite(x, 4, "se"))
    images = np.random.default_rng(0).normal(size=(2, 4, 4, 8)).astype("float32")
    (w1, b1, w2, b2) = model.get_weights()
    hidden = np.maximum(images.mean(axis=(1, 2)) @ w1 + b1, 0)
    scale = 1 / (1 + np.exp(-(hidden @ w2 + b2)))
    np.testing.assert_allclose(model(images), images * scale[:, None, None], rtol=1e-4, atol=1e-5)
