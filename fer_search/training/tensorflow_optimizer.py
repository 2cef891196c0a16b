"""Adam and SGD as one operation a variable, where TensorFlow computes them.

Keras writes an optimiser's step as two dozen operations a variable, Adam's bias corrections for each. For a network
of 80 variables those are half of a training graph's nodes, and so half of what each trial waits for its tracing.
TensorFlow has kernels that do the same arithmetic, with and without XLA.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

import keras
import tensorflow as tf


def fuse(optimizer: keras.optimizers.Optimizer) -> None:
    """Make a built Adam, AdamW or SGD update its variables with fused kernels; leave any other as it is.

    State, clipping, weight decay and averages of the weights stay Keras'. To be called where one device trains:
    ``tf.distribute`` has to see each assignment.
    """
    fused: Callable[..., None] | None = None
    if isinstance(optimizer, keras.optimizers.Adam) and not optimizer.amsgrad:
        fused = _adam
    elif isinstance(optimizer, keras.optimizers.SGD):
        fused = _sgd
    if fused is not None:
        optimizer._backend_update_step = MethodType(fused, optimizer)


def _adam(self: Any, gradients: Sequence[tf.Tensor], variables: Sequence[Any], learning_rate: Any) -> None:
    step = tf.cast(self.iterations + 1, tf.float32)
    powers = [tf.pow(tf.cast(beta, tf.float32), step) for beta in (self.beta_1, self.beta_2)]
    for gradient, variable, rate in _each(self, gradients, variables, learning_rate):
        at = self._get_variable_index(variable)
        slots = (variable, self._momentums[at], self._velocities[at])
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
    for gradient, variable, rate in _each(self, gradients, variables, learning_rate):
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


def _each(optimizer: Any, gradients: Sequence[tf.Tensor], variables: Sequence[Any], learning_rate: Any) -> Any:
    """Give each variable with its gradient and its own learning rate, both in its dtype, float32."""
    rate_of = getattr(optimizer, "rate_of", lambda variable, rate: rate)
    for gradient, variable in zip(gradients, variables, strict=True):
        rate = tf.cast(rate_of(variable, learning_rate), variable.dtype)
        yield tf.cast(gradient, variable.dtype), variable, rate
