"""The space's baselines and references beside the accuracies of this run, and the baselines compared with each other.

A baseline may have been trained with several seeds (``--repeats``): its trials share its name, its accuracy is their
mean, and every interval includes the variation between seeds.
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
from fer_search.report.tables.designs import build_trainings
from fer_search.runfolder.run_json import RunInfo

TEST_IMAGES = 7178  # of FER2013, public and private, on which the published accuracies were measured
EPOCHS, BATCH = 50, 256  # of the course report
SMALL_EFFECT = 0.01  # a difference that is surely smaller than a point is called negligible
HEADS = (
    "baseline or reference",
    "published",
    "this run (95% interval)",
    "difference, points (95% interval)",
    "seeds",
    "epochs",
    "same protocol",
)
PAIR_HEADS = ("comparison", "seeds", "difference, points (95% interval)", "verdict")


class PublishedRow(NamedTuple):
    """One baseline or reference.

    Attributes:
        name: name of the baseline or reference.
        published: accuracy published elsewhere, from 0 to 1; None for a baseline without one.
        trials: trainings of this baseline, one a seed (``designs.build_trainings``), only those with a result where
            there are any; empty where it was not run, or is not a baseline.
        images: number of validation images; None where it is not known.
    """

    name: str
    published: float | None
    trials: pd.DataFrame
    images: int | None

    @property
    def accuracies(self) -> np.ndarray:
        """Accuracy of each seed, float (k,)."""
        return self.trials["accuracy"].dropna().to_numpy(float)

    @property
    def seeds(self) -> int:
        """Number of seeds with an accuracy."""
        return len(self.accuracies)

    @property
    def mean(self) -> tuple[float, float, float]:
        """Mean over the seeds and its 95% interval (``inference.repeated_interval``); NaN where it is not known."""
        return repeated_interval(self.accuracies, self.images) if self.seeds else (np.nan, np.nan, np.nan)

    @property
    def difference(self) -> tuple[float, float, float]:
        """Measured here minus published, and its 95% interval (``inference.replication_interval``); or NaN."""
        if self.published is None or not self.seeds:
            return np.nan, np.nan, np.nan
        return replication_interval(self.accuracies, self.images, self.published, TEST_IMAGES)

    @property
    def epochs(self) -> str:
        """Epochs that its trials trained: "50", "31 to 50"; "" for none."""
        known = self.trials["epochs"].dropna().astype(int)
        ends = dict.fromkeys((known.min(), known.max())) if len(known) else ()
        return " to ".join(map(str, ends))

    @property
    def budgets(self) -> list[int]:
        """Different lengths of its trainings: epochs, with --equal-time those of the default design."""
        return sorted(set(self.trials["budget" if "budget" in self.trials else "epochs"].dropna().astype(int)))


class BaselinePair(NamedTuple):
    """A baseline compared with the first one.

    Attributes:
        name, against: names of both.
        seeds, seeds_against: numbers of seeds of both.
        result: the difference, its interval and p-value.
        verdict: as text.
    """

    name: str
    against: str
    seeds: int
    seeds_against: int
    result: Difference
    verdict: str


def columns_shown(rows: Sequence[PublishedRow]) -> list[int]:
    """Return the indices of ``HEADS`` to show: all, or those that are not about published accuracies."""
    return [0, 1, 2, 3, 4, 5, 6] if any(row.published is not None for row in rows) else [0, 2, 4, 5]


def published_rows(info: RunInfo, trials: pd.DataFrame) -> list[PublishedRow]:
    """Return a row for each baseline, then one for each other reference, the highest first.

    A reference with the name of a baseline is that baseline's published accuracy.
    """
    none = trials.iloc[:0]
    trainings = build_trainings(trials, info.objective)
    named = {str(name): _with_results(group) for name, group in trainings.groupby("name", dropna=True)}
    baselines = [
        PublishedRow(name, info.references.get(name), named.get(name, none), info.validation) for name in info.baselines
    ]
    others = sorted(set(info.references) - set(info.baselines), key=lambda name: -info.references[name])
    return baselines + [PublishedRow(name, info.references[name], none, None) for name in others]


def _with_results(trainings: pd.DataFrame) -> pd.DataFrame:
    """Return the completed trainings, or all where there are none."""
    completed = trainings[(trainings["status"] == "completed") & trainings["accuracy"].notna()]
    return completed if len(completed) else trainings


def baseline_pairs(rows: Sequence[PublishedRow]) -> list[BaselinePair]:
    """Return each baseline minus the first one, over the seeds of both; empty below two baselines with a result.

    Args:
        rows: from ``published_rows``.
    """
    known = [row for row in rows if row.seeds]
    if len(known) < 2:
        return []
    first, others = known[0], known[1:]
    results = [difference_of_means(row.accuracies, first.accuracies, row.images) for row in others]
    unequal = [row.budgets != first.budgets for row in others]
    untested = [other or bool(np.isnan(result.p)) for other, result in zip(unequal, results, strict=True)]
    corrected = holm(np.array([1.0 if skip else result.p for skip, result in zip(untested, results, strict=True)]))
    return [
        BaselinePair(row.name, first.name, row.seeds, first.seeds, result, _verdict(result, p, longer))
        for row, result, p, longer in zip(others, results, corrected, unequal, strict=True)
    ]


def _verdict(result: Difference, corrected: float, unequal: bool) -> str:
    if unequal:
        return "not comparable: numbers of epochs differ"
    if result.dof == 0:
        return "inconclusive: one seed each"
    if corrected < 0.05:
        return "significantly better" if result.difference > 0 else "significantly worse"
    if max(-result.low, result.high) < SMALL_EFFECT:
        return "negligible, below one point"
    return "not significantly different"


def protocol_differences(info: RunInfo) -> str:
    """Return how this run's protocol differs from that of the published accuracies; "" where no difference is known."""
    settings, tuner = info.settings, info.tuner
    differences: list[str] = []
    if info.toy:
        differences.append("toy faces instead of FER2013")
    if info.protocol != "report":
        differences.append("different validation images (--protocol report follows the course report)")
    if info.width != 1:
        differences.append(f"width {info.width:g}")
    if settings.get("labels") not in (None, "", "fer2013"):
        differences.append(f"{settings['labels']} labels")
    if settings.get("drop_duplicates"):
        differences.append("without duplicate training images")
    if limit := settings.get("limit_train"):
        differences.append(f"{limit:,} training images")
    if (batch := settings.get("batch_size")) and batch != BATCH:
        differences.append(f"batch size {batch} instead of {BATCH}")
    if (epochs := tuner.get("max_epochs")) and epochs != EPOCHS:
        differences.append(f"at most {epochs} epochs instead of {EPOCHS}")
    return "; ".join(differences)


