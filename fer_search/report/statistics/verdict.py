"""What a run found, in a few sentences."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from fer_search.report import formatting
from fer_search.report.statistics.budgets import of_design
from fer_search.report.statistics.inference import repeated_interval, selection_bias
from fer_search.report.statistics.published import protocol_differences
from fer_search.report.tables.trials import CHOICE
from fer_search.runfolder.run_json import RunInfo

CONFIRM = (
    " fer-search confirm trains the best ones again with other seeds, and tests them once on images that chose nothing."
)


class Verdict(NamedTuple):
    """The verdict in plain text: one sentence that says it, and the sentences that qualify it."""

    headline: str
    details: list[str]


def verdict(info: RunInfo, trials: pd.DataFrame, tested: str = "") -> Verdict:
    """Return what a run found.

    Args:
        info: from ``load_run``.
        trials: from ``load_trials``.
        tested: what ``fer-search confirm`` found, in a sentence.
    """
    scored = completed(trials)
    if trials.empty:
        return Verdict("No trial yet: the search has just begun, or was stopped before its first trial.", [])
    if scored.empty:
        return Verdict(_without_result(trials), _state(info))
    best = scored.iloc[0]
    if pd.isna(best["accuracy"]):
        goal = "No accuracy was recorded; trials are ranked by the tuner's own score."
        return Verdict(f"Best: {formatting.title(best)}, score {best['score']:.4g}.", [goal, *_state(info)])
    ends = formatting.interval(best["low"], best["high"])
    sure = f" (95% interval {ends})" if ends else ""
    headline = f"Best: {formatting.title(best)}, validation accuracy {formatting.percent(best['accuracy'])}{sure}."
    details = [_equals(info, scored), *_against_published(info, float(best["accuracy"])), *_optimism(info, scored)]
    details[1:1] = _repeated(info, scored)
    if tested:
        details = [tested, *(line.removesuffix(CONFIRM) for line in details)]
    return Verdict(headline, [*_state(info), *details])


def completed(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that completed with a result, best first."""
    return trials[(trials["status"] == "completed") & (trials["accuracy"].notna() | trials["score"].notna())]


def _without_result(trials: pd.DataFrame) -> str:
    failed = int((trials["status"] == "failed").sum())
    if failed == len(trials):
        return (
            f"No result: {'the only trial' if failed == 1 else f'all {failed} trials'} failed, for the reasons below."
        )
    return "No trial has completed yet."


def _state(info: RunInfo) -> list[str]:
    return {
        "running": ["The search has not ended: this is of the trials so far."],
        "interrupted": ["The search was interrupted: this is of the trials so far; the same command goes on."],
    }.get(info.state, [])


def _equals(info: RunInfo, scored: pd.DataFrame) -> str:
    if len(scored) == 1:
        return "It is the only trial with a result: there is nothing to compare it with yet."
    if not info.validation:
        return "How many images it was validated on is not recorded, so how sure the ranking is cannot be said."
    shorter = int((scored["epochs"] < scored["epochs"].iloc[0]).fillna(False).sum())
    fewer = f" Of the others, {shorter} trained for fewer epochs." if shorter else ""
    equals = int(scored["indistinguishable_from_best"].sum()) - 1
    with_images = f"with {info.validation:,} validation images"
    if equals == 0:
        return f"It stands apart from the other {formatting.plural(len(scored) - 1, 'trial')} {with_images}, at 95%.{fewer}"
    if equals == len(scored) - 1:
        which = "The other trial cannot" if equals == 1 else f"None of the other {equals} trials can"
    else:
        which = f"{equals} of the other {len(scored) - 1} trials cannot"
    return f"{which} be told apart from it {with_images}, at 95%.{fewer}"


def _against_published(info: RunInfo, best: float) -> list[str]:
    if not info.references:
        return []
    if info.toy:
        return ["The published accuracies are of real faces; they are not compared with drawn ones."]
    name = max(info.references, key=lambda one: info.references[one])
    above = best - info.references[name]
    side = f"{100 * abs(above):.1f} points {'above' if above >= 0 else 'below'}"
    text = f"That is {side} the highest accuracy that the space quotes ({name}, {formatting.percent(info.references[name])})"
    ways = protocol_differences(info)
    return [text + (f", not like for like: {ways}." if ways else ".")]


def _repeated(info: RunInfo, scored: pd.DataFrame) -> list[str]:
    """The mean over the seeds of the best design, where it was trained more than once."""
    choices = {str(column): value for column, value in scored.iloc[0].items() if str(column).startswith(CHOICE)}
    same = of_design(scored[scored["epochs"].eq(scored["epochs"].iloc[0]).fillna(False)], choices)
    if not choices or len(same) < 2:
        return []
    mean, low, high = repeated_interval(same["accuracy"].to_numpy(float), info.validation)
    return [
        f"The same design was trained with {len(same)} seeds: on average {formatting.percent(mean)}, 95% "
        f"{formatting.interval(low, high)}, what another seed would change included."
    ]


def _optimism(info: RunInfo, scored: pd.DataFrame) -> list[str]:
    """The best of many is too high: winner's curse."""
    if len(scored) == 1 or info.stock:
        return []
    equals, best = int(scored["indistinguishable_from_best"].sum()), float(scored["accuracy"].iloc[0])
    by = selection_bias(best, info.validation, equals) if info.validation and equals > 1 else 0.0
    amount = (
        f"expect less on new ones: if those {equals} are equally good, luck alone lifts the best of them by up to "
        f"{100 * by:.1f} points"
        if by >= 0.0005
        else "expect a little less on new ones"
    )
    unseen = CONFIRM if info.protocol == "holdout" else ""
    return [
        f"The best epoch of the best of {len(scored)} trials was chosen by the very images that it is measured on: "
        f"{amount}. The interval is about which images, not about training with another seed.{unseen}"
    ]
