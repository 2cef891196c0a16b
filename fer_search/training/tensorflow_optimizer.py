"""Fused TensorFlow kernels for Adam and SGD: one operation per variable.

Keras writes an optimiser step as two dozen operations per variable, including Adam's bias corrections. For a network of
80 variables that is half of the training graph's nodes, and so half of the tracing time of each trial. TensorFlow has
kernels for the same arithmetic, with and without XLA.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

import keras
import tensorflow as tf

from fer_search.models.optimizer import SelectiveAdam, SelectiveAdamW, SelectiveSGD

# Without their subclasses, which may have update rules of their own.
ADAM = (keras.optimizers.Adam, keras.optimizers.AdamW, SelectiveAdam, SelectiveAdamW)
SGD = (keras.optimizers.SGD, SelectiveSGD)


def use_fused_updates(optimizer: keras.optimizers.Optimizer) -> None:
    """Make a built Adam, AdamW or SGD update its variables with fused kernels; other optimisers are left unchanged.

    State, clipping, weight decay and EMA remain Keras'. Only for training on one device: ``tf.distribute`` must see
    each assignment.
    """
    fused: Callable[..., None] | None = None
    if type(optimizer) in ADAM and not optimizer.amsgrad:
        fused = _adam
    elif type(optimizer) in SGD:
        fused = _sgd
    if fused is not None:
        optimizer._backend_update_step = MethodType(fused, optimizer)


def _adam(self: Any, gradients: Sequence[tf.Tensor], variables: Sequence[Any], learning_rate: Any) -> None:
    step = tf.cast(self.iterations + 1, tf.float32)
    powers = [tf.pow(tf.cast(beta, tf.float32), step) for beta in (self.beta_1, self.beta_2)]
    for gradient, variable, rate in _with_rates(self, gradients, variables, learning_rate):
        index = self._get_variable_index(variable)
        slots = (variable, self._momentums[index], self._velocities[index])
        tf.raw_ops.ResourceApplyAdam(
            **dict(zip(("var", "m", "v"), (slot.value.handle for slot in slots), strict=True)),
            **dict(zip(("beta1_power", "beta2_power"), powers, strict=True)),
            lr=rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


def _sgd(self: Any, gradients: Sequence[tf.Tensor], variables: Sequence[Any], learning_rate: Any) -> None:
    for gradient, variable, rate in _with_rates(self, gradients, variables, learning_rate):
        handle = variable.value.handle
        if not self.momentums:
            tf.raw_ops.ResourceApplyGradientDescent(var=handle, alpha=rate, delta=gradient)
            continue
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=handle,
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=rate,
            grad=gradient,
            momentum=self.momentum,
            use_nesterov=self.nesterov,
        )


def _with_rates(optimizer: Any, gradients: Sequence[tf.Tensor], variables: Sequence[Any], learning_rate: Any) -> Any:
    """Yield gradient, variable and the variable's learning rate, both cast to the variable's dtype."""
    rate_of = getattr(optimizer, "rate_of", lambda variable, rate: rate)
    for gradient, variable in zip(gradients, variables, strict=True):
        rate = tf.cast(rate_of(variable, learning_rate), variable.dtype)
        yield tf.cast(gradient, variable.dtype), variable, rate
