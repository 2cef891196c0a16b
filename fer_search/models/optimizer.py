"""Optimisation -> Keras optimiser."""

from __future__ import annotations

from typing import Any

import keras

from fer_search.design import Backbone, Design, Optimisation

DECAYED = "kernel"  # end of the names of weights that decay: neither biases, nor scales and offsets of normalisations
NON_BACKBONE_PREFIXES = ("channels", "head_", "probabilities")  # layers around a backbone; no backbone uses these names


def make_optimizer(
    optimisation: Optimisation, backbone_factor: float = 1.0, freeze_initially: bool = False
) -> keras.optimizers.Optimizer:
    """Return the design's optimiser at its initial learning rate.

    This is Keras' own class, or a subclass below where weights are treated differently: weight decay (only kernels
    decay), EMA, or a backbone with a lower learning rate.

    Args:
        optimisation: The design's optimisation.
        backbone_factor: Learning-rate factor of all layers except those in NON_BACKBONE_PREFIXES.
        freeze_initially: Whether those layers are frozen for some steps first; see ``freeze_backbone_for``.
    """
    name, options = optimisation.optimizer, _options(optimisation)
    kind: type = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW, "sgd": keras.optimizers.SGD}[name]
    if backbone_factor != 1 or freeze_initially or optimisation.weight_decay or optimisation.ema:
        kind = {"adam": SelectiveAdam, "adamw": SelectiveAdamW, "sgd": SelectiveSGD}[name]
        options["backbone_factor"] = backbone_factor
    return kind(float(optimisation.learning_rate), **options)  # Keras rejects integers


def freeze_backbone_for(model: keras.Model, design: Design, steps: int) -> None:
    """Freeze a compiled model's backbone for the design's first ``frozen_epochs``.

    Must be called before the first step is compiled.

    Args:
        model: Compiled model.
        design: The model's design.
        steps: Number of steps per epoch.
    """
    if isinstance(design.network, Backbone) and design.network.frozen_epochs:
        model.optimizer.frozen_steps = design.network.frozen_epochs * steps


def _options(optimisation: Optimisation) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if optimisation.optimizer == "sgd":
        options |= {"momentum": float(optimisation.momentum), "nesterov": optimisation.momentum > 0}
    if optimisation.weight_decay or optimisation.optimizer == "adamw":  # Keras' AdamW defaults to 0.004
        options["weight_decay"] = float(optimisation.weight_decay)
    if optimisation.clip_norm:
        options["global_clipnorm"] = float(optimisation.clip_norm)
    if optimisation.clip_value:
        options["clipvalue"] = float(optimisation.clip_value)
    if optimisation.ema:
        options |= {"use_ema": True, "ema_momentum": float(optimisation.ema)}
    return options


class _Selective:
    """Optimiser mixin: no decay for biases and normalisation, and a lower learning rate for a backbone.

    EMA warms up: after t steps the momentum is at most (1 + t) / (10 + t), as in TensorFlow's ExponentialMovingAverage
    with num_updates. Keras uses the full momentum, say 0.999, from the second step on, so that a rung of a hundred
    steps would predict with almost untrained weights.

    Args:
        backbone_factor: Learning-rate factor of all variables except those of layers in NON_BACKBONE_PREFIXES; 1
            without a backbone.
        frozen_steps: Number of steps before a backbone is trained.
    """

    def __init__(self, *args: Any, backbone_factor: float = 1.0, frozen_steps: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.backbone_factor, self.frozen_steps = backbone_factor, frozen_steps

    def build(self, variables: list[Any]) -> None:
        self._outside_backbone = tuple(v.path.startswith(NON_BACKBONE_PREFIXES) for v in variables)
        self._decayed = tuple(v.path.endswith(DECAYED) for v in variables)
        super().build(variables)  # type: ignore[misc]

    def _use_weight_decay(self, variable: Any) -> bool:
        """Decide by the path, which is the same on every backend; Keras searches a name that is not."""
        return bool(self._decayed[self._get_variable_index(variable)])  # type: ignore[attr-defined]

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        """Clip the gradients; while the backbone is frozen, its norm does not shrink the head's."""
        clipped: list[Any] = super()._clip_gradients(grads)  # type: ignore[misc]
        if not self.frozen_steps or not self.global_clipnorm or len(grads) != len(self._outside_backbone):  # type: ignore[attr-defined]
            return clipped
        outside = list(zip(clipped, self._outside_backbone, strict=True))
        alone = iter(super()._clip_gradients([g for g, (_, head) in zip(grads, outside, strict=True) if head]))  # type: ignore[misc]
        frozen = self.iterations < self.frozen_steps  # type: ignore[attr-defined]
        return [keras.ops.where(frozen, next(alone), gradient) if head else gradient for gradient, head in outside]

    def _is_outside_backbone(self, variable: Any) -> bool:
        return bool(self._outside_backbone[self._get_variable_index(variable)])  # type: ignore[attr-defined]

    def _current_backbone_factor(self) -> Any:
        """Return the backbone's learning-rate factor in this step."""
        if not self.frozen_steps:
            return self.backbone_factor
        return self.backbone_factor * keras.ops.cast(self.iterations >= self.frozen_steps, "float32")  # type: ignore[attr-defined]

    def rate_of(self, variable: Any, learning_rate: Any) -> Any:
        """Return the learning rate of a variable in this step."""
        outside = self._is_outside_backbone(variable)
        return learning_rate if outside else learning_rate * self._current_backbone_factor()

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super().update_step(gradient, variable, self.rate_of(variable, learning_rate))  # type: ignore[misc]

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Scale the decay like the learning rate: Keras subtracts weight_decay * learning rate * weight separately."""
        decay = self.weight_decay  # type: ignore[has-type]
        if decay is None or (isinstance(decay, float) and not decay):  # a tensor while a step is traced
            return
        for outside, factor in ((True, 1.0), (False, self._current_backbone_factor())):
            self.weight_decay = decay * factor
            group = [v for v in variables if self._is_outside_backbone(v) == outside]
            super()._apply_weight_decay(group)  # type: ignore[misc]
        self.weight_decay = decay

    def _update_model_variables_moving_average(self, variables: list[Any]) -> None:
        momentum, steps = self.ema_momentum, keras.ops.cast(self.iterations, "float32")  # type: ignore[has-type, attr-defined]
        self.ema_momentum = keras.ops.minimum(momentum, (1 + steps) / (10 + steps))
        super()._update_model_variables_moving_average(variables)  # type: ignore[misc]
        self.ema_momentum = momentum

    def get_config(self) -> dict[str, Any]:
        own = {"backbone_factor": self.backbone_factor, "frozen_steps": self.frozen_steps}
        config: dict[str, Any] = super().get_config() | own  # type: ignore[misc]
        return config


@keras.saving.register_keras_serializable("fer_search")
class SelectiveAdam(_Selective, keras.optimizers.Adam):
    """Keras' Adam; see ``_Selective``."""


@keras.saving.register_keras_serializable("fer_search")
class SelectiveAdamW(_Selective, keras.optimizers.AdamW):
    """Keras' AdamW; see ``_Selective``."""


@keras.saving.register_keras_serializable("fer_search")
class SelectiveSGD(_Selective, keras.optimizers.SGD):
    """Keras' SGD; see ``_Selective``."""
