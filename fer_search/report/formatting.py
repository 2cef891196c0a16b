"""Numbers and designs as text for readers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fer_search.report.tables.trials import CHOICE

DASH = "\N{EN DASH}"


def percent(value: float) -> str:
    """67.8%; a dash where it is unknown."""
    return DASH if pd.isna(value) else f"{100 * value:.1f}%"


def interval(low: float, high: float) -> str:
    """66.7 to 68.9; empty where it is unknown."""
    return "" if pd.isna(low) or pd.isna(high) else f"{100 * low:.1f} to {100 * high:.1f}"


def with_interval(row: pd.Series) -> str:
    """67.8% (66.7 to 68.9), of a row with accuracy, low and high."""
    ends = interval(row["low"], row["high"])
    return percent(row["accuracy"]) + (f" ({ends})" if ends else "")


def signed_points(difference: float) -> str:
    """+1.2 or -0.4 (with a real minus sign), percentage points; a dash where it is unknown."""
    return DASH if pd.isna(difference) else f"{round(100 * difference, 1) + 0.0:+.1f}".replace("-", "\N{MINUS SIGN}")


def points_interval(low: float, high: float) -> str:
    """-0.5 to +1.1 (with real minus signs), percentage points; empty where it is unknown."""
    return "" if pd.isna(low) or pd.isna(high) else f"{signed_points(low)} to {signed_points(high)}"


def signed(number: float) -> str:
    """+0.62 or -0.10 (with a real minus sign)."""
    return f"{number:+.2f}".replace("-", "\N{MINUS SIGN}")


def count(value: Any) -> str:
    """11.5 M, 182 k, 96; a dash where it is unknown."""
    if pd.isna(value):
        return DASH
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= 0.9995 * size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def gigaflops(value: Any) -> str:
    """8.02, in GFLOP; a dash where it is unknown."""
    return DASH if pd.isna(value) else f"{value / 1e9:.3g}"


def duration(seconds: Any) -> str:
    """2.5 h, 3.4 min, 12 s; a dash where it is unknown."""
    if pd.isna(seconds):
        return DASH
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def plural(number: int, noun: str) -> str:
    """1 trial, 1,200 trials."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def budget(epochs: int, equal_time: bool) -> str:
    """30 epochs, or with --equal-time: the time of 30 epochs."""
    return ("the time of " if equal_time else "") + plural(epochs, "epoch")


def label(name: str) -> str:
    """A choice's name for readers: mixup_alpha -> mixup alpha."""
    return name.removeprefix(CHOICE).replace("_", " ")


def value(content: Any) -> str:
    """A choice's value; a dash where it was not active."""
    if isinstance(content, (bool, np.bool_)):
        return "yes" if content else "no"
    if isinstance(content, (list, tuple)):
        return ", ".join(map(value, content))
    if pd.isna(content):
        return DASH
    return _plain(f"{content:.4g}") if isinstance(content, float) else str(content)


def short(number: float) -> str:
    """A number with two or three significant digits: 0.00032, 1e-5, 12, 3.5."""
    return _plain(f"{number:.2g}" if abs(number) < 10 else f"{number:.3g}")


def distinct(numbers: Sequence[float]) -> list[str]:
    """Numbers with two or three significant digits, or as many more as tell different ones apart."""
    for digits in range(2, 8):
        shown = [short(x) if digits == 2 else _plain(f"{x:.{digits}g}") for x in numbers]
        if len(set(shown)) == len(set(numbers)):
            break
    return shown


def _plain(number: str) -> str:
    """1e-5 for Python's 1e-05."""
    return re.sub(r"e([+-])0+", r"e\1", number).replace("e+", "e")


def choices(row: pd.Series) -> list[tuple[str, str]]:
    """All active choices of a trial and their values, as text."""
    return [(label(c), value(row[c])) for c in row.index if c.startswith(CHOICE) and not pd.isna(row[c])]


def design(row: pd.Series) -> str:
    """All active choices of a trial: "filters 64, downsample strided"."""
    return ", ".join(f"{name} {given}" for name, given in choices(row))


def trial(row: Mapping[Any, Any] | pd.Series) -> str:
    """3 (cutout_8): the trial's number and, for a baseline, its name."""
    number = str(int(row["trial"])) if str(row["trial"]).isdigit() else str(row["trial"])
    return number + ("" if pd.isna(row["name"]) else f" ({row['name']})")


def title(row: Mapping[Any, Any] | pd.Series) -> str:
    """Trial 3 (cutout_8)."""
    return f"trial {trial(row)}"


def rows(table: pd.DataFrame) -> Iterator[Any]:
    """The rows of a table, as tuples with its columns' names."""
    return iter(table.itertuples(index=False))


def reason(message: Any, longest: int = 200) -> str:
    """The reason of a failure in one line: of a traceback, the exception; at most ``longest`` characters."""
    lines = [] if pd.isna(message) else [line.strip() for line in str(message).splitlines() if line.strip()]
    if not lines:
        return "no reason recorded"
    traceback = any(line.startswith("Traceback (most recent call last)") for line in lines)
    line = lines[-1] if traceback else lines[0]
    return line if len(line) <= longest else line[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"
