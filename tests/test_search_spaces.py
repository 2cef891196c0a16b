"""Thousands of designs of the spaces that come with fer-search: all build; some are trained, saved and loaded."""

import dataclasses
import functools
import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest

from fer_search.design import BACKBONES, Backbone, Design
from fer_search.inspection.check import check_space
from fer_search.inspection.describe import cost_equivalent
from fer_search.models import build_model, measure_cost
from fer_search.space import load_space

SPACES = Path(__file__).resolve().parents[1] / "search_spaces"
NAMES = ["report", "modern", "tiny", "cpu", "backbones"]


FEWER = {"report": {"blocks": 1}, "modern": {"blocks": 1}}  # instead of two or three equal ones in a row


@functools.cache
def sample(name):
    """Return 1,500 designs of a space, small."""
    space, rng = load_space(SPACES / f"{name}.py", width=0.1), np.random.default_rng(0)
    return [space.design(space.sample(rng)) for _ in range(1500)]


@pytest.mark.parametrize("name", NAMES)
def test_every_sampled_design_comes_back_from_json(name):
    sampled = sample(name)
    texts = [json.dumps(design.to_dict()) for design in sampled]
    assert [Design.from_dict(json.loads(text)) for text in texts] == sampled
    assert len(set(texts)) > 550


def structure(design):
    """Return a design with the same layers, as small as can be; of backbones the name: their layers are Keras'.

    Its numbers of filters and units, what activates, and more than two blocks in a row change no shape's fate. A stem
    has as many filters as the blocks after it, as in the spaces: the first shortcut stays an identity.
    """
    design, network = cost_equivalent(design), design.network
    if isinstance(network, Backbone):
        return network.name
    stages = tuple((2,) * min(2, len(stage)) for stage in network.stages)
    small = dataclasses.replace(design.network, stages=stages, width=1.0, activation="relu")
    if getattr(small, "stem", 0):
        small = dataclasses.replace(small, stem=2)
    return Design(network=small, head=dataclasses.replace(design.head, dense=(3,) * len(design.head.dense)))


@pytest.mark.parametrize("name", NAMES)
def test_every_sampled_design_has_shapes(name):
    """One of each structure stands for all that have it."""
    different = {structure(design) for design in sample(name)}
    for one in different:
        cost = cost_of(one)
        assert cost.parameters > 100
        assert cost.flops > 1e3
    assert len(different) >= 2


@functools.cache  # the spaces share backbones
def cost_of(one):
    if isinstance(one, Design):
        return measure_cost(one)
    return measure_cost(Design(network=Backbone(one, "none", max(48, BACKBONES[one].smallest))))


@pytest.mark.parametrize("name", ["report", "modern", "tiny", "cpu"])
def test_sampled_models_are_saved_and_loaded_with_equal_predictions(name, tmp_path):
    space, rng = load_space(SPACES / f"{name}.py", width=0.03, fixed=FEWER.get(name)), np.random.default_rng(1)
    designs = [space.design(space.sample(rng)) for _ in range(12)]
    images = rng.integers(0, 256, (4, 48, 48, 1)).astype("float32")
    for design in [design for design in designs if not isinstance(design.network, Backbone)][:2]:
        model = build_model(design)
        model(images, training=True)  # moves BN's statistics
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(loaded(images), model(images), atol=1e-6)
        assert loaded.optimizer.get_config() == model.optimizer.get_config()


@pytest.mark.parametrize(
    ("name", "fixed", "samples"),
    [
        ("report", {"network": "residual"}, 0),
        ("tiny", {"family": "plain", "rotation": 10}, 1),
        ("cpu", {"rotation": 10}, 1),
        ("modern", {"network": "residual"}, 1),
        ("modern", {"network": "plain", "plan": "8 convolutions", "dense": 512}, 1),
        ("backbones", {"backbone": "MobileNet", "MobileNet_alpha": 0.25, "input_size": 48}, 1),
    ],
)
def test_baselines_and_sampled_designs_train_a_step(name, fixed, samples):
    """Of baselines whose networks have the same structure, the last one, which has the most around it."""
    space = load_space(SPACES / f"{name}.py", width=0.03, batch_size=16, fixed=fixed)
    structures = {structure(space.design(space.baseline(each))): each for each in space.baselines}
    fewer = FEWER.get(name, {}) if fixed.get("network") == "residual" else {}
    baselines = {each: space.baselines[each] | fewer for each in structures.values()}
    space = dataclasses.replace(space.restricted(fewer), baselines=baselines)
    results = list(check_space(space, samples))
    assert len(results) == len(space.baselines) + samples
    assert [r for r in results if r.problem] == []
    assert all(math.isfinite(r.loss) for r in results)


def test_no_illegal_backbone_can_be_sampled():
    """InceptionResNetV2 takes 75 pixels at least, and the MobileNets alone have a width factor."""
    met = {(n.name, n.input_size, n.alpha) for n in (design.network for design in sample("backbones"))}
    assert {size for name, size, _ in met if name == "InceptionResNetV2"} == {75, 96, 128, 224}
    assert {size for name, size, _ in met if name == "ResNet50"} == {48, 96, 128, 224}
    assert {alpha for name, _, alpha in met if name == "MobileNetV2"} == {0.35, 0.5, 0.75, 1.0, 1.3, 1.4}
    assert {alpha for name, _, alpha in met if not name.startswith("MobileNet")} == {1.0}


def test_the_densenet_notebook_is_a_baseline():
    space = load_space(SPACES / "backbones.py")
    design = space.design(space.baseline("densenet169_notebook"))
    network, head = design.network, design.head
    assert (network.name, network.input_size, network.channels) == ("DenseNet169", 48, "rgb")
    assert (network.train_from, network.learning_rate_factor, network.frozen_epochs > 0) == (1, 1.0, True)
    assert (head.pooling, head.dense, head.dropout[0]) == ("average", (256, 512, 1024), 0.0)
    assert (design.optimisation.optimizer, design.optimisation.learning_rate) == ("sgd", 1e-3)
