"""Numbers in words, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNITS = (("days", 86400.0, 1), ("h", 3600.0, 1), ("min", 60.0, 0))


def in_words(seconds: float) -> str:
    """Return a duration as people say it: "about 40 s", "about 6 min", "about 3.5 h", "about 2.1 days"."""
    name, size, digits = _unit(seconds)
    return f"about {seconds / size:.{digits}f} {name}"


def range_in_words(low: float, high: float) -> str:
    """Return a range of durations: "4 to 7 min", "50 s to 2 min"; one number where both are the same."""
    (low_name, size, digits), (name, high_size, high_digits) = _unit(low), _unit(high)
    most = f"{high / high_size:.{high_digits}f}"
    least = f"{low / size:.{digits}f}"
    if low_name != name:
        return f"{least} {low_name} to {most} {name}"
    return f"about {most} {name}" if least == most else f"{least} to {most} {name}"


def choices_in_words(choices: Mapping[str, Any]) -> str:
    """Return "filters 64, rate 0.0012"; the tuner's own values are left out."""
    parts = [f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in choices.items() if "tuner/" not in k]
    return ", ".join(parts) or "no choices"


def plural(number: int, noun: str) -> str:
    """1 trial, 1,200 trials."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _unit(seconds: float) -> tuple[str, float, int]:
    for name, size, digits in UNITS:
        if seconds >= 1.5 * size:
            return name, size, digits
    return "s", 1.0, 0
