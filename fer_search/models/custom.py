"""Networks that a space file writes itself: a function for the part before the head, or a whole ``build(hp)``."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner
import numpy as np

from fer_search.data.spec import DataSpec
from fer_search.design import Custom
from fer_search.design.checks import DesignError

LOSSES = {
    keras.losses.CategoricalCrossentropy: keras.losses.CategoricalCrossentropy,
    keras.losses.SparseCategoricalCrossentropy: keras.losses.CategoricalCrossentropy,
    keras.losses.CategoricalFocalCrossentropy: keras.losses.CategoricalFocalCrossentropy,
}
SUPPORTED = (
    "use (sparse) categorical cross-entropy, categorical focal cross-entropy, or a keras.losses.Loss of one-hot labels"
)
DROPPED = ("fn", "ignore_class", "reduction", "dtype")  # fields of a loss that ours has no use for
OWN_SCALING = ("Rescaling", "Normalization")  # layers that show that a model takes raw pixels


@dataclass(frozen=True, eq=False)
class UserTraining:
    """How a model that the user compiled is trained on our loop.

    Args:
        loss: Loss of one-hot labels and probabilities with reduction "none".
        learning_rate: Initial learning rate.
        schedule: Keras' LearningRateSchedule; None for a constant rate.
    """

    loss: keras.losses.Loss
    learning_rate: float
    schedule: keras.optimizers.schedules.LearningRateSchedule | None = None

    def rates(self, epoch: int, steps: int) -> np.ndarray:
        """Return the learning rate of each step of an epoch, counted from 1; float32 (steps,)."""
        if self.schedule is None:
            return np.full(steps, self.learning_rate, np.float32)
        first = (epoch - 1) * steps
        values = [keras.ops.convert_to_numpy(self.schedule(first + step)) for step in range(steps)]
        return np.asarray(values, np.float32).reshape(steps)


_trainings: weakref.WeakKeyDictionary[keras.Model, UserTraining] = weakref.WeakKeyDictionary()


def user_training(model: keras.Model) -> UserTraining | None:
    """Return how a model built by a user's ``build(hp)`` is trained; None for our own models."""
    return _trainings.get(model)


def apply_custom(x: keras.KerasTensor, network: Custom) -> keras.KerasTensor:
    """Apply a user's function to pixels scaled to 0-1.

    Raises:
        DesignError: The function returned something else than a Keras tensor.
    """
    features = network.resolve()(x, **network.values())
    if not isinstance(features, keras.KerasTensor):
        raise DesignError(f"{network.function}(x) must return a Keras tensor, not {type(features).__name__}")
    return features


def build_user_model(network: Custom, spec: DataSpec) -> keras.Model:
    """Call a space file's ``build(hp)``; return its model, taking raw pixels, with probabilities as output.

    Pixels are divided by 255 first unless the model has a layer that scales them itself. Logits get a softmax.

    Raises:
        DesignError: The model does not fit the data, is not compiled, or its loss is not supported.
    """
    hp = keras_tuner.HyperParameters()
    hp.values = network.values()
    model = network.resolve()(hp)
    if not isinstance(model, keras.Model):
        raise DesignError(f"build(hp) must return a compiled keras.Model, not {type(model).__name__}")
    if not model.compiled:
        raise DesignError("build(hp) must compile its model: model.compile(optimizer=..., loss=...)")
    loss, from_logits = _loss(model.loss)
    pixels = keras.Input(spec.input_shape, name="pixels")
    scaled = any(type(layer).__name__ in OWN_SCALING for layer in _all_layers(model))
    x = pixels if scaled else keras.layers.Rescaling(1 / 255, name="scale_to_1")(pixels)
    try:
        if isinstance(model, keras.Sequential):  # as a graph, which can be copied and exported
            model.build((None, *spec.input_shape))
            outputs = keras.Model(model.inputs[0], model.outputs[0], name=model.name)(x)
        else:
            outputs = model(x)
    except ValueError as error:
        raise DesignError(f"build(hp): the model does not take {spec.input_shape}: {error}") from error
    classes = len(spec.classes)
    if getattr(outputs, "shape", None) != (None, classes):
        shape = getattr(outputs, "shape", type(outputs).__name__)
        raise DesignError(f"build(hp): the model must return one value per class, (n, {classes}), not {shape}")
    activation = "softmax" if from_logits else "linear"
    outputs = keras.layers.Activation(activation, dtype="float32", name="class_probabilities")(outputs)
    wrapped = keras.Model(pixels, outputs, name="fer")
    optimizer, training = _optimizer(model.optimizer, loss)
    wrapped.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    _trainings[wrapped] = training
    return wrapped


def _all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    nested = [_all_layers(layer) if isinstance(layer, keras.Model) else [layer] for layer in model.layers]
    return [layer for layers in nested for layer in layers]


def _loss(given: Any) -> tuple[keras.losses.Loss, bool]:
    """Return a loss of one-hot labels and probabilities, and whether the model's outputs are logits."""
    if isinstance(given, str):
        given = keras.losses.get(given)
    if callable(given) and not isinstance(given, keras.losses.Loss):
        known = {
            keras.losses.categorical_crossentropy: keras.losses.CategoricalCrossentropy,
            keras.losses.sparse_categorical_crossentropy: keras.losses.CategoricalCrossentropy,
            keras.losses.categorical_focal_crossentropy: keras.losses.CategoricalFocalCrossentropy,
        }
        if given not in known:
            raise DesignError(f"build(hp): the loss {getattr(given, '__name__', given)} is not supported; {SUPPORTED}")
        return known[given](), False
    for kind, ours in LOSSES.items():
        if type(given) is kind:
            config = {k: v for k, v in given.get_config().items() if k not in DROPPED}
            from_logits = bool(config.pop("from_logits", False))
            return ours(**config), from_logits
    if isinstance(given, keras.losses.Loss):
        return given, False  # of one-hot labels, by the user's word
    raise DesignError(f"build(hp): the loss {given!r:.60} is not supported; {SUPPORTED}")


def _optimizer(
    given: keras.optimizers.Optimizer, loss: keras.losses.Loss
) -> tuple[keras.optimizers.Optimizer, UserTraining]:
    """Return a copy of the optimiser whose learning rate can be set, and how the model is trained."""
    if isinstance(given, keras.optimizers.LossScaleOptimizer):
        given = given.inner_optimizer
    config = given.get_config()
    schedule = given._learning_rate
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        schedule = None
    first = float(keras.ops.convert_to_numpy(schedule(0) if schedule else given.learning_rate))
    optimizer = type(given).from_config(config | {"learning_rate": first})
    return optimizer, UserTraining(_unreduced(loss), first, schedule)


def _unreduced(loss: keras.losses.Loss) -> keras.losses.Loss:
    """Return a loss that gives one value per image."""
    try:
        return type(loss).from_config(loss.get_config() | {"reduction": "none"})
    except (TypeError, NotImplementedError) as error:
        raise DesignError(
            f"build(hp): the loss {type(loss).__name__} cannot be copied (get_config): {error}"
        ) from error
