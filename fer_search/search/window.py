"""Which trial begins or is committed next, when several train at the same time.

A fixed window of ``ahead`` trials makes a parallel search reproducible: trial n is proposed from the results of trials
0 to n - ahead only, whatever the order in which they end, because

- a trial begins as soon as fewer than ``ahead`` are pending (begun and not committed) and the oracle has a proposal;
- otherwise the oldest pending trial is committed, once its result is known.

Results that arrive early are recorded on disk and wait for their turn. With ``ahead`` 1 this is a sequential search.
Without a fixed window (``ahead`` None) results are committed in the order in which they arrive, and a trial begins as
soon as it can be handed out: no worker ever waits, but the search cannot be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from keras_tuner.engine.trial import Trial

from fer_search.search.proposing.safe_oracle import SafeOracle


class Decision(NamedTuple):
    """What to do next: a trial "began", a trial can be "commit"-ted, "wait" for results, or all is "finished"."""

    action: Literal["began", "commit", "wait", "finished"]
    trial: Trial | None = None


class Window:
    """Decides what happens next.

    Args:
        oracle: Knows which trials are pending and which results are recorded.
        begin_next: Begins the next trial; None if there is none, for good or until another one is committed.
        ahead: Maximum number of pending trials; None to commit results as they come.
        capacity: Number of trials that can be handed out at the same time, which is the maximum without a fixed window.
    """

    def __init__(
        self, oracle: SafeOracle, begin_next: Callable[[], Trial | None], ahead: int | None, capacity: int
    ) -> None:
        self.oracle, self.begin_next, self.ahead, self.capacity = oracle, begin_next, ahead, capacity
        self.exhausted = False  # asked, and nothing was left to begin; asking again changes an oracle's random state

    def decide(self) -> Decision:
        """Begin a trial, if one can begin now; return what happened or has to."""
        pending = self.oracle.pending()
        ready = self._ready(pending)
        if self.ahead is None and ready is not None:
            return self._commit(ready)
        if not self.exhausted and len(pending) < (self.ahead or self.capacity):
            if (trial := self.begin_next()) is not None:
                return Decision("began", trial)
            self.exhausted = True
        if ready is not None:
            return self._commit(ready)
        return Decision("wait" if pending else "finished")

    def _ready(self, pending: list[Trial]) -> Trial | None:
        """Return the trial that may be committed now: the oldest, or any where results are taken as they come."""
        candidates = pending if self.ahead is None else pending[:1]
        return next((trial for trial in candidates if trial.trial_id in self.oracle.recorded), None)

    def _commit(self, trial: Trial) -> Decision:
        self.exhausted = False
        return Decision("commit", trial)
