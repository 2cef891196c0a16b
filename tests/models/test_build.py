import itertools

import keras
import numpy as np
import pytest

from fer_search.design import Design, Head, Residual
from fer_search.models import build_model, count_flops, count_parameters


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def block_parameters(inputs, filters):
    """Return the parameters of two 3x3 convolutions and a 1x1 shortcut with bias, and two BNs of 4 per channel."""
    convolutions = (9 * inputs + 1) * filters + (9 * filters + 1) * filters + (inputs + 1) * filters
    return convolutions + 2 * 4 * filters


@pytest.mark.parametrize("downsample", ["max_pool", "strided"])
def test_figure_1_has_the_reports_parameter_count(downsample):
    filters = [1, 64, 64, 128, 128, 256, 256, 512, 512]
    by_hand = sum(block_parameters(i, f) for i, f in itertools.pairwise(filters)) + (512 + 1) * 7
    assert by_hand == 11_494_151
    model = build_model(Design(network=Residual(downsample=downsample)))
    assert count_parameters(model) == by_hand
    assert model.input_shape == (None, 48, 48, 1)
    assert model.output_shape == (None, 7)


def test_figure_1_costs_four_billion_multiply_adds():
    def block(inputs, filters, side):
        return side * side * filters * (9 * inputs + 9 * filters + inputs)

    shapes = [(1, 64, 48), (64, 64, 48), (64, 128, 48), (128, 128, 48), (128, 256, 24), (256, 256, 24)]
    shapes += [(256, 512, 12), (512, 512, 12)]
    by_hand = sum(block(*shape) for shape in shapes) + 512 * 7
    assert count_flops(build_model(Design())) == 2 * by_hand
    assert by_hand == pytest.approx(4.0e9, rel=0.01)


def test_figure_1_consists_of_the_named_layers():
    block = [
        "Conv2D",
        "BatchNormalization",
        "Activation",
        "Conv2D",
        "BatchNormalization",
        "Conv2D",
        "Add",
        "Activation",
    ]
    model = build_model(Design().scaled(0.03))
    layer_kinds = kinds(model)
    for kind in set(block):
        assert layer_kinds.count(kind) == 8 * block.count(kind), kind
    assert layer_kinds.count("MaxPooling2D") == 2
    assert len(layer_kinds) == 8 * len(block) + 6  # pixels, rescaling, two poolings, global pooling, dense
    assert layer_kinds[-2:] == ["GlobalAveragePooling2D", "Dense"]
    assert {layer.activation.__name__ for layer in model.layers if type(layer).__name__ == "Activation"} == {"relu"}
    shortcut = model.get_layer("stage1_block2_shortcut")
    assert (shortcut.kernel_size, shortcut.use_bias) == ((1, 1), True)


def test_the_heads_layers_are_in_the_reports_order():
    head = Head(dense=(12, 6), dropout=(0.3, 0.2, 0.4), activation="elu")
    model = build_model(Design(network=Residual(stages=((2,),)), head=head))
    after = model.layers[-8:]
    assert [type(layer).__name__ for layer in after] == [
        *["Dropout", "Dense", "BatchNormalization", "Dropout", "Dense", "BatchNormalization", "Dropout", "Dense"]
    ]
    assert [layer.rate for layer in after if isinstance(layer, keras.layers.Dropout)] == [0.3, 0.2, 0.4]
    dense = [layer for layer in after if isinstance(layer, keras.layers.Dense)]
    assert [(layer.units, layer.activation.__name__) for layer in dense] == [(12, "elu"), (6, "elu"), (7, "softmax")]


@pytest.mark.parametrize(("pooling", "inputs"), [("average", 3), ("max", 3), ("flatten", 24 * 24 * 3)])
def test_the_pooling_determines_the_first_dense_layers_inputs(pooling, inputs):
    design = Design(network=Residual(stages=((3,), (3,))), head=Head(dense=5, pooling=pooling, batch_norm=False))
    model = build_model(design)
    assert model.get_layer("head_dense1").kernel.shape == (inputs, 5)
    assert kinds(model)[-2:] == ["Dense", "Dense"]


@pytest.mark.parametrize(("precision", "compute"), [("auto", "float32"), ("bfloat16", "bfloat16")])
def test_precision_affects_computation_but_not_weights(precision, compute, pixels):
    from fer_search.design import Optimisation

    design = Design(network=Residual(stages=((4,),)), optimisation=Optimisation(precision=precision))
    model = build_model(design)
    assert model.get_layer("stage1_block1_conv1").compute_dtype == compute
    assert {v.dtype for v in model.weights} == {"float32"}
    assert model(pixels).dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_a_model_maps_raw_pixels_to_probabilities(pixels):
    probabilities = build_model(Design().scaled(0.03)).predict(pixels, verbose=0)
    assert probabilities.shape == (6, 7)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
