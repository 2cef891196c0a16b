"""The precision of a trial's arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from fer_search import backend

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}  # as Keras calls them


def resolve(precision: str) -> str:
    """Return "float32" or "bfloat16"; "auto" is bfloat16 where this device gains from it."""
    if precision == "auto":
        return "bfloat16" if backend.gains_from_bfloat16() else "float32"
    return precision


@contextmanager
def dtype_policy(precision: str) -> Iterator[None]:
    """Build layers, for as long as this lasts, for a precision: float32 weights, arithmetic as ``resolve`` says."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[resolve(precision)])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
