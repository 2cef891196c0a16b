"""Numbers and designs in words, for people."""

from __future__ import annotations

from typing import Any

import pandas as pd

from fer_search.report.load import CHOICE


def percent(value: float) -> str:
    """67.8%; a dash for none."""
    return "–" if pd.isna(value) else f"{100 * value:.1f}%"


def with_interval(row: pd.Series) -> str:
    """67.8% (66.7 to 68.9)."""
    if pd.isna(row["accuracy"]):
        return "–"
    return percent(row["accuracy"]) + ("" if pd.isna(row["low"]) else f" ({100 * row['low']:.1f} to {100 * row['high']:.1f})")


def count(value: Any) -> str:
    """11.5 M, 182 k, 96; a dash for none."""
    if pd.isna(value):
        return "–"
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def duration(seconds: float) -> str:
    """2.5 h, 3.4 min, 12 s; a dash for none."""
    if pd.isna(seconds):
        return "–"
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def label(name: str) -> str:
    """A choice's name as words: mixup_alpha -> mixup alpha."""
    return name.removeprefix(CHOICE).replace("_", " ")


def value(given: Any) -> str:
    """A choice's value; a dash where it was not active."""
    if given is None or (isinstance(given, float) and pd.isna(given)):
        return "–"
    return f"{given:.4g}" if isinstance(given, float) else str(given)


def design(row: pd.Series) -> str:
    """All active choices of a trial: "filters 64, downsample strided"."""
    return ", ".join(f"{label(c)} {value(row[c])}" for c in row.index if c.startswith(CHOICE) and value(row[c]) != "–")


def title(row: pd.Series) -> str:
    """Trial 3 (cutout_8)."""
    return f"Trial {row['trial']}" + (f" ({row['name']})" if row["name"] else "")
