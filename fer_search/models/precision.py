"""Keras dtype policy for building layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


@contextmanager
def dtype_policy(precision: str) -> Iterator[None]:
    """Build layers, for the duration of the context, with float32 weights and the given compute precision.

    Args:
        precision: "float32", "bfloat16", or "auto", which leaves Keras' current policy.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES.get(precision, before))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
