"""A problem that the doctor finds in a run folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """A problem of a run folder.

    Args:
        text: Description that names the file, and what to do if it cannot be repaired.
        repair: Repairs it; None if that would lose data.
    """

    text: str
    repair: Callable[[], None] | None = None
