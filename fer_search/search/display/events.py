"""What happens in a search, told to whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from fer_search.runfolder.epochs import Row

Range = tuple[float, float]  # seconds, from the least to the most that is likely


@dataclass(frozen=True)
class Best:
    """The best trial so far."""

    number: int
    name: str | None
    accuracy: float
    choices: dict[str, Any]


@dataclass(frozen=True)
class Note:
    """A line for the user."""

    text: str


@dataclass(frozen=True)
class SearchBegun:
    """The search starts or goes on: ``done`` of ``trials`` trials have ended before."""

    folder: str
    tuner: str
    trials: int
    epochs: int
    done: int
    estimate: Range
    best: Best | None


@dataclass(frozen=True)
class TrialBegun:
    """A trial starts, or goes on after the epochs of ``curve``, their validation accuracies."""

    number: int
    trials: int
    name: str | None
    choices: dict[str, Any]
    epochs: int
    parameters: int
    curve: tuple[float, ...]


@dataclass(frozen=True)
class Steps:
    """``done`` of ``images`` images of an epoch are trained, with the mean loss and accuracy so far."""

    epoch: int
    done: int
    images: int
    loss: float
    accuracy: float
    left: Range


@dataclass(frozen=True)
class EpochEnded:
    """An epoch is trained, validated and recorded."""

    trial: int
    row: Row
    left: Range


@dataclass(frozen=True)
class TrialEnded:
    """A trial completed or failed; ``message`` is why it failed or ended early."""

    number: int
    name: str | None
    status: str
    accuracy: float | None
    best_epoch: int | None
    message: str
    best: Best | None
    failed: int


@dataclass(frozen=True)
class SearchEnded:
    """The search stops here; ``state`` is finished, interrupted, out_of_time or failing."""

    folder: str
    state: str
    text: str
    trials: int
    failed: int
    best: Best | None


Event = Note | SearchBegun | TrialBegun | Steps | EpochEnded | TrialEnded | SearchEnded


class View(Protocol):
    """Shows a search."""

    def show(self, event: Event) -> None:
        """Take notice of an event; called from the training loop, so it must be quick."""

    def close(self) -> None:
        """End the showing, whatever has happened."""
