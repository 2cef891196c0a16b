import keras
import numpy as np
import pytest

from fer_search.design import Backbone, Design, Optimisation, Residual
from fer_search.models import build_model, freeze_backbone_for, make_optimizer

TINY = Residual(stages=((2,),))


class Variables:
    """Three variables as in a model with a backbone: backbone kernel, BN scale and head kernel."""

    def __init__(self):
        names = {"conv1/kernel": "kernel", "bn1/gamma": "gamma", "probabilities/kernel": "kernel"}
        self.all = []
        for path, name in names.items():
            with keras.name_scope(path.partition("/")[0]):
                self.all.append(keras.Variable(np.ones(3, "float32"), name=name))
        assert [v.path for v in self.all] == list(names)

    def after(self, optimizer, gradient, steps=1):
        optimizer.build(self.all)
        for _ in range(steps):
            optimizer.apply([keras.ops.full((3,), gradient)] * 3, self.all)
        return [float(v.numpy()[0]) for v in self.all]


@pytest.mark.parametrize(
    ("fields", "kind", "attributes"),
    [
        ({}, "Adam", {"learning_rate": 1e-3, "weight_decay": None, "use_ema": False, "global_clipnorm": None}),
        ({"learning_rate": 1}, "Adam", {"learning_rate": 1.0}),
        ({"optimizer": "adamw"}, "AdamW", {"weight_decay": 0.0}),
        ({"optimizer": "sgd"}, "SGD", {"momentum": 0.0, "nesterov": False}),
        ({"optimizer": "sgd", "momentum": 0.9}, "SGD", {"momentum": 0.9, "nesterov": True}),
        ({"clip_norm": 0.5}, "Adam", {"global_clipnorm": 0.5}),
        ({"clip_value": 0.1}, "Adam", {"clipvalue": 0.1, "global_clipnorm": None}),
        ({"ema": 0.999}, "SelectiveAdam", {"use_ema": True, "ema_momentum": 0.999}),
        ({"optimizer": "adamw", "weight_decay": 0.05}, "SelectiveAdamW", {"weight_decay": 0.05}),
    ],
)
def test_optimizers_are_keras_classes_where_possible(fields, kind, attributes):
    optimizer = build_model(Design(network=TINY, optimisation=Optimisation(**fields))).optimizer
    assert type(optimizer).__name__ == kind
    for name, value in attributes.items():
        actual = getattr(optimizer, name)
        assert value == (pytest.approx(float(actual)) if name == "learning_rate" else actual)


def test_weights_decay_by_their_own_names_and_not_their_layers():
    """Keras searches the name, which has the layer's on one backend and not on another."""
    weights = {}
    for layer, name in (("beta_conv", "kernel"), ("gamma", "kernel"), ("prelu", "alpha"), ("conv", "depthwise_kernel")):
        with keras.name_scope(layer):
            weights[layer] = keras.Variable(np.ones(3, "float32"), name=name)
    optimizer = make_optimizer(Optimisation(optimizer="sgd", learning_rate=0.1, weight_decay=0.5))
    optimizer.build(list(weights.values()))
    optimizer.apply([keras.ops.zeros(3)] * 4, list(weights.values()))
    decayed = {layer for layer, weight in weights.items() if float(weight.numpy()[0]) < 1}
    assert decayed == {"beta_conv", "gamma", "conv"}


def test_a_frozen_backbone_does_not_count_in_the_norm_that_clips_the_head():
    variables = Variables()
    optimizer = make_optimizer(
        Optimisation(optimizer="sgd", learning_rate=1.0, clip_norm=0.3), backbone_factor=0.5, freeze_initially=True
    )
    optimizer.frozen_steps = 1
    frozen = variables.after(optimizer, 1.0)
    assert frozen == pytest.approx([1, 1, 1 - 0.3 / 3**0.5])  # three elements of 1 in the head
    after = variables.after(optimizer, 1.0)
    step = 0.3 / 9**0.5  # nine elements in all
    assert np.subtract(frozen, after) == pytest.approx([0.5 * step, 0.5 * step, step])


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_weight_decay_spares_biases_and_scales(optimizer):
    made = make_optimizer(Optimisation(optimizer=optimizer, learning_rate=0.1, weight_decay=0.5))
    assert Variables().after(made, 0.0) == pytest.approx([1 - 0.1 * 0.5, 1, 1 - 0.1 * 0.5])


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_backbone_uses_a_fraction_of_the_learning_rate(optimizer):
    optimisation = Optimisation(optimizer=optimizer, learning_rate=0.1, weight_decay=0.5)
    slow, scale, fast = Variables().after(make_optimizer(optimisation, backbone_factor=0.25), 0.0)
    assert [slow, scale, fast] == pytest.approx([1 - 0.025 * 0.5, 1, 1 - 0.1 * 0.5])
    step = Variables().after(make_optimizer(Optimisation(optimizer=optimizer, learning_rate=0.1)), 0.3)
    slow, scale, fast = Variables().after(
        make_optimizer(Optimisation(optimizer=optimizer, learning_rate=0.1), backbone_factor=0.25), 0.3
    )
    assert fast == pytest.approx(step[2])
    assert [1 - slow, 1 - scale] == pytest.approx([(1 - step[0]) / 4] * 2, rel=1e-4)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_backbone_is_frozen_for_its_steps_and_then_uses_its_fraction(optimizer):
    optimisation = Optimisation(optimizer=optimizer, learning_rate=0.1, weight_decay=0.5)
    made = make_optimizer(optimisation, backbone_factor=0.25, freeze_initially=True)
    made.frozen_steps = 2
    variables = Variables()
    assert variables.after(made, 0.3, steps=2)[:2] == [1, 1]
    slow, _, fast = variables.after(made, 0.0)
    assert 1 - 0.25 * 0.1 - 0.025 * 0.5 < slow < 1
    assert fast < slow
    assert make_optimizer(optimisation, freeze_initially=True).get_config()["frozen_steps"] == 0


