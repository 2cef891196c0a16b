"""Trials of equal networks share their traced programs, and nothing else."""

import dataclasses

import h5py
import keras
import numpy as np
import pytest
from cases import NETWORK, SMALL, make_trial, timeless

from fer_search.design import Custom, Design, Head
from fer_search.models import build_model, training_loss
from fer_search.training.checkpoint import checkpoint_path
from fer_search.training.engines import make_engine, reset_keras
from fer_search.training.trial import TrialHooks, train

programs = pytest.importorskip("fer_search.training.tensorflow_programs")


@pytest.fixture
def traced(monkeypatch):
    """Names of the programs traced from now on, with none kept from before."""
    monkeypatch.setattr(programs, "_shared", programs.OrderedDict())
    names, real = [], programs.Trace.__init__

    def trace(self, concrete, handles):
        names.append(concrete.name)
        real(self, concrete, handles)

    monkeypatch.setattr(programs.Trace, "__init__", trace)
    return names


def changed(**changes):
    """SMALL with other fields of its parts."""
    return dataclasses.replace(
        SMALL, **{part: dataclasses.replace(getattr(SMALL, part), **fields) for part, fields in changes.items()}
    )


def numbers(folder, epoch):
    found = {}
    with h5py.File(checkpoint_path(folder, epoch)) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def test_a_shared_program_gives_the_same_training_as_one_of_its_own(tmp_path, data, traced, monkeypatch):
    other = changed(optimisation={"learning_rate": 1e-2, "schedule": "cosine"}, augmentation={"rotation": 5})
    train(make_trial(tmp_path / "first", epochs=1), data)
    before = len(traced)
    assert before >= 3
    shared = train(make_trial(tmp_path / "shared", epochs=2, number=3, design=other), data)
    assert len(traced) == before
    monkeypatch.setattr(programs, "_shared", programs.OrderedDict())
    own = train(make_trial(tmp_path / "own", epochs=2, number=3, design=other), data)
    assert len(traced) == 2 * before
    assert timeless(shared) == timeless(own)
    expected = numbers(tmp_path / "own", 2)
    assert len(expected) > 10
    for name, value in numbers(tmp_path / "shared", 2).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_kernels_are_kept_until_other_programs_are_traced(tmp_path, data, traced, monkeypatch):
    """Kernels of programs that are not shared are cleared as soon as their trial has ended."""
    reset_keras()
    cleared = []
    monkeypatch.setattr(programs.context.Context, "clear_kernel_cache", lambda self: cleared.append(len(traced)))
    custom = Design(network=Custom(features), optimisation=SMALL.optimisation)
    designs, counts = {"first": SMALL, "again": SMALL, "other": changed(head={"dropout": 0.3}), "own": custom}, []
    for name, design in designs.items():
        train(make_trial(tmp_path / name, epochs=1, design=design), data)
        counts.append(len(cleared))
    assert (counts, cleared[0], cleared[1]) == ([1, 1, 2, 3], 0, 3)


def features(x):
    from keras import layers

    return layers.Conv2D(4, 3, strides=2, activation="relu")(x)


@pytest.mark.parametrize(
    "other",
    [
        changed(head={"dropout": 0.3}),
        changed(optimisation={"weight_decay": 1e-3}),
        changed(optimisation={"clip_norm": 1.0}),
        changed(optimisation={"focal_gamma": 1.0}),
        changed(optimisation={"ema": 0.9}),
        changed(optimisation={"precision": "bfloat16"}),
        changed(network={"activation": "elu"}),
        dataclasses.replace(SMALL, network=NETWORK),
        dataclasses.replace(SMALL, head=Head(dropout=0.2, pooling="max")),
    ],
    ids=["dropout", "decay", "clipping", "loss", "ema", "precision", "activation", "network", "pooling"],
)
def test_what_is_constant_in_a_graph_is_not_shared(other):
    assert shared_key(other) != shared_key(SMALL)


def test_what_is_an_argument_of_a_graph_is_shared():
    other = changed(
        augmentation={"rotation": 3, "label_smoothing": 0.1},
        optimisation={"learning_rate": 1e-4, "schedule": "cosine", "class_weights": "balanced", "batch_size": 16},
        evaluation={"views": "flip"},
    )
    assert shared_key(other) == shared_key(SMALL)


def shared_key(design):
    keras.utils.clear_session(free_memory=False)
    model = build_model(design)
    engine = make_engine(model, training_loss(model, design.optimisation))
    return programs._describe(model), engine._train.options


def test_custom_networks_share_nothing(tmp_path, data, traced):
    """Their functions may have changed: what Keras says of the layers is not all."""
    design = Design(network=Custom(features), optimisation=SMALL.optimisation)
    for name in ("first", "second"):
        train(make_trial(tmp_path / name, epochs=1, design=design), data)
    assert programs._shared == {}


def test_a_network_changed_by_its_caller_is_traced_for_itself(tmp_path, data, traced):
    def drop_more(model):
        next(layer for layer in model.layers if hasattr(layer, "rate")).rate = 0.5

    train(make_trial(tmp_path / "first", epochs=1), data)
    before = len(traced)
    rows = train(make_trial(tmp_path / "changed", epochs=1), data, TrialHooks(on_model_built=drop_more))
    assert len(traced) == 2 * before
    assert timeless(rows) != timeless(train(make_trial(tmp_path / "again", epochs=1), data))


def test_only_a_few_programs_are_kept(tmp_path, data, traced, monkeypatch):
    monkeypatch.setattr(programs, "MAX_SHARED", 4)
    for number, rate in enumerate((0.1, 0.2)):
        train(make_trial(tmp_path / str(number), epochs=1, design=changed(head={"dropout": rate})), data)
    assert len(programs._shared) == 4
    before = len(traced)
    train(make_trial(tmp_path / "last", epochs=1, design=changed(head={"dropout": 0.2})), data)
    assert len(traced) == before
