"""On JAX the tests of this folder call most functions compiled, as training does."""

import keras
import pytest


@pytest.fixture(scope="session")
def compiled():
    """Return a function that compiles another one on JAX, which otherwise compiles each operation for itself."""
    if keras.backend.backend() != "jax":
        return lambda function: function
    import jax

    return jax.jit
