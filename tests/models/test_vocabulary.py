"""Random designs from the full range of options all build."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fer_search.design import BACKBONES, Backbone, Design, Head, Optimisation, Plain, Residual
from fer_search.design.head import POOLING
from fer_search.design.networks import (
    ACTIVATIONS,
    CHANNELS,
    DOWNSAMPLING,
    MAX_STAGES,
    NORMALIZATIONS,
    PREPROCESSING,
    SHORTCUTS,
)
from fer_search.design.optimisation import OPTIMIZERS
from fer_search.models import build_model, count_parameters, measure_cost

rates = st.sampled_from([0.0, 0.3])
# A third block of a stage is built as its second.
stages = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=2), min_size=1, max_size=MAX_STAGES)
# Each of these has hundreds of layers; test_backbone.py builds them, too.
LARGE = ("ResNet152V2", "DenseNet169", "InceptionResNetV2")
common = {
    "downsample": st.sampled_from(DOWNSAMPLING),
    "width": st.sampled_from([0.2, 1.0, 1.7]),
    "normalization": st.sampled_from(NORMALIZATIONS),
    "activation": st.sampled_from(ACTIVATIONS),
    "noise": st.sampled_from([0.0, 0.1]),
}


@st.composite
def residuals(draw):
    shape, stem = draw(stages), draw(st.integers(0, 4))
    halves = stem > 0 and len(shape) < MAX_STAGES
    return draw(
        st.builds(
            Residual,
            stages=st.just(shape),
            stem=st.just(stem),
            stem_downsample=st.sampled_from(["none", *DOWNSAMPLING]) if halves else st.just("none"),
            shortcut=st.sampled_from(SHORTCUTS),
            pre_activation=st.booleans(),
            squeeze_excitation=st.sampled_from([0, 2, 16]),
            dropout=st.lists(rates, min_size=len(shape), max_size=len(shape)),
            **common,
        )
    )


@st.composite
def plains(draw):
    shape = draw(stages)
    return draw(
        st.builds(
            Plain,
            stages=st.just(shape),
            kernels=st.lists(st.integers(1, 7), min_size=len(shape), max_size=len(shape)),
            dropout=st.lists(rates, min_size=len(shape), max_size=len(shape)),
            **common,
        )
    )


@st.composite
def backbones(draw):
    name = draw(st.sampled_from([name for name in BACKBONES if name not in LARGE]))
    known = BACKBONES[name]
    return draw(
        st.builds(
            Backbone,
            name=st.just(name),
            weights=st.just("none"),
            input_size=st.integers(max(48, known.smallest), 224),
            channels=st.sampled_from(CHANNELS),
            preprocessing=st.sampled_from(PREPROCESSING),
            alpha=st.sampled_from(known.alphas),
            train_from=st.integers(0, known.stages),
            learning_rate_factor=st.sampled_from([0.1, 1.0]),
            frozen_statistics=st.booleans(),
        )
    )


@st.composite
def heads(draw):
    dense = draw(st.lists(st.integers(1, 6), max_size=2))
    return Head(
        dense=dense,
        dropout=draw(st.lists(rates, min_size=len(dense) + 1, max_size=len(dense) + 1)),
        pooling=draw(st.sampled_from(POOLING)),
        batch_norm=draw(st.booleans()),
        activation=draw(st.sampled_from(ACTIVATIONS)),
    )


optimisations = st.builds(
    Optimisation,
    optimizer=st.sampled_from(OPTIMIZERS),
    weight_decay=st.sampled_from([0.0, 0.01]),
    clip_norm=st.sampled_from([0.0, 1.0]),
    ema=st.sampled_from([0.0, 0.99]),
    focal_gamma=st.sampled_from([0.0, 2.0]),
)
ours = st.builds(Design, network=residuals() | plains(), head=heads(), optimisation=optimisations)
patient = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


@settings(max_examples=60, **patient)
@given(ours)
def test_every_plain_or_residual_network_has_an_output_shape(design):
    assert measure_cost(design).parameters > 0


@settings(max_examples=15, **patient)
@given(st.builds(Design, network=backbones(), head=heads(), optimisation=optimisations))
def test_every_backbone_has_an_output_shape(design):
    assert measure_cost(design).flops > 0


@settings(max_examples=15, **patient)
@given(ours)
def test_every_plain_or_residual_network_builds_predicts_and_trains(design):
    model = build_model(design)
    assert measure_cost(design).parameters == count_parameters(model)
    images = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 1)).astype("float32")
    assert np.isfinite(model(images, training=False)).all()
    model.run_eagerly = True  # compiling does not pay for one step
    history = model.fit(images, np.eye(7, dtype="float32")[:4], verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
