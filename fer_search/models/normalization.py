"""Batch normalisation as one fused operation on TensorFlow.

Keras 3 composes the layer of a dozen elementwise operations, which TensorFlow runs one by one: on CPUs a network with
BN after each convolution trains 1.3 times slower in float32, and slower still in bfloat16.
"""

from __future__ import annotations

from typing import Any

import keras

MIN_FUSED_EPSILON = 1.001e-5  # lower bound of TensorFlow's fused operation
FAST_CHANNEL_MULTIPLE = 16  # on CPUs other channel counts are 15 times slower in bfloat16; float32 is not affected


@keras.saving.register_keras_serializable("fer_search")
class BatchNormalization(keras.layers.BatchNormalization):
    """``keras.layers.BatchNormalization`` with the same variables, names, configuration and results, but faster.

    On TensorFlow, inputs of shape (n, h, w, c) go through ``tf.compat.v1.nn.fused_batch_norm``; everything else, and
    every other backend, through Keras' own code. Weights are interchangeable with Keras' layer.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not self._can_fuse(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        channels = inputs.shape[-1]
        if channels % FAST_CHANNEL_MULTIPLE and not tf.config.list_physical_devices("GPU"):
            inputs = tf.cast(inputs, tf.float32)
        scale = tf.convert_to_tensor(self.gamma) if self.scale else tf.ones(channels)
        offset = tf.convert_to_tensor(self.beta) if self.center else tf.zeros(channels)
        use_batch_statistics = bool(training) and self.trainable
        mean, variance = (None, None) if use_batch_statistics else (self.moving_mean, self.moving_variance)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, scale, offset, mean, variance, epsilon=self.epsilon, is_training=use_batch_statistics
        )
        if use_batch_statistics:
            self._update_moving(mean, variance * _population_factor(tf.shape(inputs)))
        return tf.cast(outputs, self.compute_dtype)

    def _can_fuse(self, inputs: Any, mask: Any) -> bool:
        if keras.backend.backend() != "tensorflow" or mask is not None or self.synchronized or _on_several_devices():
            return False
        if getattr(self, "renorm", False) or self.epsilon < MIN_FUSED_EPSILON or self.variable_dtype != "float32":
            return False
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        return len(inputs.shape) == 4 and self.axis in (-1, 3) and dtype in ("float32", "bfloat16", "float16")

    def _moments(self, inputs: Any, mask: Any) -> Any:
        """Synchronise the statistics over all devices that share a batch; on JAX, XLA does so by itself."""
        if mask is not None or not _on_several_devices():
            return super()._moments(inputs, mask)
        return keras.ops.moments(inputs, axes=self._reduction_axes, synchronized=True)

    def _update_moving(self, mean: Any, variance: Any) -> None:
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))


def _on_several_devices() -> bool:
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return bool(tf.distribute.get_strategy().num_replicas_in_sync > 1)


def _population_factor(shape: Any) -> Any:
    """Return (m - 1) / m for m values per channel: TensorFlow returns sample variances, Keras keeps population ones."""
    import tensorflow as tf

    values = tf.cast(tf.reduce_prod(shape[:-1]), tf.float32)
    return (values - 1) / values
