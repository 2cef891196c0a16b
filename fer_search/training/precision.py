"""Arithmetic precision of a trial."""

from __future__ import annotations

from fer_search import backend


def resolve_precision(precision: str) -> str:
    """Return "float32" or "bfloat16"; "auto" is bfloat16 on devices where it is faster."""
    if precision == "auto":
        return "bfloat16" if backend.gains_from_bfloat16() else "float32"
    return precision
