"""Tables of the benchmarks, and statistics over rounds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Spread(NamedTuple):
    """Median, minimum and maximum over rounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{number(self.median)} ({number(self.low)} to {number(self.high)})"


def spread(values: Sequence[float]) -> Spread:
    """Return the statistics over rounds; NaN if there are none."""
    if not values:
        return Spread(*[float("nan")] * 3)
    return Spread(statistics.median(values), min(values), max(values))


def ratios(of: Sequence[float], to: Sequence[float]) -> Spread:
    """Return the spread of ``of`` / ``to``, round by round."""
    return spread([a / b for a, b in zip(of, to, strict=True)])


@dataclass
class Table:
    """A text table with notes below it."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Return the table as GitHub Markdown with aligned columns."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[k]) for line in lines) for k in range(len(self.columns))]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        padded = [
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
            for line in (lines[0], rule, *lines[1:])
        ]
        text = "\n".join("| " + " | ".join(line) + " |" for line in padded)
        return "\n\n".join([f"**{self.title}**", text, *self.notes]) + "\n"


def number(value: float) -> str:
    """Format a number with three digits and thousands separators."""
    if value != value:
        return "-"
    digits = len(f"{abs(value):.0f}") if abs(value) >= 1 else 0
    if digits > 3:
        return f"{round(value, 3 - digits):,.0f}"
    return f"{value:.{3 - digits}f}" if digits else f"{value:.3g}"
