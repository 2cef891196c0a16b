"""Random number streams of a training, as a function of (seed, trial, epoch) alone.

An interrupted trial draws the same numbers in each epoch as an uninterrupted one, independent of the trials before it.

The arithmetic is reproducible bit for bit on one machine under any load, but not across numbers of CPU cores: both
backends split sums among threads, and the order of additions affects rounding (on a small network after ten steps the
loss differs in the seventh digit on JAX, in the sixth on TensorFlow).
"""

from __future__ import annotations

import numpy as np

# One stream per purpose, so that adding a purpose never shifts another one's numbers.
WEIGHTS, ORDER, AUGMENTATION, DROPOUT, VALIDATION, STATISTICS = range(6)


def generator(stream: int, seed: int, trial: int, epoch: int = 0) -> np.random.Generator:
    """Return the generator of one stream of an epoch (NumPy's counter-based Philox, seeded by SeedSequence)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, trial, epoch, stream])))


def integer_seed(stream: int, seed: int, trial: int, epoch: int = 0) -> int:
    """Return a seed from 0 to 2^31 - 1 for libraries that take an integer."""
    return int(generator(stream, seed, trial, epoch).integers(2**31))
