"""What depends on the Keras backend in use: the training engine, and Keras' reset between trials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import keras

from fer_search.errors import UserError
from fer_search.training.engine import Engine


def make_engine(model: keras.Model, loss: keras.losses.Loss, micro_batches: int = 1) -> Engine:
    """Return the engine for the Keras backend in use; see ``Engine`` for the arguments.

    Raises:
        UserError: The backend is not supported.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        from fer_search.training.tensorflow_engine import TensorFlowEngine

        return TensorFlowEngine(model, loss, micro_batches=micro_batches)
    if backend == "jax":
        from fer_search.training.jax_engine import JaxEngine

        return JaxEngine(model, loss, micro_batches=micro_batches)
    raise UserError(f"KERAS_BACKEND={backend} is not supported; use tensorflow or jax")


def reset_keras() -> None:
    """Make Keras number its layers anew, so that their names do not depend on the models built before."""
    kept: AbstractContextManager[None] = nullcontext()
    if keras.backend.backend() == "tensorflow":
        from fer_search.training.tensorflow_programs import kept_kernels

        kept = kept_kernels()
    with kept:
        keras.utils.clear_session(free_memory=False)


@contextmanager
def device_scope(count: int) -> Iterator[None]:
    """Build and train models data-parallel on several devices, for the duration of the context.

    On JAX this is ``keras.distribution.DataParallel``, on TensorFlow ``tf.distribute.MirroredStrategy``; the engines
    document the effect on BN and dropout. Gradients are summed over the devices, so that a step equals that of the
    full batch. A batch that does not divide is padded with images at weight 0, which affect only BN.

    Args:
        count: Number of devices, taken in the backend's order; 1 changes nothing.
    """
    if count == 1:
        yield
        return
    if keras.backend.backend() == "jax":
        from fer_search.training import jax_engine as engine
    else:
        from fer_search.training import tensorflow_engine as engine  # type: ignore[no-redef]
    with engine.device_scope(count):
        yield
