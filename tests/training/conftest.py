"""Makes the shared helpers importable and splits the CPU into two virtual devices."""

import sys
from pathlib import Path

import pytest

from fer_search import backend

sys.path.insert(0, str(Path(__file__).parent))

if backend.choose()[0] == "tensorflow":
    import tensorflow as tf

    # On JAX, XLA_FLAGS=--xla_force_host_platform_device_count=2 does the same (test_jax.py).
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)


@pytest.fixture(scope="session")
def data(faces):
    """150 toy faces for training and 80 for validation."""
    from fer_search.training.trial import TrialData

    train, test = faces.rows("train")[:150], faces.rows("test")[:80]
    return TrialData(faces.images[train], faces.labels[train], faces.images[test], faces.labels[test])
