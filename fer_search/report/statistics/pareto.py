"""The Pareto front of accuracy and cost."""

from __future__ import annotations

import numpy as np


def front(cost: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Return the indices of the points on the Pareto front, the cheapest first.

    No other point is at least as cheap and at least as accurate, and better in one of both; of equal ones, the first.

    Args:
        cost: (n,), lower is better; NaN for unknown, which is never on the front.
        accuracy: (n,), higher is better.
    """
    order = np.lexsort((-accuracy, cost))
    order = order[np.isfinite(cost[order]) & np.isfinite(accuracy[order])]
    best = np.maximum.accumulate(accuracy[order])
    above = np.concatenate([[True], best[1:] > best[:-1]]) if len(order) else np.array([], bool)
    front: np.ndarray = order[above]
    return front
