import random

import keras
import pytest

from fer_search.data.spec import DataSpec
from fer_search.design import Backbone, Design, Head, Optimisation, Plain, Residual
from fer_search.models import Cost, build_network, count_flops, count_parameters, measure_cost
from fer_search.models import cost as cost_module


def macs(layer, shape=(8, 8, 6)):
    x = keras.Input(shape)
    return count_flops(keras.Model(x, layer(x))) / 2


def test_each_layer_type_matches_a_hand_count():
    layers = keras.layers
    assert macs(layers.Conv2D(10, 3, padding="same")) == 64 * 9 * 6 * 10
    assert macs(layers.Conv2D(10, 3, strides=2)) == 3 * 3 * 9 * 6 * 10
    assert macs(layers.Conv2D(10, 3, padding="same", groups=2)) == 64 * 9 * 3 * 10
    assert macs(layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)) == 64 * 9 * 6 * 2
    assert macs(layers.SeparableConv2D(10, 3, padding="same")) == 64 * (9 * 6 + 6 * 10)
    assert macs(layers.Dense(10)) == 64 * 6 * 10  # at each position
    assert macs(layers.Dense(10), (6,)) == 60
    assert macs(layers.ReLU()) == 0


def test_nested_models_wrappers_and_shared_layers_count():
    inner = keras.Sequential([keras.Input((8, 8, 6)), keras.layers.Conv2D(6, 3, padding="same")])
    assert macs(inner) == 64 * 9 * 6 * 6
    x = keras.Input((8, 8, 6))
    assert macs(keras.Model(x, inner(x))) == 64 * 9 * 6 * 6
    assert macs(keras.layers.SpectralNormalization(keras.layers.Conv2D(10, 3, padding="same"))) == 64 * 9 * 6 * 10
    twice = keras.layers.Conv2D(6, 3, padding="same")
    assert count_flops(keras.Model(x, twice(twice(x)))) / 2 == 2 * 64 * 9 * 6 * 6


@pytest.mark.parametrize(
    ("name", "published"),
    # millions of multiply-adds at 224 pixels with ImageNet's 1000 classes, from the papers and Keras' tables
    [("MobileNet", 569), ("ResNet50", 3858), ("MobileNetV3Large", 217), ("ConvNeXtTiny", 4456), ("VGG16", 15470)],
)
def test_costs_of_known_networks_match_published_values(name, published):
    flops = measure_cost(Design(network=Backbone(name, input_size=224))).flops
    tops = {"MobileNet": 1.024, "ResNet50": 2.048, "MobileNetV3Large": 960 * 1280e-6 + 1.28, "ConvNeXtTiny": 0.768}
    tops["VGG16"] = (25088 * 4096 + 4096 * 4096 + 4096 * 1000) / 1e6
    assert flops / 2e6 + tops[name] == pytest.approx(published, rel=0.003)


@pytest.mark.parametrize(
    "network",
    [
        Residual(stages=((3,), (5, 5)), squeeze_excitation=2),
        Plain(stages=((3, 3),)),
        Backbone("MobileNetV3Small", "none"),
    ],
)
def test_measured_cost_matches_the_built_model(network):
    design = Design(network=network)
    model = build_network(design)
    assert measure_cost(design) == Cost(count_parameters(model), count_flops(model))


@pytest.fixture
def nothing_remembered():
    cost_module._measure_once.cache_clear()


@pytest.mark.usefixtures("nothing_remembered")
def test_equal_networks_are_built_once(monkeypatch):
    built, real = [], cost_module.build_network
    monkeypatch.setattr(cost_module, "build_network", lambda *given, **more: built.append(1) or real(*given, **more))
    small, colour = Plain(stages=((2,),)), DataSpec(48, 3)
    grey = [measure_cost(Design(network=small, optimisation=Optimisation(learning_rate=r))) for r in (0.1, 0.2)]
    assert len(built) == 1
    assert grey[0] == grey[1] != measure_cost(Design(network=small), colour)
    assert measure_cost(Design(network=small, head=Head(dense=(4,)))).parameters > grey[0].parameters
    assert len(built) == 3


@pytest.mark.usefixtures("nothing_remembered")
def test_measuring_allocates_no_weights(monkeypatch):
    made = []
    initialize = keras.initializers.GlorotUniform.__call__
    monkeypatch.setattr(
        keras.initializers.GlorotUniform,
        "__call__",
        lambda self, shape, dtype=None: made.append(shape) or initialize(self, shape, dtype),
    )
    measure_cost(Design(network=Plain(stages=((4096,) * 4,) * 5)))  # 2.7 billion parameters
    made.clear()
    build_network(Design(network=Plain(stages=((2,),))))
    assert len(made) == 2  # only the small network's weights: nothing pending from measuring


@pytest.mark.usefixtures("nothing_remembered")
def test_measuring_does_not_affect_the_next_build():
    def first_weights():
        keras.utils.set_random_seed(1)
        return random.random()

    before = first_weights()
    measure_cost(Design(network=Plain(stages=((2,),))))
    assert first_weights() == before
