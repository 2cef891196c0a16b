"""The sentences that a search prints when it starts and when it ends."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from fer_search.search.display import events
from fer_search.search.display.formatting import format_exactly, format_range, plural
from fer_search.search.display.lines import format_best
from fer_search.search.scheduling.budget import TrialBudgets
from fer_search.search.settings import Settings


def rerun_hint(settings: Settings) -> str:
    """Return the beginning of a sentence that ends in "to resume"."""
    return "Re-run the same command" + (" without --overwrite" if settings.overwrite else "")


def describe_plan(
    settings: Settings,
    names: Sequence[str],
    limit: int | None,
    planned: TrialBudgets,
    images: int,
    seconds: events.Range,
) -> list[str]:
    """Return lines that say what will be searched.

    Args:
        settings: Options of the run.
        names: Baseline names, in run order, repeats included.
        limit: Maximum number of trials; None for no limit.
        planned: What will be trained.
        images: Training images per epoch.
        seconds: Estimated run time, low and high.
    """
    lines = []
    if settings.baselines == "first" and names and limit is not None and limit <= len(names):
        lines.append(
            f"--max-trials {limit} is used up by the space's {len(names)} baselines before the tuner proposes "
            "anything; --baselines none leaves them out."
        )
    first = list(dict.fromkeys(names[:limit]))
    times = f", {settings.repeats} times{' each' if len(first) > 1 else ''}" if settings.repeats > 1 else ""
    baselines = f" (the baseline{'s' if len(first) > 1 else ''} {', '.join(first)} first{times})" if first else ""
    if settings.time_budget is not None and planned.endless:
        return [
            f"Search: {settings.tuner}{baselines}, as many trials as {format_exactly(settings.time_budget)} allow, "
            f"each of up to {plural(settings.max_epochs, 'epoch')} of {images:,} images."
        ]
    limited = ""
    if settings.time_budget is not None and seconds[1] > settings.time_budget:
        limited = f"; --time-budget ends it after {format_exactly(settings.time_budget)}"
    lines.append(
        f"Search: {settings.tuner}, {plural(len(planned.budgets), 'trial')}{baselines}, "
        f"{plural(planned.epochs, 'epoch')} of {images:,} images in total; estimated {format_range(*seconds)} on this "
        f"device{limited}."
    )
    return lines


def _exhausted(settings: Settings, done: int, planned: int | None, out_of_patience: bool) -> str:
    """Return why a search ended before it had as many trials as planned; "" if it did not."""
    if (planned is not None and done >= planned) or settings.baselines == "only":
        return ""
    ended = f" Ended after {done} of {plural(planned, 'trial')}" if planned else f" Ended after {plural(done, 'trial')}"
    if out_of_patience:
        return f"{ended}: no new best one among the last {settings.search_patience} (--search-patience)."
    grid = settings.tuner == "grid"
    tried = "all combinations of the space are tried" if grid else "no untried design is left in the space"
    return f"{ended}: {tried} ({'--fix fewer choices, or ' if settings.fix else ''}widen the space)."


def describe_end(
    state: str,
    settings: Settings,
    counts: tuple[int, int, int | None],
    best: events.Best | None,
    left: events.Range,
    failures: tuple[int, str],
    out_of_patience: bool = False,
) -> str:
    """Return how a search ended, and how to continue it.

    Args:
        state: "finished", "out_of_time", "failing" or "interrupted".
        settings: Options of the run.
        counts: Number of trials that ended, that failed, and that were planned (None if not known).
        best: Best trial so far; None if no trial has a score.
        left: Remaining run time in seconds, low and high.
        failures: Number of last trials that failed in a row, and the message of the last one.
        out_of_patience: Whether --search-patience ended the search.
    """
    done, failed, planned = counts
    so_far = f"{done} of {plural(planned, 'trial')} done" if planned else f"{plural(done, 'trial')} done"
    so_far += f", {failed} failed" if failed else ""
    if state == "finished":
        failed_text = f", {failed} failed" if failed else ""
        report = f"Report: fer-search report {shlex.quote(str(settings.folder))}"
        best_text = "none" if best is None else format_best(best)
        why = _exhausted(settings, done, planned, out_of_patience)
        return f"Done: {plural(done, 'trial')}{failed_text}; best {best_text}.{why} {report}"
    if state == "out_of_time":
        rest = f", {format_range(*left)} of training left" if planned else ""
        return f"Time budget used up: {so_far}{rest}. Add --extend with a longer --time-budget to continue."
    if state == "failing":
        number, message = failures
        too_slow = "--time-budget" in message
        remedy = "Give more time, or choose fewer --max-epochs," if too_slow else "Raise --max-failures"
        return f"Stopped: {so_far}, the last {number} in a row ({message}). {remedy} to continue."
    return f"Stopped: {so_far}, nothing lost. {rerun_hint(settings)} to resume."
