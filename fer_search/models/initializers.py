"""Weight initialisation on the host with NumPy.

Keras' initialisers draw with the backend's random functions, and JAX compiles one for each shape: on a CPU that takes
longer than everything else in building a network (17 kernel shapes in Figure 1, 0.4 s each). NumPy takes milliseconds,
and a seed gives the same weights on every backend.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, TypeAlias

import keras
import numpy as np
from keras.src.initializers import random_initializers  # the module in which Keras' initialisers look up ``random``

Shape = Sequence[int]
Seed: TypeAlias = "int | keras.random.SeedGenerator | None"
TRUNCATION = 2.0  # standard deviations, as in Keras' truncated normal distribution


@contextmanager
def numpy_initializers() -> Iterator[None]:
    """Make Keras' initialisers draw with NumPy for the duration of the context.

    Distributions and seeds remain Keras': an initialiser without a seed takes one from Python's ``random``, so
    ``random.seed`` or ``keras.utils.set_random_seed`` determines it.
    """
    before = random_initializers.random
    replacements = {"uniform": _uniform, "normal": _normal, "truncated_normal": _truncated_normal}
    random_initializers.random = SimpleNamespace(**vars(before) | replacements)
    try:
        yield
    finally:
        random_initializers.random = before


def _generator(seed: Seed) -> np.random.Generator:
    if isinstance(seed, keras.random.SeedGenerator):
        return np.random.default_rng(keras.ops.convert_to_numpy(seed.next()))
    return np.random.default_rng(seed)


def _uniform(
    shape: Shape, minval: float = 0.0, maxval: float = 1.0, dtype: str | None = None, seed: Seed = None
) -> Any:
    drawn = _generator(seed).random(shape, np.float32)
    return keras.ops.convert_to_tensor(minval + (maxval - minval) * drawn, dtype)


def _normal(shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: str | None = None, seed: Seed = None) -> Any:
    drawn = _generator(seed).standard_normal(shape, np.float32)
    return keras.ops.convert_to_tensor(mean + stddev * drawn, dtype)


def _truncated_normal(
    shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: str | None = None, seed: Seed = None
) -> Any:
    rng = _generator(seed)
    drawn = rng.standard_normal(shape, np.float32)
    while (outside := np.abs(drawn) > TRUNCATION).any():
        drawn[outside] = rng.standard_normal(outside.sum(), np.float32)
    return keras.ops.convert_to_tensor(mean + stddev * drawn, dtype)
