"""What a run found, in a few sentences."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from fer_search.report import formatting
from fer_search.report.statistics.inference import selection_bias
from fer_search.report.statistics.published import protocol_differences
from fer_search.report.tables.analysis import RunAnalysis
from fer_search.report.tables.classes import never_predicted, never_recognised
from fer_search.report.tables.confirmed import in_words, tested_rows
from fer_search.runfolder.objective import ACCURACY
from fer_search.runfolder.run_json import RunInfo


class Verdict(NamedTuple):
    """A run's result in plain text: one sentence that states it, and the sentences that qualify it."""

    headline: str
    details: list[str]


def verdict(analysis: RunAnalysis) -> Verdict:
    """Return what a run found; what ``fer-search confirm`` measured comes first."""
    info, designs = analysis.info, analysis.designs
    scored = completed(designs)
    if designs.empty:
        return Verdict("No trial yet: the search has just begun, or was stopped before its first trial.", [])
    if scored.empty:
        return Verdict(_without_result(designs), _state(info))
    best = scored.iloc[0]
    if pd.isna(best["accuracy"]):
        goal = "No accuracy was recorded; trials are ranked by the tuner's own score."
        return Verdict(f"Best: {formatting.title(best)}, score {best['score']:.4g}.", [goal, *_state(info)])
    interval = formatting.interval(best["low"], best["high"])
    suffix = f" (95% interval {interval})" if interval else ""
    seeds = f", mean of {best['seeds']} seeds" if best["seeds"] > 1 else ""
    headline = (
        f"Best: {formatting.title(best)}, validation accuracy {formatting.percent(best['accuracy'])}{suffix}{seeds}."
    )
    tested = in_words(analysis.confirmed)
    details = [*_state(info), _significance(info, scored), *_other_metrics(best), *_majority(analysis, scored)]
    details += [*_missing_classes(analysis, best), *_published(analysis, float(best["accuracy"]))]
    details += _selection(info, scored, bool(tested))
    return Verdict(tested or headline, [headline, *details] if tested else details)


