"""Our BatchNormalization equals Keras' up to float32 rounding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fer_search.models.normalization import BatchNormalization

if keras.backend.backend() != "tensorflow":
    pytest.skip("the fused operation is TensorFlow's", allow_module_level=True)


def both(policy, channels, rng, **options):
    ours, theirs = BatchNormalization(dtype=policy, **options), keras.layers.BatchNormalization(dtype=policy, **options)
    for layer in (ours, theirs):
        layer.build((None, 6, 5, channels))
    theirs.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in theirs.get_weights()])
    ours.set_weights(theirs.get_weights())
    return ours, theirs


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("channels", [5, 16])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"scale": False, "center": False}, {"momentum": 0.5, "epsilon": 1e-4}])
def test_outputs_gradients_and_moving_averages_equal_keras(rng, policy, channels, training, options):
    x = tf.constant(rng.normal(3, 2, (8, 6, 5, channels)).astype("float32"))
    upstream = tf.constant(rng.normal(size=x.shape).astype("float32"))
    if policy == "mixed_bfloat16":
        x = tf.cast(x, tf.bfloat16)
    results = []
    for layer in both(policy, channels, rng, **options):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training)
            total = tf.reduce_sum(tf.cast(y, tf.float32) * upstream)
        gradients = tape.gradient(total, [x, *layer.trainable_weights])
        assert y.dtype == x.dtype
        results.append([np.asarray(tf.cast(v, tf.float32)) for v in (y, *gradients, *layer.get_weights())])
    tolerance = 1e-4 if policy == "float32" else 0.06  # bfloat16 has 8 bits, for values up to 8
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_a_frozen_layer_keeps_its_statistics(rng):
    ours, theirs = both("float32", 4, rng)
    x = rng.normal(size=(8, 6, 5, 4)).astype("float32")
    before = ours.get_weights()
    ours.trainable = theirs.trainable = False
    np.testing.assert_allclose(ours(x, training=True), theirs(x, training=True), atol=1e-5)
    for a, b in zip(before, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_shapes_use_keras_implementation(rng):
    layer, same = BatchNormalization(), keras.layers.BatchNormalization()
    x = rng.normal(size=(8, 3)).astype("float32")
    np.testing.assert_array_equal(layer(x, training=True), same(x, training=True))


def test_models_save_load_and_share_weights_with_keras_layer(tmp_path, rng):
    def build(kind):
        pixels = keras.Input((8, 8, 1))
        x = keras.layers.Conv2D(3, 3, name="conv")(pixels)
        return keras.Model(pixels, kind(name="bn")(x))

    ours, theirs = build(BatchNormalization), build(keras.layers.BatchNormalization)
    x = rng.normal(size=(16, 8, 8, 1)).astype("float32")
    ours(x, training=True)
    assert [v.path for v in ours.variables] == [v.path for v in theirs.variables]
    assert ours.layers[-1].get_config() == theirs.layers[-1].get_config()
    ours.save(tmp_path / "model.keras")
    ours.save_weights(tmp_path / "ours.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.layers[-1], BatchNormalization)
    expected = ours.predict(x, verbose=0)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)
    np.testing.assert_allclose(theirs.predict(x, verbose=0), expected, atol=1e-5)
    ours.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported.serve(x), expected, atol=1e-5)
