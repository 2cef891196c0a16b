"""What a confirmation prints before it trains."""

from __future__ import annotations

from collections.abc import Sequence

from fer_search import backend
from fer_search.confirm.candidates import Candidate
from fer_search.report.formatting import plural
from fer_search.search.display.formatting import format_duration


def describe_start(candidates: Sequence[Candidate], seeds: int, trained: int, tested: int) -> str:
    """Return the line that says what is trained and tested, on what.

    Args:
        candidates: Designs to confirm.
        seeds: Trainings per candidate.
        trained: Number of images to train on.
        tested: Number of test images.
    """
    names = ", ".join(f"{one.title} ({plural(one.epochs, 'epoch')})" for one in candidates)
    each = " each" if len(candidates) > 1 else ""
    return (
        f"Confirming {names}: {plural(seeds, 'training')}{each} on {trained:,} images (training and validation images "
        f"of the search), then one evaluation on {tested:,} test images. {backend.device()}, {backend.start()} backend."
    )


def describe_duration(seconds: float, resumed: bool) -> str:
    """Return the line that says how long the trainings take, or the rest of them."""
    return (
        f"{'The rest' if resumed else 'This'} takes {format_duration(seconds)} if epochs take as long as in the search."
    )
