"""Starting the Keras backend: quietly, and so that a run can be repeated bit for bit.

Nothing here is imported by the parts that need no Keras; ``start`` is called once, before the first import of keras.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import sys
import tempfile
from collections.abc import Iterator

from fer_search.errors import UserError

BACKENDS = ("tensorflow", "jax")


def start() -> str:
    """Import Keras with the backend that KERAS_BACKEND names (tensorflow by default) and return the backend's name.

    Raises:
        UserError: the backend is unknown or not installed.
    """
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend not in BACKENDS:
        raise UserError(f"KERAS_BACKEND={backend} is not supported; use {' or '.join(BACKENDS)}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with _native_stderr_held():
            import keras

            if backend == "tensorflow":
                _prepare_tensorflow()
    except ImportError as error:
        raise UserError(f"KERAS_BACKEND={backend}: {error}; install it with: pip install 'fer-search[jax]'") from error
    return str(keras.backend.backend())


def device() -> str:
    """Return a line that says what the backend computes on."""
    if os.environ.get("KERAS_BACKEND") == "jax":
        import jax

        found = jax.devices()[0]
        if found.platform != "cpu":
            return f"{found.device_kind} (JAX)"
    else:
        import tensorflow as tf

        if gpus := tf.config.list_physical_devices("GPU"):
            name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
            return f"{name} (TensorFlow)"
    return f"CPU, {os.cpu_count()} cores ({platform.machine()})"


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide what a run computes."""
    found = {"python": platform.python_version()}
    for name in ("fer-search", "keras", "keras-tuner", "tensorflow", "jax", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _prepare_tensorflow() -> None:
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    # With more, gradients are added up in the order in which they happen to arrive: two runs differ in the last bits.
    tf.config.threading.set_inter_op_parallelism_threads(1)


@contextlib.contextmanager
def _native_stderr_held() -> Iterator[None]:
    """Hold back what native libraries write to stderr while they load; show it if loading fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            held.seek(0)
            if os.environ.get("FER_SEARCH_DEBUG"):
                os.write(2, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
