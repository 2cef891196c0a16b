"""The space's baselines and references beside what was measured here."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from fer_search.report.load import RunInfo

TEST_IMAGES = 7178  # of FER2013, public and private: what the published accuracies are of


class PublishedRow(NamedTuple):
    """One baseline or reference.

    Attributes:
        name: of the baseline, or of the reference.
        published: accuracy published elsewhere, from 0 to 1; None for a baseline without one.
        trial: the row of ``load_trials`` that is this baseline; None where it was not run, or is no baseline.
    """

    name: str
    published: float | None
    trial: pd.Series | None

    @property
    def difference(self) -> float | None:
        """Measured here minus published."""
        if self.published is None or self.trial is None or pd.isna(self.trial["accuracy"]):
            return None
        return float(self.trial["accuracy"]) - self.published


def difference_interval(info: RunInfo, row: PublishedRow) -> tuple[float, float]:
    """Return the 95% interval of a difference, NaN where it is not known.

    Of ours from its validation images, of theirs from the report's 7,178 test images; of another seed it knows nothing.
    """
    if row.difference is None or row.trial is None or not info.validation:
        return float("nan"), float("nan")
    p, q = float(row.trial["accuracy"]), float(row.published or 0)
    half = 1.96 * math.sqrt(p * (1 - p) / info.validation + q * (1 - q) / TEST_IMAGES)
    return row.difference - half, row.difference + half


def published_rows(info: RunInfo, trials: pd.DataFrame) -> list[PublishedRow]:
    """Return a row for each baseline, then one for each other reference, the highest first.

    A reference whose name is a baseline's is that baseline's published accuracy.
    """
    own = {
        str(row["name"]): row for _, row in trials[trials["name"].notna()].iloc[::-1].iterrows()
    }  # the best one stays
    baselines = [PublishedRow(name, info.references.get(name), own.get(name)) for name in info.baselines]
    others = sorted(set(info.references) - set(info.baselines), key=lambda name: -info.references[name])
    return baselines + [PublishedRow(name, info.references[name], None) for name in others]


def not_alike(info: RunInfo) -> str:
    """Return in which ways the accuracies here are not like the published ones; "" where no such way is known."""
    ways = []
    if info.toy:
        ways.append("drawn faces instead of FER2013")
    if info.protocol != "report":
        ways.append("validated on other images than theirs (--protocol report does as the course report did)")
    if info.width != 1:
        ways.append(f"filter counts times {info.width:g}")
    if limit := info.settings.get("limit_train"):
        ways.append(f"trained on {limit:,} images")
    if epochs := info.tuner.get("max_epochs"):
        ways.append(f"at most {epochs} epochs")
    return "; ".join(ways)
