"""The space's baselines and references beside what was measured here, and the baselines beside each other.

A baseline may have been trained several times with other seeds (``--repeats``): its trials share its name, its accuracy
is their mean, and every interval holds what another seed would change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from fer_search.report import formatting
from fer_search.report.statistics.inference import (
    Difference,
    difference_of_means,
    holm,
    repeated_interval,
    replication_interval,
)
from fer_search.runfolder.run_json import RunInfo

TEST_IMAGES = 7178  # of FER2013, public and private: what the published accuracies are of
EPOCHS, BATCH = 50, 256  # the course report's
LITTLE = 0.01  # a difference that is surely smaller than a point is called none
HEADS = (
    "baseline or reference",
    "published",
    "here (95% interval)",
    "difference, points (95% interval)",
    "seeds",
    "epochs",
    "same protocol",
)
PAIR_HEADS = ("what", "seeds", "difference, points (95% interval)", "verdict")


class PublishedRow(NamedTuple):
    """One baseline or reference.

    Attributes:
        name: of the baseline, or of the reference.
        published: accuracy published elsewhere, from 0 to 1; None for a baseline without one.
        trials: the rows of ``load_trials`` that are this baseline, one a seed, those with a result alone where there
            are some; empty where it was not run, or is no baseline.
        images: validation images; None where their number is not known.
    """

    name: str
    published: float | None
    trials: pd.DataFrame
    images: int | None

    @property
    def accuracies(self) -> np.ndarray:
        """The accuracy of each seed, (k,)."""
        return self.trials["accuracy"].dropna().to_numpy(float)

    @property
    def seeds(self) -> int:
        """How many seeds have an accuracy."""
        return len(self.accuracies)

    @property
    def mean(self) -> tuple[float, float, float]:
        """Mean over the seeds and its 95% interval (``statistics.repeated_interval``); NaN where it is not known."""
        return repeated_interval(self.accuracies, self.images) if self.seeds else (np.nan, np.nan, np.nan)

    @property
    def difference(self) -> tuple[float, float, float]:
        """Measured here minus published, and its 95% interval (``statistics.replication_interval``); NaN for none."""
        if self.published is None or not self.seeds:
            return np.nan, np.nan, np.nan
        return replication_interval(self.accuracies, self.images, self.published, TEST_IMAGES)

    @property
    def epochs(self) -> str:
        """The epochs that its trials trained: "50", "31 to 50"; "" for none."""
        known = self.trials["epochs"].dropna().astype(int)
        ends = dict.fromkeys((known.min(), known.max())) if len(known) else ()
        return " to ".join(map(str, ends))


class BaselinePair(NamedTuple):
    """A baseline against the first one.

    Attributes:
        name, against: of both.
        seeds, seeds_against: of both.
        found: the difference, its interval and p-value.
        verdict: in words.
    """

    name: str
    against: str
    seeds: int
    seeds_against: int
    found: Difference
    verdict: str


def columns_shown(rows: Sequence[PublishedRow]) -> list[int]:
    """Return which of ``HEADS`` say something: all, or those that are not about what is published."""
    return [0, 1, 2, 3, 4, 5, 6] if any(row.published is not None for row in rows) else [0, 2, 4, 5]


def published_rows(info: RunInfo, trials: pd.DataFrame) -> list[PublishedRow]:
    """Return a row for each baseline, then one for each other reference, the highest first.

    A reference whose name is a baseline's is that baseline's published accuracy.
    """
    none = trials.iloc[:0]
    named = {str(name): _with_results(group) for name, group in trials.groupby("name", dropna=True)}
    baselines = [
        PublishedRow(name, info.references.get(name), named.get(name, none), info.validation) for name in info.baselines
    ]
    others = sorted(set(info.references) - set(info.baselines), key=lambda name: -info.references[name])
    return baselines + [PublishedRow(name, info.references[name], none, None) for name in others]


def _with_results(trials: pd.DataFrame) -> pd.DataFrame:
    """Return one trial a seed: of one that Hyperband went on from, the last; completed ones where there are some."""
    ends = trials[trials["went_on_as"].isna()]
    completed = ends[(ends["status"] == "completed") & ends["accuracy"].notna()]
    return completed if len(completed) else ends


def baseline_pairs(rows: Sequence[PublishedRow]) -> list[BaselinePair]:
    """Return each baseline minus the first one, over the seeds of both; empty below two baselines with a result.

    Args:
        rows: from ``published_rows``.
    """
    known = [row for row in rows if row.seeds]
    if len(known) < 2:
        return []
    first, others = known[0], known[1:]
    found = [difference_of_means(row.accuracies, first.accuracies, row.images) for row in others]
    corrected = holm(np.array([1.0 if one.p != one.p else one.p for one in found]))
    return [
        BaselinePair(row.name, first.name, row.seeds, first.seeds, one, _verdict(one, p))
        for row, one, p in zip(others, found, corrected, strict=True)
    ]


def _verdict(found: Difference, corrected: float) -> str:
    if found.dof == 0:
        return "one seed each: cannot be told"
    better = "better" if found.difference > 0 else "worse"
    if corrected < 0.05:
        return better
    if found.p < 0.05:
        return f"{better} perhaps, or luck among so many comparisons"
    if max(-found.low, found.high) < LITTLE:
        return "no difference of a point or more"
    return "too few seeds to tell"


def protocol_differences(info: RunInfo) -> str:
    """Return in which ways the accuracies here are not like the published ones; "" where no such way is known."""
    settings, tuner = info.settings, info.tuner
    ways = []
    if info.toy:
        ways.append("drawn faces instead of FER2013")
    if info.protocol != "report":
        ways.append("validated on other images than theirs (--protocol report does as the course report did)")
    if info.width != 1:
        ways.append(f"filter counts times {info.width:g}")
    if settings.get("labels") not in (None, "", "fer2013"):
        ways.append(f"labels of {settings['labels']}")
    if settings.get("drop_duplicates"):
        ways.append("without repeated training images")
    if limit := settings.get("limit_train"):
        ways.append(f"trained on {limit:,} images")
    if (batch := settings.get("batch_size")) and batch != BATCH:
        ways.append(f"batches of {batch} instead of {BATCH}")
    if (epochs := tuner.get("max_epochs")) and epochs != EPOCHS:
        ways.append(f"at most {epochs} epochs instead of {EPOCHS}")
    return "; ".join(ways)


def published_line(row: PublishedRow, toy: bool, ways: str) -> tuple[str, ...]:
    """Return a row of the table, in words.

    Args:
        row: from ``published_rows``.
        toy: whether the faces were drawn, which are not compared with real ones.
        ways: from ``protocol_differences``.
    """
    published = formatting.NONE if row.published is None else formatting.percent(row.published)
    if not row.seeds:
        status = "not run" if row.trials.empty else str(row.trials["status"].iloc[0])
        return row.name, published, status, *(formatting.NONE,) * 4
    mean, low, high = row.mean
    here = _with_ends(formatting.percent(mean), formatting.interval(low, high))
    alike = formatting.NONE if row.published is None else "no, see above" if ways else "yes"
    difference = formatting.NONE
    if not toy and row.published is not None:
        above, low, high = row.difference
        difference = _with_ends(formatting.points(above), formatting.points_interval(low, high))
    return row.name, published, here, difference, str(row.seeds), row.epochs or formatting.NONE, alike


def pair_line(pair: BaselinePair) -> tuple[str, str, str, str]:
    """Return a comparison of two baselines, in words."""
    found = pair.found
    difference = _with_ends(formatting.points(found.difference), formatting.points_interval(found.low, found.high))
    return f"{pair.name} minus {pair.against}", f"{pair.seeds} and {pair.seeds_against}", difference, pair.verdict


def _with_ends(number: str, ends: str) -> str:
    return number + (f" ({ends})" if ends else "")
