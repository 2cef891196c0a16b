import itertools

import pytest

from fer_search.design import Design, Head, Plain
from fer_search.models import build_network, count_parameters, measure_cost


def test_khaireddin_and_chens_parameter_count():
    filters = [1, 64, 64, 128, 128, 256, 256, 512, 512]
    by_hand = sum((9 * i + 1 + 4) * f for i, f in itertools.pairwise(filters))  # convolution, bias, BN
    dense = (9 * 512 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 7  # 3 x 3 positions remain
    design = Design(network=Plain(), head=Head(dense=(4096, 4096), pooling="flatten", batch_norm=False))
    assert measure_cost(design).parameters == by_hand + dense


def test_vgg19_parameter_count():
    filters = [1, *(64,) * 2, *(128,) * 2, *(256,) * 4, *(512,) * 8]
    by_hand = sum((9 * i + 1 + 4) * f for i, f in itertools.pairwise(filters)) + (512 + 1) * 7  # 1 x 1 position remains
    network = Plain(stages=((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4))
    assert measure_cost(Design(network=network, head=Head(dropout=0.5, pooling="flatten"))).parameters == by_hand


def test_the_notebooks_cnn_parameter_count():
    """The Kaggle notebook with accuracy 0.6522: 32, 64, pool; 5x5 128, pool; 512, pool, 512, pool; dense 256, 512."""
    network = Plain(stages=((32, 64), (128,), (512,), (512,)), kernels=(3, 5, 3, 3), dropout=0.25)
    design = Design(network=network, head=Head(dense=(256, 512), dropout=(0.0, 0.25, 0.25), pooling="flatten"))
    layers = [(9 * 1, 32), (9 * 32, 64), (25 * 64, 128), (9 * 128, 512), (9 * 512, 512)]
    convolutions = sum((inputs + 1 + 4) * filters for inputs, filters in layers)
    dense = (9 * 512 + 1 + 4) * 256 + (256 + 1 + 4) * 512 + (512 + 1) * 7
    assert measure_cost(design).parameters == convolutions + dense
    model = build_network(design)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds[-8:] == ["Flatten", *["Dense", "BatchNormalization", "Dropout"] * 2, "Dense"]
    assert (kinds.count("MaxPooling2D"), kinds.count("Dropout")) == (4, 6)


def test_layers_are_in_the_documented_order():
    model = build_network(
        Design(network=Plain(stages=((2, 3), (4,)), kernels=(5, 3), dropout=(0.0, 0.3), activation="elu"))
    )
    names = ["pixels", "rescale"]
    names += [f"stage1_conv{i}{part}" for i in (1, 2) for part in ("", "_bn", "_act")] + ["stage1_pool"]
    names += [f"stage2_conv1{part}" for part in ("", "_bn", "_act")] + ["stage2_pool", "stage2_dropout"]
    assert [layer.name for layer in model.layers] == [*names, "pool", "probabilities"]
    assert [model.get_layer(f"stage{s}_conv1").kernel_size for s in (1, 2)] == [(5, 5), (3, 3)]
    assert model.get_layer("stage1_conv1_act").activation.__name__ == "elu"
    assert count_parameters(model) == (25 + 5) * 2 + (25 * 2 + 5) * 3 + (9 * 3 + 5) * 4 + (4 + 1) * 7


def test_strided_downsampling_is_in_each_stages_last_convolution():
    model = build_network(Design(network=Plain(stages=((2, 2), (2, 2)), downsample="strided")))
    strided = [layer.name for layer in model.layers if getattr(layer, "strides", None) == (2, 2)]
    assert strided == ["stage1_conv2", "stage2_conv2"]


@pytest.mark.parametrize("kernel", [1, 3, 15])
@pytest.mark.parametrize("downsample", ["max_pool", "average_pool", "strided", "blur_pool"])
def test_five_halvings_build(downsample, kernel):
    model = build_network(Design(network=Plain(stages=((2,),) * 5, downsample=downsample, kernels=kernel)))
    assert model.get_layer("pool").input.shape[1] == (2 if downsample == "strided" else 1)
