"""Optimisation -> a Keras optimiser."""

from __future__ import annotations

from typing import Any

import keras

from fer_search.design import Backbone, Design, Optimisation

NOT_DECAYED = ("bias", "gamma", "beta")  # biases, and the scales and offsets of normalisation
OURS = ("channels", "head_", "probabilities")  # layers around a backbone, whose own layers are called otherwise


def make_optimizer(
    optimisation: Optimisation, backbone_factor: float = 1.0, waits: bool = False
) -> keras.optimizers.Optimizer:
    """Return the design's optimiser at its first learning rate.

    It is Keras' own class, or one of the classes below where weights are treated differently: where they decay (kernels
    alone do), are averaged, or where a backbone learns at a lower rate than what is around it.

    Args:
        optimisation: the design's.
        backbone_factor: the share of the learning rate at which all layers but those in OURS learn.
        waits: whether those are frozen for some steps first, see ``hold_backbone``.
    """
    name, options = optimisation.optimizer, _options(optimisation)
    kind: type = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW, "sgd": keras.optimizers.SGD}[name]
    if backbone_factor != 1 or waits or optimisation.weight_decay or optimisation.ema:
        kind = {"adam": SelectiveAdam, "adamw": SelectiveAdamW, "sgd": SelectiveSGD}[name]
        options["backbone_factor"] = backbone_factor
    return kind(float(optimisation.learning_rate), **options)  # Keras refuses whole numbers


def hold_backbone(model: keras.Model, design: Design, steps: int) -> None:
    """Freeze a compiled model's backbone for the design's first ``frozen_epochs``, of so many steps each.

    To be called before the first step is compiled.
    """
    if isinstance(design.network, Backbone) and design.network.frozen_epochs:
        model.optimizer.frozen_steps = design.network.frozen_epochs * steps


def _options(optimisation: Optimisation) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if optimisation.optimizer == "sgd":
        options |= {"momentum": float(optimisation.momentum), "nesterov": optimisation.momentum > 0}
    if optimisation.weight_decay or optimisation.optimizer == "adamw":  # Keras' AdamW would take 0.004 if not told
        options["weight_decay"] = float(optimisation.weight_decay)
    if optimisation.clip_norm:
        options["global_clipnorm"] = float(optimisation.clip_norm)
    if optimisation.clip_value:
        options["clipvalue"] = float(optimisation.clip_value)
    if optimisation.ema:
        options |= {"use_ema": True, "ema_momentum": float(optimisation.ema)}
    return options


class _Selective:
    """Mixed into an optimiser: biases and normalisation do not decay, and a backbone learns at a share of the rate.

    Averages of the weights warm up: after t steps they keep at most (1 + t) / (10 + t), as TensorFlow's
    ExponentialMovingAverage with num_updates. Keras' keep 0.999, say, from the second step on, which in a rung of a
    hundred steps predicts with weights that have hardly been trained.

    Args:
        backbone_factor: the share, for all variables but those of the layers in OURS; 1 if there is no backbone.
        frozen_steps: steps before a backbone learns at all.
    """

    def __init__(self, *args: Any, backbone_factor: float = 1.0, frozen_steps: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.backbone_factor, self.frozen_steps = backbone_factor, frozen_steps
        self.exclude_from_weight_decay(var_names=list(NOT_DECAYED))  # type: ignore[attr-defined]

    def build(self, variables: list[Any]) -> None:
        self._ours = tuple(v.path.startswith(OURS) for v in variables)
        super().build(variables)  # type: ignore[misc]

    def _is_ours(self, variable: Any) -> bool:
        return self._ours[self._get_variable_index(variable)]  # type: ignore[attr-defined]

    def _backbone_share(self) -> Any:
        """Return what a backbone's learning rate is multiplied by in this step."""
        if not self.frozen_steps:
            return self.backbone_factor
        return self.backbone_factor * keras.ops.cast(self.iterations >= self.frozen_steps, "float32")  # type: ignore[attr-defined]

    def rate_of(self, variable: Any, learning_rate: Any) -> Any:
        """Return the learning rate of a variable in this step."""
        return learning_rate if self._is_ours(variable) else learning_rate * self._backbone_share()

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super().update_step(gradient, variable, self.rate_of(variable, learning_rate))  # type: ignore[misc]

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Keras takes weight_decay * learning rate * weight away at once, so both are lowered here alike."""
        decay = self.weight_decay  # type: ignore[has-type]
        if decay is None or (isinstance(decay, float) and not decay):  # a tensor where a step takes it as an input
            return
        for ours, share in ((True, 1.0), (False, self._backbone_share())):
            self.weight_decay = decay * share
            super()._apply_weight_decay([v for v in variables if self._is_ours(v) == ours])  # type: ignore[misc]
        self.weight_decay = decay

    def _update_model_variables_moving_average(self, variables: list[Any]) -> None:
        share, steps = self.ema_momentum, keras.ops.cast(self.iterations, "float32")  # type: ignore[has-type, attr-defined]
        self.ema_momentum = keras.ops.minimum(share, (1 + steps) / (10 + steps))
        super()._update_model_variables_moving_average(variables)  # type: ignore[misc]
        self.ema_momentum = share

    def get_config(self) -> dict[str, Any]:
        ours = {"backbone_factor": self.backbone_factor, "frozen_steps": self.frozen_steps}
        return super().get_config() | ours  # type: ignore[misc]


@keras.saving.register_keras_serializable("fer_search")
class SelectiveAdam(_Selective, keras.optimizers.Adam):
    """Keras' Adam; see ``_Selective``."""


@keras.saving.register_keras_serializable("fer_search")
class SelectiveAdamW(_Selective, keras.optimizers.AdamW):
    """Keras' AdamW; see ``_Selective``."""


@keras.saving.register_keras_serializable("fer_search")
class SelectiveSGD(_Selective, keras.optimizers.SGD):
    """Keras' SGD; see ``_Selective``."""
