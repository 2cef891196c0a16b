"""How many workers a user asks for, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WorkerRequest:
    """The options ``--workers``, ``--gpus-per-trial`` and ``--cluster``.

    Args:
        workers: Number of trials to train at the same time; None for "auto", chosen by measurement.
        gpus_per_trial: GPUs of each worker, may be a fraction; None for an equal share, at most 1.
        cluster: Address of a Ray cluster; None for this machine.
    """

    workers: int | None = 1
    gpus_per_trial: float | None = None
    cluster: str | None = None

    @property
    def local(self) -> bool:
        """Whether one worker on this machine is asked for, which is this process."""
        return self.workers == 1 and self.cluster is None
