"""Events of a search, for the reporters that show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from fer_search.runfolder.epochs import Row

Range = tuple[float, float]  # seconds, the low and the high end of what is likely


@dataclass(frozen=True)
class Best:
    """The best trial so far; ``accuracy`` is its validation accuracy, 0 to 1."""

    number: int
    name: str | None
    accuracy: float
    choices: dict[str, Any]


@dataclass(frozen=True)
class Note:
    """A line of text for the user."""

    text: str


@dataclass(frozen=True)
class Preparing:
    """Work that may take a while before the first trial: "Reading the data set"."""

    text: str


@dataclass(frozen=True)
class SearchBegun:
    """The search starts or resumes; ``done`` of ``trials`` trials ended in earlier starts, which took ``seconds``.

    ``trials`` is None, and ``epochs`` 0, if only the time budget ends the search.
    """

    folder: str
    tuner: str
    trials: int | None
    epochs: int
    done: int
    estimate: Range
    best: Best | None
    seconds: float = 0.0


@dataclass(frozen=True)
class TrialBegun:
    """A trial starts, or resumes after some epochs, whose validation accuracies are ``curve``."""

    number: int
    trials: int | None
    name: str | None
    choices: dict[str, Any]
    epochs: int
    parameters: int
    curve: tuple[float, ...]


@dataclass(frozen=True)
class Steps:
    """Progress within an epoch of a trial: ``done`` of ``images`` images, mean loss and accuracy so far."""

    epoch: int
    done: int
    images: int
    loss: float
    accuracy: float
    left: Range
    trial: int = 0


@dataclass(frozen=True)
class EpochEnded:
    """An epoch was trained, validated and recorded."""

    trial: int
    row: Row
    left: Range


@dataclass(frozen=True)
class TrialEnded:
    """A trial completed or failed; ``message`` says why it failed or ended early, "" for neither.

    ``accuracy`` is the best value of the objective, which ``metric`` names.
    """

    number: int
    name: str | None
    status: str
    accuracy: float | None
    best_epoch: int | None
    message: str
    best: Best | None
    failed: int
    metric: str = "validation accuracy"


@dataclass(frozen=True)
class SearchEnded:
    """The search ended; ``state`` is "finished", "interrupted", "out_of_time" or "failing"."""

    folder: str
    state: str
    text: str
    trials: int
    failed: int
    best: Best | None


Event = Note | Preparing | SearchBegun | TrialBegun | Steps | EpochEnded | TrialEnded | SearchEnded


class Reporter(Protocol):
    """Shows a search to its user."""

    def show(self, event: Event) -> None:
        """Handle an event; called from the training loop, so it must return quickly."""

    def close(self) -> None:
        """Stop showing, in whatever state the search is."""
