"""Batch normalisation as one fused operation where TensorFlow has one.

Keras 3 composes the layer of a dozen elementwise operations, and TensorFlow runs them one by one: on CPUs a network
with a normalisation after each convolution trains 1.3 times slower in float32, and more in bfloat16.
"""

from __future__ import annotations

from typing import Any

import keras

SMALLEST_EPSILON = 1.001e-5  # of TensorFlow's fused operation
FAST_MULTIPLE = (
    16  # of channels; on CPUs any other number of them is 15 times slower in bfloat16, float32 does not care
)


@keras.saving.register_keras_serializable("fer_search")
class BatchNormalization(keras.layers.BatchNormalization):
    """``keras.layers.BatchNormalization`` with the same variables, names, configuration and results, faster.

    On TensorFlow, inputs of shape (n, h, w, c) go through ``tf.compat.v1.nn.fused_batch_norm``; all else, and every
    other backend, through Keras' own code. Weights can be exchanged with Keras' layer both ways.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not self._fusible(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        count = inputs.shape[-1]
        if count % FAST_MULTIPLE and not tf.config.list_physical_devices("GPU"):
            inputs = tf.cast(inputs, tf.float32)
        scale = tf.convert_to_tensor(self.gamma) if self.scale else tf.ones(count)
        offset = tf.convert_to_tensor(self.beta) if self.center else tf.zeros(count)
        learns = bool(training) and self.trainable
        mean, variance = (None, None) if learns else (self.moving_mean, self.moving_variance)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, scale, offset, mean, variance, epsilon=self.epsilon, is_training=learns
        )
        if learns:
            self._update_moving(mean, variance * _biased(tf.shape(inputs)))
        return tf.cast(outputs, self.compute_dtype)

    def _fusible(self, inputs: Any, mask: Any) -> bool:
        if keras.backend.backend() != "tensorflow" or mask is not None or self.synchronized or _on_several_devices():
            return False
        if getattr(self, "renorm", False) or self.epsilon < SMALLEST_EPSILON or self.variable_dtype != "float32":
            return False
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        return len(inputs.shape) == 4 and self.axis in (-1, 3) and dtype in ("float32", "bfloat16", "float16")

    def _moments(self, inputs: Any, mask: Any) -> Any:
        """Take the statistics over all devices that share a batch; on JAX, XLA does so by itself."""
        if mask is not None or not _on_several_devices():
            return super()._moments(inputs, mask)
        return keras.ops.moments(inputs, axes=self._reduction_axes, synchronized=True)

    def _update_moving(self, mean: Any, variance: Any) -> None:
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + now * (1.0 - self.momentum))


def _on_several_devices() -> bool:
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return bool(tf.distribute.get_strategy().num_replicas_in_sync > 1)


def _biased(shape: Any) -> Any:
    """Return (m - 1) / m for m values a channel: TensorFlow gives the sample variance, Keras keeps the population's."""
    import tensorflow as tf

    values = tf.cast(tf.reduce_prod(shape[:-1]), tf.float32)
    return (values - 1) / values
