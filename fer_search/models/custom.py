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
from fer_search.errors import first_line

LOSSES = {
    keras.losses.CategoricalCrossentropy: keras.losses.CategoricalCrossentropy,
    keras.losses.SparseCategoricalCrossentropy: keras.losses.CategoricalCrossentropy,
    keras.losses.CategoricalFocalCrossentropy: keras.losses.CategoricalFocalCrossentropy,
}
SUPPORTED = (
    "use (sparse) categorical cross-entropy, categorical focal cross-entropy, or a keras.losses.Loss of one-hot labels"
)
DROPPED = ("fn", "ignore_class", "reduction", "dtype")  # fields of a loss that ours has no use for
# Operations before the first weights that show that a model takes raw pixels: layers, and arithmetic on the input.
OWN_SCALING = ("Rescaling", "Normalization", "Lambda", "Divide", "TrueDivide", "Multiply", "Subtract", "Add")


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

    Pixels are divided by 255 first unless the model scales them itself, before its first layer with weights or by a
    Rescaling or Normalization layer anywhere. Logits get a softmax.

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
    try:
        if isinstance(model, keras.Sequential):
            model.build((None, *spec.input_shape))
        x = pixels if _scales_pixels(model) else keras.layers.Rescaling(1 / 255, name="scale_to_1")(pixels)
        if isinstance(model, keras.Sequential):  # as a graph, which can be copied and exported
            outputs = keras.Model(model.inputs[0], model.outputs[0], name=model.name)(x)
        else:
            outputs = model(x)
    except ValueError as error:
        raise DesignError(f"build(hp): the model does not take {spec.input_shape}: {first_line(error)}") from error
    classes = len(spec.classes)
    if getattr(outputs, "shape", None) != (None, classes):
        shape = getattr(outputs, "shape", type(outputs).__name__)
        raise DesignError(f"build(hp): the model must return one value per class, (n, {classes}), not {shape}")
    if not from_logits:
        _check_probabilities(keras.Model(pixels, outputs), spec)
    activation = "softmax" if from_logits else "linear"
    outputs = keras.layers.Activation(activation, dtype="float32", name="class_probabilities")(outputs)
    wrapped = keras.Model(pixels, outputs, name="fer")
    optimizer, training = _optimizer(model.optimizer, loss)
    wrapped.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    _trainings[wrapped] = training
    return wrapped


def _check_probabilities(model: keras.Model, spec: DataSpec) -> None:
    """Check that a model's outputs are probabilities: by its last layer, or where that does not tell, by its outputs.

    Raises:
        DesignError: They are not.
    """
    last = model.outputs[0]._keras_history.operation
    while getattr(last, "outputs", None) and isinstance(last, keras.Model):
        last = last.outputs[0]._keras_history.operation
    if getattr(last, "activation", None) is keras.activations.softmax or type(last).__name__ == "Softmax":
        return
    images = np.random.default_rng(0).integers(0, 256, (4, *spec.input_shape)).astype(np.float32)
    values = keras.ops.convert_to_numpy(model(images, training=False)).astype(np.float64)
    if values.min() < 0 or not np.allclose(values.sum(axis=1), 1, atol=0.02):  # bfloat16 has three digits
        raise DesignError(
            "build(hp): the model's outputs are no probabilities; let it end with a softmax, as in "
            "Dense(classes, activation='softmax'), or give its loss from_logits=True"
        )


def _scales_pixels(model: keras.Model) -> bool:
    """Return whether a model takes raw pixels: whether it scales its input itself."""
    scaling, weights_met = set(OWN_SCALING), False
    for operation in _all_operations(model):
        if type(operation).__name__ in scaling:
            return True
        if not weights_met and getattr(operation, "weights", None):
            weights_met, scaling = True, set(OWN_SCALING[:2])  # a shortcut adds as well
    return False


def _all_operations(model: keras.Model) -> list[Any]:
    """Return a model's layers and, of a graph, its other operations in order, those of models inside it included."""
    own = getattr(model, "operations", None) or model.layers
    nested = [_all_operations(one) if isinstance(one, keras.Model) else [one] for one in own]
    return [operation for operations in nested for operation in operations]


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
        if given.get_config().get("from_logits"):
            raise DesignError(
                f"build(hp): the loss {type(given).__name__} with from_logits=True is not supported: let the model end "
                f"with a softmax, or {SUPPORTED}"
            )
        return given, False  # of one-hot labels and probabilities, by the user's word
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
    for excluded in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):  # not in the configuration
        if hasattr(given, excluded):
            setattr(optimizer, excluded, getattr(given, excluded))
    return optimizer, UserTraining(_unreduced(loss), first, schedule)


def _unreduced(loss: keras.losses.Loss) -> keras.losses.Loss:
    """Return a loss that gives one value per image."""
    try:
        return type(loss).from_config(loss.get_config() | {"reduction": "none"})
    except (TypeError, NotImplementedError) as error:
        raise DesignError(
            f"build(hp): the loss {type(loss).__name__} cannot be copied (get_config): {error}"
        ) from error