def completed(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that completed with a result, best first."""
    return trials[(trials["status"] == "completed") & (trials["accuracy"].notna() | trials["score"].notna())]


def _without_result(designs: pd.DataFrame) -> str:
    failed = int((designs["status"] == "failed").sum())
    if failed == len(designs):
        return (
            f"No result: {'the only trial' if failed == 1 else f'all {failed} trials'} failed; the reasons are below."
        )
    return "No trial has completed yet."


def _state(info: RunInfo) -> list[str]:
    return {
        "running": ["The search is still running: these are the trials so far."],
        "killed": ["The search was killed, or the power failed; re-run the same command to resume."],
        "interrupted": ["The search was interrupted; re-run the same command to resume."],
    }.get(info.current_state, [])


def _significance(info: RunInfo, scored: pd.DataFrame) -> str:
    others = len(scored) - 1
    if others == 0:
        return "It is the only design with a result: there is nothing to compare it with yet."
    if info.objective != ACCURACY:
        name, best = info.objective.name.removeprefix("val_").replace("_", " "), scored["score"].iloc[0]
        return f"Ranked by {name} ({best:.3f}), which the search optimised; significance is only tested for accuracy."
    if not info.validation:
        return "The number of validation images is not recorded, so the significance of differences is unknown."
    equals = int(scored["indistinguishable_from_best"].sum()) - 1
    seeds = " and the seeds" if (scored["seeds"] > 1).any() else ", one seed each"
    test = f"(95%, Bonferroni, {info.validation:,} validation images{seeds})"
    return f"{compared(max(equals, 0), others)} {test}.{_shorter_training(scored)}"


def compared(equals: int, others: int) -> str:
    """Return that ``equals`` of the ``others`` other designs are not significantly different from the best."""
    if equals == 0:
        which = {1: "The other design is", 2: "Both other designs are"}.get(others, f"All {others:,} other designs are")
        return f"{which} significantly worse"
    if equals < others:
        verb = "is" if equals == 1 else "are"
        return f"{equals:,} of the other {others:,} designs {verb} not significantly different"
    none = f"None of the other {others:,} designs is"
    which = {1: "The other design is not", 2: "Neither of the other designs is"}.get(others, none)
    return f"{which} significantly different"


def _shorter_training(scored: pd.DataFrame) -> str:
    """Return how many designs were trained for less than the best one, which may be why they are worse."""
    trained_for, others = scored["budget" if "budget" in scored else "epochs"], len(scored) - 1
    shorter = int((trained_for < trained_for.iloc[0]).fillna(False).sum())
    less = "a shorter time" if "budget" in scored else "fewer epochs"
    if shorter == others:
        return f" But {'it was' if others == 1 else 'all of them were'} trained for {less}."
    verb = "was" if shorter == 1 else "were"
    return f" {shorter:,} of the others {verb} trained for {less}." if shorter else ""


def _other_metrics(best: pd.Series) -> list[str]:
    known = {"balanced accuracy": best["balanced_accuracy"], "macro F1": best["macro_f1"]}
    shown = [f"{name} {formatting.percent(value)}" for name, value in known.items() if not pd.isna(value)]
    return [f"{' and '.join(shown)}.".capitalize().replace("macro f1", "macro F1")] if shown else []


def _majority(analysis: RunAnalysis, scored: pd.DataFrame) -> list[str]:
    majority = analysis.majority
    if majority is None:
        return []
    always = f"always predicting {majority.name} ({formatting.percent(majority.share)})"
    weak = analysis.no_better_than_majority[scored.index]
    count = int(weak.sum())
    if len(weak) and weak[0]:
        return [f"The best design is not significantly better than {always}."]
    if count:
        verb = "is" if count == 1 else "are"
        return [f"{count} of {formatting.plural(len(scored), 'design')} {verb} no better than {always}."]
    return []


def _missing_classes(analysis: RunAnalysis, best: pd.Series) -> list[str]:
    predictions = analysis.predictions
    if predictions is not None and predictions.trial in best["trials"]:
        names = never_predicted(predictions)
        return [f"The best network never predicts {_listed(names)}."] if names else []
    if pd.isna(best["best_epoch"]):
        return []
    names = never_recognised(analysis.curves, best["trials"], int(best["best_epoch"]))
    return [f"The best network recognises no {_listed(names, 'or')} at all."] if names else []


def _listed(names: list[str], word: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def _published(analysis: RunAnalysis, validated: float) -> list[str]:
    """Return the highest published accuracy beside the test accuracy, or beside the validation accuracy until then."""
    info = analysis.info
    if not info.references:
        return []
    if info.toy:
        return ["Published accuracies are of real faces and are not compared with toy faces."]
    name = max(info.references, key=lambda reference: info.references[reference])
    tested = tested_rows(analysis.confirmed)
    measured = validated if tested.empty else float(tested["accuracy"].iloc[-1])
    difference = measured - info.references[name]
    side = f"{100 * abs(difference):.1f} points {'above' if difference >= 0 else 'below'}"
    quoted = f"the highest published accuracy ({name}, {formatting.percent(info.references[name])})"
    if not tested.empty:
        return [f"On {tested['part'].iloc[-1].replace('_', ' ')}, {side} {quoted}."]
    if name not in info.baselines:
        return [f"{side[:1].upper()}{side[1:]} {quoted}, which was measured on other images."]
    differences = protocol_differences(info)
    caveat = f", which is not comparable: {differences}" if differences else ""
    return [f"{side[:1].upper()}{side[1:]} {quoted}{caveat}."]


def _selection(info: RunInfo, scored: pd.DataFrame, tested: bool) -> list[str]:
    """Return that the best of many is too high (selection bias), and which design the tuner recommends instead."""
    if len(scored) == 1 or info.stock:
        return []
    if info.objective != ACCURACY:
        return [f"Selection bias: the validation images chose the best of {len(scored)} designs."]
    equals, best = int(scored["indistinguishable_from_best"].sum()), float(scored["accuracy"].iloc[0])
    bias = selection_bias(best, info.validation, equals) if info.validation and equals > 1 else 0.0
    amount = (
        f", by about {100 * bias:.1f} points on average, and by more if it depends on the seed" if bias >= 5e-4 else ""
    )
    chosen = f"the validation images chose the best of {len(scored)} designs"
    text = f"Selection bias: {chosen}, so its accuracy is too high{amount}."
    if not tested and info.protocol == "holdout":
        text += f" Measure it on test images: fer-search confirm {info.path}"
    return [text, *_recommended(info, scored)]


def _recommended(info: RunInfo, scored: pd.DataFrame) -> list[str]:
    designs = scored[[info.recommended in trials for trials in scored["trials"]]]
    if designs.empty or info.recommended in scored["trials"].iloc[0]:
        return []
    full, best = info.tuner.get("max_epochs"), scored.iloc[0]
    trained_for = best["budget" if "budget" in scored else "epochs"]
    stopped = bool(full) and not pd.isna(trained_for) and trained_for < full
    why = "the best one was not trained to the end" if stopped else "the difference is within the noise of one training"
    return [f"The tuner's model of all learning curves recommends {formatting.title(designs.iloc[0])}: {why}."]
