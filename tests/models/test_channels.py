import keras
import numpy as np
import pytest

from fer_search.models.applications import NETWORKS
from fer_search.models.channels import CENTRED, RESCALE, SIGNED, STANDARD, fold, sum_first_kernel, to_channels

WAYS = [SIGNED, CENTRED, STANDARD, RESCALE]


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("ResNet152V2", "resnet_v2"),
        ("ResNet50", "resnet50"),
        ("DenseNet169", "densenet"),
        ("VGG16", "vgg16"),
        ("InceptionResNetV2", "inception_resnet_v2"),
        ("MobileNet", "mobilenet"),
        ("MobileNetV2", "mobilenet_v2"),
    ],
)
def test_rgb_matches_keras_preprocessing_of_a_grey_image(name, module, pixels):
    x = keras.Input((48, 48, 1))
    ours = keras.Model(x, to_channels(x, "rgb", NETWORKS[name][1]))(pixels)
    keras_own = getattr(keras.applications, module).preprocess_input(np.repeat(pixels, 3, axis=-1))
    np.testing.assert_allclose(ours, keras_own, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNetV2B0", "ConvNeXtTiny"])
def test_rgb_matches_networks_with_built_in_preprocessing(name, pixels):
    x = keras.Input((48, 48, 1))
    ours = keras.Model(x, to_channels(x, "rgb", NETWORKS[name][1]))(pixels)
    with keras.StatelessScope(initialize_variables=False):  # preprocessing has no weights
        network = NETWORKS[name][0](
            include_top=False, weights=None, input_shape=(48, 48, 3), include_preprocessing=True
        )
    y = np.repeat(pixels, 3, axis=-1)
    for layer in network.layers[1:]:
        if not isinstance(layer, (keras.layers.Rescaling, keras.layers.Normalization)):
            break
        y = layer(y)
    np.testing.assert_allclose(ours, y, rtol=1e-5, atol=1e-5)


def first_layer(channels, use_bias, padding):
    """Return the first layers of a backbone: a convolution, followed by BN if it has no bias."""
    x = keras.Input((48, 48, channels))
    y = keras.layers.Conv2D(8, 5, strides=2, padding=padding, use_bias=use_bias)(x)
    y = keras.layers.BatchNormalization()(y) if not use_bias else y
    return keras.Model(x, keras.layers.Conv2D(4, 1)(y))


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("preprocessing", WAYS)
def test_the_summed_kernel_matches_three_channels(preprocessing, use_bias, pixels, rng):
    outputs = {}
    for padding in ("valid", "same"):
        x = keras.Input((48, 48, 1))
        colour, grey = first_layer(3, use_bias, padding), first_layer(1, use_bias, padding)
        colour.set_weights([rng.uniform(0.1, 1, w.shape) for w in colour.get_weights()])
        sum_first_kernel(colour, grey, preprocessing)
        for channels, network in (("rgb", colour), ("sum", grey)):
            model = keras.Model(x, network(to_channels(x, channels, preprocessing)))
            outputs[padding, channels] = keras.ops.convert_to_numpy(model(pixels))
    scale = np.abs(outputs["valid", "rgb"]).max()
    np.testing.assert_allclose(outputs["valid", "rgb"], outputs["valid", "sum"], atol=2e-6 * scale)
    inside = np.s_[:, 1:-1, 1:-1]
    np.testing.assert_allclose(outputs["same", "rgb"][inside], outputs["same", "sum"][inside], atol=2e-6 * scale)
    if preprocessing in (SIGNED, RESCALE):  # equal channels: exact at the borders too
        np.testing.assert_allclose(outputs["same", "rgb"], outputs["same", "sum"], atol=2e-6 * scale)


def test_equal_channels_fold_into_the_kernel_sum(rng):
    kernel = rng.normal(size=(3, 3, 3, 4)).astype("float32")
    folded, offset = fold(kernel, SIGNED)
    np.testing.assert_allclose(folded[:, :, 0], kernel.sum(axis=2), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(offset, 0, atol=1e-6)


def test_conv_learns_a_3x3_convolution_to_three_channels():
    x = keras.Input((48, 48, 1))
    model = keras.Model(x, to_channels(x, "conv", RESCALE))
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Rescaling", "Conv2D"]
    assert model.get_layer("channels").kernel.shape == (3, 3, 1, 3)