def test_a_models_backbone_is_frozen_for_its_epochs(pixels):
    network = Backbone("MobileNet", weights="none", alpha=0.25, train_from=5, frozen_epochs=2, learning_rate_factor=1)
    design = Design(network=network, optimisation=Optimisation(optimizer="sgd", learning_rate=0.1, weight_decay=0.1))
    model = build_model(design)
    model.run_eagerly = True
    freeze_backbone_for(model, design, steps=1)
    kernel = next(v for v in model.trainable_variables if v.path == "conv_pw_13/kernel")
    before = kernel.numpy()
    moved = []
    for _ in range(3):
        model.fit(pixels, np.eye(7, dtype="float32")[:6], batch_size=6, verbose=0)
        moved.append(bool(np.any(kernel.numpy() != before)))
    assert moved == [False, False, True]


def test_momentum_works_with_a_reduced_backbone_rate():
    optimisation = Optimisation(optimizer="sgd", learning_rate=0.1, momentum=0.9)
    slow, _, fast = Variables().after(make_optimizer(optimisation, backbone_factor=0.5), 0.2, steps=3)
    assert 1 - slow == pytest.approx((1 - fast) / 2, rel=1e-4)


def test_gradients_are_clipped_by_value():
    made = make_optimizer(Optimisation(optimizer="sgd", learning_rate=0.5, clip_value=0.1), backbone_factor=0.5)
    assert Variables().after(made, 3.0) == pytest.approx([1 - 0.025, 1 - 0.025, 1 - 0.05])


@pytest.fixture(scope="module")
def finetuned():
    network = Backbone("MobileNet", weights="none", alpha=0.25, train_from=5, learning_rate_factor=0.01)
    optimisation = Optimisation(optimizer="sgd", learning_rate=0.1, weight_decay=0.1, clip_norm=1.0)
    return build_model(Design(network=network, optimisation=optimisation))


def test_fit_trains_a_backbone_at_its_reduced_rate(finetuned, pixels, tmp_path):
    labels = np.eye(7, dtype="float32")[:6]
    before = {v.path: v.numpy().copy() for v in finetuned.trainable_variables}
    finetuned.fit(pixels, labels, batch_size=6, verbose=0)
    moved = {v.path: np.abs(v.numpy() - before[v.path]).max() for v in finetuned.trainable_variables}
    assert 0 < moved["conv_pw_13/kernel"] < 1e-3 < moved["probabilities/kernel"]
    finetuned.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer).__name__ == "SelectiveSGD"
    assert loaded.optimizer.backbone_factor == 0.01
    assert len(loaded.trainable_variables) == len(finetuned.trainable_variables)
    loaded.run_eagerly = True  # tracing a second model does not pay for one step
    loaded.fit(pixels, labels, batch_size=6, verbose=0)
    finetuned.fit(pixels, labels, batch_size=6, verbose=0)
    np.testing.assert_allclose(
        loaded.get_layer("probabilities").get_weights()[1],
        finetuned.get_layer("probabilities").get_weights()[1],
        rtol=1e-4,
    )


def test_ema_decay_warms_up():
    """After t steps the EMA decay is (1 + t) / (10 + t), capped at the design's value."""
    optimizer = make_optimizer(Optimisation(optimizer="sgd", learning_rate=1.0, ema=0.3))
    weight = keras.Variable(np.zeros(1, "float32"), name="kernel")
    average, value = 0.0, 0.0
    for step in range(6):
        optimizer.apply([keras.ops.array([-1.0])], [weight])
        value += 1.0
        keep = min(0.3, (1 + step) / (10 + step)) if step else 0.0
        average = keep * average + (1 - keep) * value
        np.testing.assert_allclose(np.asarray(optimizer._model_variables_moving_average[0]), [average], rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_only_kernels_decay(optimizer):
    """Selected by Keras' variable names: biases and BN's scale and offset do not change at gradient 0."""
    names = ["kernel", "depthwise_kernel", "bias", "gamma", "beta"]
    variables = [keras.Variable(np.ones(1, "float32"), name=name) for name in names]
    made = make_optimizer(Optimisation(optimizer=optimizer, learning_rate=0.1, weight_decay=0.5))
    made.apply([keras.ops.zeros(1)] * len(names), variables)
    decayed = {v.name: float(np.asarray(v)[0]) for v in variables}
    assert decayed == pytest.approx({"kernel": 0.95, "depthwise_kernel": 0.95, "bias": 1, "gamma": 1, "beta": 1})
