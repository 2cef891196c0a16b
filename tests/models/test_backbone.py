from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest

from fer_search.design import BACKBONES, Backbone, Design, Head
from fer_search.models import build_network, count_flops, count_parameters, make_optimizer
from fer_search.models.applications import layer_stages, make_network
from fer_search.space import load_space

REPORT = Path(__file__).resolve().parents[2] / "search_spaces" / "report.py"

RESNET152V2, RESNET50 = 58_331_648, 23_587_712  # parameters without top, as in Keras' tests
HEADS = {
    "512-256": Head(dense=(512, 256), dropout=(0.3, 0.2, 0.3)),
    "512": Head(dense=512, dropout=(0.3, 0.2)),
}


def head_parameters(*units):
    hidden = sum((i + 1) * o + 4 * o for i, o in zip((2048, *units), units, strict=False))
    return hidden + (units[-1] + 1) * 7


def without_weights(build, *arguments, **options):
    """Build a network without allocating weights, in a thread as in ``fer_search.models.measure_cost``."""

    def call():
        with keras.StatelessScope(initialize_variables=False):
            return build(*arguments, **options)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call).result()


def shapes(design):
    return without_weights(build_network, design, pretrained=False)


def stages_of(*backbone, **options):
    return layer_stages(without_weights(make_network, Backbone(*backbone, **options)))


@pytest.mark.parametrize(
    ("row", "backbone", "head", "optimizer", "front", "parameters"),
    [
        ("rgb_resnet152v2", "resnet152v2", "512-256", "adam", ["Concatenate", "Rescaling"], RESNET152V2),
        ("conv_resnet152v2", "resnet152v2", "512-256", "adam", ["Rescaling", "Conv2D"], RESNET152V2 + 30),
        ("rgb_resnet50_sgd", "resnet50", "512", "sgd", ["Concatenate", "Rescaling"], RESNET50),
    ],
)
def test_the_reports_rows_have_exactly_the_named_layers(row, backbone, head, optimizer, front, parameters):
    space = load_space(REPORT)
    design = space.design(space.baseline(row))
    model = shapes(design)
    dense = ["Dense", "BatchNormalization", "Dropout"] * len(HEADS[head].dense)
    named = ["Functional", "GlobalAveragePooling2D", "Dropout", *dense, "Dense"]
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", *front, *named]
    assert backbone in [layer.name for layer in model.layers]
    assert not model.get_layer(backbone).trainable_variables
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == list(HEADS[head].dropout)
    units = [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert units == [*HEADS[head].dense, 7]
    assert count_parameters(model) == parameters + head_parameters(*HEADS[head].dense)
    made = make_optimizer(design.optimisation)
    assert type(made).__name__.lower() == optimizer
    assert float(made.learning_rate) == pytest.approx(1e-3)
    preprocess = model.get_layer("preprocess")
    assert np.ravel(preprocess.scale) == pytest.approx(1 / 255)
    assert np.ravel(preprocess.offset) == pytest.approx(0)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_builds_with_the_declared_stages(name):
    known, varied = BACKBONES[name], len(name)
    size, channels = max(48, known.smallest) + varied, ("rgb", "sum", "conv")[varied % 3]
    options = {"alpha": known.alphas[0], "train_from": varied % (known.stages + 1)}
    head = Head(dense=(3,), pooling=("average", "max", "flatten")[varied % 3])
    model = shapes(Design(network=Backbone(name, "none", size, channels, **options), head=head))
    assert model.output_shape == (None, 7)
    assert count_flops(model) > 0
    network = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    assert network.input_shape == (None, size, size, 1 if channels == "sum" else 3)
    assert sorted(set(layer_stages(network).values())) == list(range(1, known.stages + 1))


def trained(model):
    return {v.path.partition("/")[0] for v in model.trainable_variables}


def test_stages_begin_where_the_resolution_halves():
    stages = stages_of("MobileNet", alpha=0.25)
    first = {stage: next(n for n, s in stages.items() if s == stage and "conv" in n) for stage in range(1, 6)}
    assert first == {1: "conv1", 2: "conv_dw_2", 3: "conv_dw_4", 4: "conv_dw_6", 5: "conv_dw_12"}
    vgg = stages_of("VGG16")
    assert all(stage == int(name[5]) for name, stage in vgg.items() if "conv" in name)
    resnet = stages_of("ResNet50")
    assert all(stage == int(name[4]) for name, stage in resnet.items() if name.startswith("conv") and "_block" in name)


@pytest.mark.parametrize(
    ("fields", "layers"),
    [
        ({"train_from": 0}, set()),
        ({"train_from": 5}, {f"conv_{part}_{i}{bn}" for part in ("dw", "pw") for i in (12, 13) for bn in ("", "_bn")}),
        (
            {"train_from": 5, "channels": "conv"},
            {"channels", *(f"conv_{p}_{i}{bn}" for p in ("dw", "pw") for i in (12, 13) for bn in ("", "_bn"))},
        ),
    ],
)
def test_frozen_stages_are_not_trained(fields, layers):
    model = build_network(Design(network=Backbone("MobileNet", weights="none", alpha=0.25, **fields)))
    assert trained(model) == layers | {"probabilities"}


def statistics(model):
    return {v.path: keras.ops.convert_to_numpy(v).copy() for v in model.weights if "moving" in v.name}


@pytest.mark.parametrize(
    ("weights", "frozen_statistics", "moves"),
    [("imagenet", True, False), ("imagenet", False, True), ("none", True, True), ("none", False, True)],
)
def test_frozen_batchnorm_statistics_do_not_change(weights, frozen_statistics, moves, pixels):
    network = Backbone("MobileNet", weights, alpha=0.25, train_from=4, frozen_statistics=frozen_statistics)
    model = build_network(Design(network=network), pretrained=False)
    before = statistics(model)
    model(pixels, training=True)
    moved = {path for path, value in statistics(model).items() if np.any(value != before[path])}
    assert all(("_bn" in p and int(p.split("_")[2]) >= 6) for p in moved)  # from stage 4 on
    assert bool(moved) == moves


def test_frozen_stages_apply_no_dropout(pixels):
    model = build_network(Design(network=Backbone("EfficientNetV2B0", weights="none")))
    backbone = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    x = np.repeat(pixels, 3, axis=-1) / 255
    np.testing.assert_array_equal(backbone(x, training=True), backbone(x, training=False))


def test_images_are_resized_inside_the_model(pixels):
    model = build_network(Design(network=Backbone("MobileNet", weights="none", alpha=0.25, input_size=96)))
    resize = keras.ops.convert_to_numpy(keras.Model(model.input, model.get_layer("resize").output)(pixels))
    assert resize.shape == (6, 96, 96, 1)
    np.testing.assert_allclose(resize[:, ::95, ::95], pixels[:, ::47, ::47], rtol=1e-5)  # corners are preserved
    inner = 0.75 * pixels[:, :-1] + 0.25 * pixels[:, 1:]  # sampled a quarter of a pixel below each row's centre
    np.testing.assert_allclose(resize[:, 1:-1:2, 0, 0], inner[:, :, 0, 0], rtol=1e-4, atol=1e-2)


def test_a_model_with_resizing_defaults_to_inference_mode(pixels):
    """Keras' Resizing puts itself and later layers in training mode if a call does not specify it."""
    model = build_network(
        Design(network=Backbone("MobileNet", weights="none", alpha=0.25, input_size=96, train_from=1))
    )
    before = statistics(model)
    model(pixels)
    for path, value in statistics(model).items():
        np.testing.assert_array_equal(value, before[path], err_msg=path)
