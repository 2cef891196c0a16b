"""Formatting of durations, choices and counts for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fer_search.tuner_entries import without_tuner_entries

UNITS = (("days", 86400.0, 1), ("h", 3600.0, 1), ("min", 60.0, 0))


def format_duration(seconds: float) -> str:
    """Return "about 40 s", "about 6 min", "about 3.5 h" or "about 2.1 days"."""
    name, size, digits = _unit(seconds)
    return f"about {seconds / size:.{digits}f} {name}"


def format_exactly(seconds: float) -> str:
    """Return "100 s", "45 min", "1.5 h" or "2 days": in the largest unit that needs at most one decimal."""
    for name, size, _ in UNITS:
        if seconds >= size and (10 * seconds / size).is_integer():
            return f"{seconds / size:g} {name}"
    return f"{seconds:g} s"


def format_range(low: float, high: float) -> str:
    """Return a range of durations in seconds as "4 to 7 min" or "50 s to 2 min"; one number if both ends agree."""
    (low_name, low_size, low_digits), (name, size, digits) = _unit(low), _unit(high)
    upper = f"{high / size:.{digits}f}"
    lower = f"{low / low_size:.{low_digits}f}"
    if low_name != name:
        return f"{lower} {low_name} to {upper} {name}"
    return f"about {upper} {name}" if lower == upper else f"{lower} to {upper} {name}"


def format_choices(choices: Mapping[str, Any]) -> str:
    """Return "filters 64, rate 0.0012"; the tuner's own entries are left out."""
    own = without_tuner_entries(choices)
    parts = [f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in own.items()]
    return ", ".join(parts) or "no choices"


def plural(number: int, noun: str) -> str:
    """Return "1 trial" or "1,200 trials"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _unit(seconds: float) -> tuple[str, float, int]:
    for name, size, digits in UNITS:
        if seconds >= 1.5 * size:
            return name, size, digits
    return "s", 1.0, 0