def published_line(row: PublishedRow, toy: bool, differences: str) -> tuple[str, ...]:
    """Return a row of the table as text.

    Args:
        row: from ``published_rows``.
        toy: whether the data are toy faces, which are not compared with real ones.
        differences: from ``protocol_differences``.
    """
    published = formatting.DASH if row.published is None else formatting.percent(row.published)
    if not row.seeds:
        status = "not run" if row.trials.empty else str(row.trials["status"].iloc[0])
        return row.name, published, status, *(formatting.DASH,) * 4
    mean, low, high = row.mean
    here = _with_ends(formatting.percent(mean), formatting.interval(low, high))
    comparable = formatting.DASH if row.published is None else "no, see above" if differences else "yes"
    difference = formatting.DASH
    if not toy and row.published is not None:
        above, low, high = row.difference
        difference = _with_ends(formatting.signed_points(above), formatting.points_interval(low, high))
    return row.name, published, here, difference, str(row.seeds), row.epochs or formatting.DASH, comparable


def pairs_note(pairs: list[BaselinePair]) -> str:
    """Return how the pairs were compared."""
    if not any(pair.result.dof for pair in pairs):
        return (
            "With one seed each, the interval covers the images only, and no difference is conclusive: see --repeats."
        )
    text = "Over the seeds of both (Student's t), on these images: the ranking's test also covers other images."
    if len(pairs) == 1:
        return text
    return f"{text} The verdicts are corrected for {len(pairs)} comparisons (Holm), the intervals are not."


def pair_line(pair: BaselinePair) -> tuple[str, str, str, str]:
    """Return a comparison of two baselines as text."""
    result = pair.result
    interval = formatting.points_interval(result.low, result.high)
    difference = _with_ends(formatting.signed_points(result.difference), interval)
    return f"{pair.name} minus {pair.against}", f"{pair.seeds} and {pair.seeds_against}", difference, pair.verdict


def _with_ends(number: str, ends: str) -> str:
    return number + (f" ({ends})" if ends else "")
