"""Training designs for equal times: how many epochs of one take as long as so many of the space's default design."""

from __future__ import annotations

from dataclasses import dataclass

from fer_search.search.scheduling.estimate import SampledDesign
from fer_search.search.scheduling.speed import Speed, training_flops


@dataclass(frozen=True)
class EpochPlan:
    """How many epochs each design is trained for.

    A tuner's budgets are numbers of epochs. With --equal-time they are those of the space's default design, and another
    design is trained for as many as are estimated to take as long, which depends on its FLOPs. The estimate is made
    once, when the run starts, and kept in run.json: a resumed run trains for the same numbers of epochs.

    Args:
        max_epochs: The tuner's largest budget.
        rungs: Number of rungs, each of which takes one epoch at least.
        speed: Time model of this machine; None to train all designs for equal numbers of epochs.
        default: The default design; None likewise.
    """

    max_epochs: int
    rungs: int = 1
    speed: Speed | None = None
    default: SampledDesign | None = None

    def full_epochs(self, flops: float) -> int:
        """Return the number of epochs of a design's longest training.

        Args:
            flops: Floating-point operations of a forward pass of one image, from ``training_flops``.
        """
        if self.speed is None or self.default is None:
            return self.max_epochs
        default_flops = training_flops(self.default.design, self.default.cost.flops)
        relative = self.speed.image(default_flops) / self.speed.image(flops)
        return max(round(self.max_epochs * relative), self.rungs)

    def epochs(self, budget: int, full: int, trained: int = 0, later: int = 0) -> int:
        """Return the epoch up to which a trial is trained.

        Args:
            budget: The tuner's budget.
            full: From ``full_epochs``.
            trained: Number of epochs of the trials that it continues.
            later: Number of rungs after this one.
        """
        if budget >= self.max_epochs:
            return full
        return min(max(round(budget * full / self.max_epochs), trained + 1), full - later)
