"""What a search says in sentences, when it starts and when it ends."""

from __future__ import annotations

from collections.abc import Sequence

from fer_search.search.display import events
from fer_search.search.display.formatting import plural, range_in_words
from fer_search.search.settings import Settings


def again(settings: Settings) -> str:
    """Return what goes on with a search, as the beginning of a sentence."""
    return "The same command" + (" without --overwrite" if settings.overwrite else "")


def announcement(
    settings: Settings,
    names: Sequence[str],
    limit: int | None,
    planned: tuple[int, int],
    images: int,
    seconds: events.Range,
) -> list[str]:
    """Return what will be searched.

    Args:
        settings: of the run.
        names: of its baselines, in their order, each as often as it is trained.
        limit: of trials, if it has one.
        planned: trials and epochs in all.
        images: that an epoch trains on.
        seconds: that it is estimated to take at least and at most.
    """
    s, lines = settings, []
    if s.baselines == "first" and names and limit is not None and limit <= len(names):
        lines.append(
            f"--max-trials {limit} is used up by the space's {len(names)} baselines before the tuner proposes "
            "anything; --baselines none leaves them out."
        )
    first = ", ".join(dict.fromkeys(names[:limit]))
    times = f", {s.repeats} times each" if s.repeats > 1 else ""
    baselines = f" (the baselines {first} first{times})" if first else ""
    trials, epochs = planned
    lines.append(
        f"Search: {s.tuner}, {trials} trials{baselines}, {epochs} epochs of {images} images in all; "
        f"estimated {range_in_words(*seconds)} on this device."
    )
    return lines


def farewell(
    state: str,
    settings: Settings,
    ended: tuple[int, int, int],
    best: events.Best | None,
    left: events.Range,
    in_a_row: tuple[int, str],
) -> str:
    """Return how a search ended, and what goes on with it.

    Args:
        state: finished, out_of_time, failing or interrupted.
        settings: of the run.
        ended: trials that ended, that failed, and that were planned.
        best: trial so far.
        left: seconds that it would take on, at least and at most.
        in_a_row: how many trials failed last, and the reason of the last one.
    """
    done, failed, planned = ended
    so_far = f"{done} of {planned} trials done" + (f", {failed} failed" if failed else "")
    if state == "finished":
        failures = f", {failed} failed" if failed else ""
        see = f"See it: fer-search report {settings.folder}"
        return f"Done: {plural(done, 'trial')}{failures}; best {_best_in_words(best)}. {see}"
    if state == "out_of_time":
        return f"Time is up: {so_far}, {range_in_words(*left)} left. --extend with a longer --time-budget goes on."
    if state == "failing":
        number, why = in_a_row
        return f"Stopped: {so_far}, the last {number} in a row ({why}). --max-failures allows more."
    return f"Stopped: {so_far}, nothing lost. {again(settings)} goes on."


def _best_in_words(best: events.Best | None) -> str:
    if best is None:
        return "none"
    return f"{best.accuracy:.3f} by trial {best.number}" + (f" ({best.name})" if best.name else "")
