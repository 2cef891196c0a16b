"""Why a trial failed, as one line for the user."""

from __future__ import annotations

from fer_search.errors import UserError
from fer_search.training.trial import TrialFailed

OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "ResourceExhausted", "OOM when allocating", "out of memory", "Out of memory")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the device or the host ran out of memory, on any backend."""
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    return any(phrase in str(error) for phrase in OUT_OF_MEMORY)


def reason(error: BaseException) -> str:
    """Return an error as a single line of at most 500 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    if isinstance(error, (TrialFailed, UserError)):
        return lines[0][:500]
    text = f"{type(error).__name__}: {lines[0]}"
    return (f"out of memory ({text})" if out_of_memory(error) else text)[:500]
