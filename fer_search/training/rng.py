"""All randomness of a training, as a function of (seed, trial, epoch) alone.

A trial that was interrupted draws in each epoch what it would have drawn without the interruption, and its draws do not
depend on which trials ran before it.

The arithmetic repeats bit for bit on one machine, whatever else it is doing, but not on another number of CPU cores:
both backends split sums among their threads, and adding up in another order rounds differently (measured on a small
network after ten steps: the loss differs in the seventh digit on JAX, in the sixth on TensorFlow).
"""

from __future__ import annotations

import numpy as np

# What is drawn from a stream; each has its own, so that adding one never shifts another.
WEIGHTS, ORDER, AUGMENTATION, DROPOUT, VALIDATION, STATISTICS = range(6)


def generator(stream: int, seed: int, trial: int, epoch: int = 0) -> np.random.Generator:
    """Return the generator of one stream of an epoch (NumPy's Philox, counter-based, seeded by SeedSequence)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, trial, epoch, stream])))


def whole_number(stream: int, seed: int, trial: int, epoch: int = 0) -> int:
    """Return a whole number from 0 to 2^31 - 1 for libraries that take one as their seed."""
    return int(generator(stream, seed, trial, epoch).integers(2**31))
