"""Spaces with a user-defined network: ``build(hp)``, or a function before the head."""

import dataclasses

import keras
import numpy as np
import pytest

from fer_search.data.spec import DataSpec
from fer_search.design import Custom, Design, DesignError
from fer_search.errors import UserError
from fer_search.inspection.describe import cost_equivalent
from fer_search.models import build_model, measure_cost, user_training
from fer_search.space import load_space
from fer_search.training.trial import Trial, TrialData, train, trained_model

HEAD = "import keras\nfrom keras import layers\nfrom fer_search.design import *\n"
GUIDE = (
    HEAD
    + '''
def build(hp):
    """As in Keras Tuner's guide: layers by number, each with choices of its own."""
    model = keras.Sequential()
    for i in range(hp.Int("conv_layers", 1, 2)):
        model.add(layers.Conv2D(hp.Choice(f"filters_{i}", [4, 8]), 3, activation="relu"))
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(0.25))
    model.add(layers.Dense(3, activation="softmax"))
    model.compile(
        optimizer=keras.optimizers.Adam(hp.Float("lr", 1e-4, 1e-2, sampling="log", default=3e-3)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def augmentation(hp):
    return Augmentation(flip=True, rotation=hp.Choice("rotation", [0, 15]))


baselines = {"guide": {}, "deeper": {"conv_layers": 2, "filters_1": 8}}
'''
)
SPEC = DataSpec(32, 1, ("a", "b", "c"))


@pytest.fixture
def load(tmp_path):
    def write(text):
        (tmp_path / "mine.py").write_text(text)
        return load_space(tmp_path / "mine.py")

    return write


@pytest.fixture(scope="module")
def data():
    """Images whose class is their brightness."""
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 3
    images = (rng.integers(0, 60, (48, 32, 32)) + labels[:, None, None] * 90).astype(np.uint8)
    return TrialData(images, labels, images[:12], labels[:12], class_names=SPEC.classes)


def model_of(space, **values):
    hp = space.choices()
    hp.values |= values
    return build_model(space.design(hp), spec=SPEC)


def test_a_model_from_keras_tuners_guide_is_trained_by_our_loop(load, data, tmp_path):
    space = load(GUIDE)
    assert {c.name for c in space.choices().space} == {
        *("conv_layers", "filters_0", "filters_1", "dropout", "lr", "rotation")
    }
    design = space.design(space.baseline("deeper"))
    assert design.augmentation.flip
    again = Design.from_dict(design.to_dict())
    assert (again, hash(again)) == (design, hash(design))
    trial = Trial(dataclasses.replace(again), 4, tmp_path, seed=0, number=0)
    rows = train(trial, data)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[0]["learning_rate"] == pytest.approx(3e-3)
    with trained_model(trial, data.spec) as model:
        model.save(tmp_path / "model.keras")
        expected = model.predict(data.images[..., None].astype("float32"), verbose=0)
    plain = keras.saving.load_model(tmp_path / "model.keras")  # without fer-search
    np.testing.assert_allclose(plain.predict(data.images[..., None].astype("float32"), verbose=0), expected, atol=1e-5)
    assert measure_cost(design, SPEC).parameters == plain.count_params()
    assert cost_equivalent(design).network == design.network


def test_a_models_schedule_and_logits_are_supported(load, data, tmp_path):
    text = HEAD + (
        "def build(hp):\n"
        "    model = keras.Sequential([layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(3)])\n"
        "    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 3, 0.5, staircase=True)\n"
        "    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)\n"
        "    model.compile(keras.optimizers.SGD(rate, momentum=0.9), loss)\n"
        "    return model\n"
    )
    space = load(text)
    model = model_of(space)
    assert not any(layer.name == "scale_to_1" for layer in model.layers)
    probabilities = model.predict(data.images[:4, ..., None].astype("float32"), verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(user_training(model).rates(2, 3), [0.005] * 3)
    rows = train(Trial(space.design(space.choices()), 2, tmp_path, seed=0, number=0), data)
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.01, 0.005])


SCALED = {  # how the first lines of a model scale pixels -> whether we still divide them by 255
    "x": True,
    "layers.Concatenate()([x, x, x])": True,
    "x / 255.0": False,
    "layers.Lambda(lambda pixels: pixels / 127.5)(x)": False,
    "keras.applications.mobilenet_v2.preprocess_input(x)": False,
    "layers.Normalization(mean=120.0, variance=900.0)(x)": False,
}


