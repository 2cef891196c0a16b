"""Designs that are too slow for this machine: left out before they are trained, by their estimated time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fer_search.search.display.formatting import format_exactly, format_range, plural
from fer_search.search.scheduling.speed import SPREAD, Speed
from fer_search.training.trial import TrialFailed


@dataclass(frozen=True)
class TimeLimits:
    """How long a design may take, and what is needed to estimate how long it takes.

    The estimate is made once, when the run starts, and kept in run.json: a resumed run leaves out the same designs.

    Args:
        speed: Time model of this machine; None if it was never measured, and nothing is left out then.
        images: Training images that take as long as an epoch, its validation included.
        max_seconds_per_epoch: Limit on the estimated seconds per epoch; None for no limit.
        time_budget: Seconds of the whole run; None for no limit.
    """

    speed: Speed | None
    images: float
    max_seconds_per_epoch: float | None = None
    time_budget: float | None = None

    def check(self, flops: float, epochs: int) -> None:
        """Raise ``TrialFailed`` if a design is too slow.

        Args:
            flops: Floating-point operations of a forward pass of one image, from ``training_flops``.
            epochs: Number of epochs that it is to be trained for.

        Raises:
            TrialFailed: An epoch takes longer than ``max_seconds_per_epoch``, or even at the lower end of the
                estimate, all epochs take longer than the whole run may.
        """
        if self.speed is None:
            return
        epoch = self.images * self.speed.image(flops)
        limit = self.max_seconds_per_epoch
        if limit is not None and epoch > limit:
            raise TrialFailed(f"an estimated {epoch:.3g} s per epoch, more than --max-seconds-per-epoch {limit:g}")
        whole = self.speed.trial + epochs * epoch
        lowest = SPREAD[0] * whole
        if self.time_budget is not None and lowest > self.time_budget:
            estimate = format_range(lowest, SPREAD[1] * whole)
            raise TrialFailed(
                f"{plural(epochs, 'epoch')} would take an estimated {estimate}, more than --time-budget "
                f"{format_exactly(self.time_budget)}"
            )


def speed_to_json(speed: Speed) -> dict[str, float]:
    """Return the content of run.json's "speed"."""
    return asdict(speed)


def speed_from_json(content: Mapping[str, Any] | None) -> Speed | None:
    """Return the time model in run.json; None for a run that recorded none."""
    return None if content is None else Speed(**{name: float(value) for name, value in content.items()})
