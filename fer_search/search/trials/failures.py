"""Why a trial failed, as one line for the user."""

from __future__ import annotations

from pathlib import Path

from fer_search.errors import EXIT_RUN_FOLDER, UserError, first_line
from fer_search.files import describe_storage_failure, storage_failed
from fer_search.training.trial import TrialFailed

OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "ResourceExhausted", "OOM when allocating", "out of memory", "Out of memory")


def is_folder_fault(error: BaseException) -> bool:
    """Return whether an error is trouble with the run folder's files or their disk, and no result of a trial."""
    return storage_failed(error) or (isinstance(error, UserError) and error.exit_code == EXIT_RUN_FOLDER)


def describe_folder_fault(error: BaseException, run: Path) -> str:
    """Return a line for the user about an error of which ``is_folder_fault`` is true."""
    return str(error) if isinstance(error, UserError) else describe_storage_failure(error, run)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the device or the host ran out of memory, on any backend."""
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    return any(phrase in str(error) for phrase in OUT_OF_MEMORY)


def reason(error: BaseException) -> str:
    """Return an error as a single line of at most 500 characters."""
    line = first_line(error)
    if isinstance(error, (TrialFailed, UserError)):
        return line[:500]
    text = f"{type(error).__name__}: {line}"
    return (f"out of memory ({text})" if out_of_memory(error) else text)[:500]