@pytest.mark.parametrize("end", ["layers.Softmax()(x)", "layers.Average()([{0}, {0}])", "keras.ops.softmax(x)"])
def test_a_model_may_end_with_any_kind_of_softmax(end, load):
    softmax = "layers.Dense(3, activation='softmax')(x)"
    space = load(
        HEAD
        + "def build(hp):\n    inputs = keras.Input((32, 32, 1))\n    x = layers.Dense(3)(layers.Flatten()(inputs))\n"
        f"    model = keras.Model(inputs, {end.format(softmax)})\n"
        "    model.compile('adam', 'categorical_crossentropy')\n    return model\n"
    )
    assert model_of(space).output_shape == (None, 3)


@pytest.mark.parametrize("scaling", SCALED)
def test_pixels_are_divided_by_255_unless_the_model_scales_them(scaling, load):
    space = load(
        HEAD + "def build(hp):\n    x = keras.Input((32, 32, 1))\n    inputs = x\n"
        f"    x = layers.Conv2D(2, 3, padding='same')({scaling})\n"
        "    x = layers.GlobalAveragePooling2D()(x + layers.Conv2D(2, 1)(x))\n"
        "    model = keras.Model(inputs, layers.Dense(3, activation='softmax')(x))\n"
        "    optimizer = keras.optimizers.AdamW()\n"
        "    optimizer.exclude_from_weight_decay(var_names=['bias'])\n"
        "    model.compile(optimizer, 'categorical_crossentropy')\n    return model\n"
    )
    model = model_of(space)
    assert any(layer.name == "scale_to_1" for layer in model.layers) == SCALED[scaling]
    model.optimizer.build(model.trainable_variables)
    decayed = {v.name for v in model.trainable_variables if model.optimizer._use_weight_decay(v)}
    assert decayed == {"kernel"}  # what the user excluded from weight decay still is


BODY = "def build(hp):\n    model = keras.Sequential([layers.Flatten(), layers.Dense({}, activation='softmax')])\n"
WRONG = {
    "not compiled": (BODY.format(3) + "    return model\n", r"must compile its model"),
    "another loss": (
        BODY.format(3) + "    model.compile('adam', 'mse')\n    return model\n",
        "loss .* is not supported",
    ),
    "logits without from_logits": (
        "def build(hp):\n    model = keras.Sequential([layers.Flatten(), layers.Dense(3)])\n"
        "    model.compile('adam', 'sparse_categorical_crossentropy')\n    return model\n",
        "outputs are no probabilities; let it end with a softmax",
    ),
    "logits for a loss of another kind": (
        BODY.format(3)
        + "    model.compile('adam', keras.losses.BinaryCrossentropy(from_logits=True))\n    return model\n",
        "BinaryCrossentropy with from_logits=True is not supported",
    ),
    "another number of classes": (
        BODY.format(5) + "    model.compile('adam', 'categorical_crossentropy')\n    return model\n",
        r"one value per class, \(n, 3\)",
    ),
    "no model": ("def build(hp):\n    return 7\n", r"must return a compiled keras\.Model, not int"),
    "another input": (
        "def build(hp):\n    model = keras.Sequential([keras.Input((48, 48, 3)), layers.Flatten(), layers.Dense(3)])\n"
        "    model.compile('adam', 'categorical_crossentropy')\n    return model\n",
        r"the model does not take \(32, 32, 1\): (?!Exception encountered)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_unsuitable_model_is_reported(case, load):
    text, message = WRONG[case]
    space = load(HEAD + text)
    with pytest.raises(DesignError, match=message):
        model_of(space)


def test_an_error_in_build_is_reported_with_its_line(load):
    with pytest.raises(UserError, match=r"mine\.py, line 5: ZeroDivisionError"):
        load(HEAD + "def build(hp):\n    return 1 / 0\n")


def test_a_custom_function_before_the_head_is_trained(load, data, tmp_path):
    space = load(
        HEAD
        + "def cnn(x, filters, kernels):\n"
        + "    for kernel in kernels:\n"
        + "        x = layers.Conv2D(filters, kernel, strides=2, activation='relu')(x)\n"
        + "    return x\n"
        + "def design(hp):\n"
        + "    return Design(network=Custom(cnn, filters=hp.Choice('filters', [4, 8]), kernels=[3, 5]),\n"
        + "                  optimisation=Optimisation(batch_size=16, learning_rate=3e-3))\n"
    )
    design = space.design(space.choices())
    assert Design.from_dict(design.to_dict()) == design
    assert design.scaled(0.5) == design
    assert train(Trial(design, 2, tmp_path, seed=0, number=0), data)[-1]["epoch"] == 2
    with pytest.raises(DesignError, match=r"gone\(\) is part of a space file that is not loaded"):
        build_model(Design(network=Custom("gone")), spec=SPEC)
    with pytest.raises(DesignError, match="must be numbers, strings or lists"):
        Custom("cnn", function_of=object())
