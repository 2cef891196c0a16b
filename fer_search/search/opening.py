"""Starting a run folder, or resuming the run in it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from fer_search.data.dataset import Dataset
from fer_search.errors import EXIT_MISMATCH, UserError
from fer_search.runfolder.epochs import read_epochs
from fer_search.runfolder.queue import read_queue, write_queue
from fer_search.runfolder.reset import reset_trials
from fer_search.runfolder.schema import TRIAL_PREFIX
from fer_search.search.display.events import Range
from fer_search.search.executors.executor import Executor
from fer_search.search.extending import TUNERS_WITH_RUNGS, check_same_run, trials_to_extend
from fer_search.search.proposing.oracles import HyperbandOracle
from fer_search.search.proposing.queued import read_trials_to_take
from fer_search.search.recovery import recover
from fer_search.search.run_record import identity, new_run_record, repeatable
from fer_search.search.scheduling.budget import TrialBudgets, plan_budgets
from fer_search.search.scheduling.clock import Clock
from fer_search.search.scheduling.equal_time import EpochPlan
from fer_search.search.scheduling.estimate import default_design, estimate_search
from fer_search.search.scheduling.speed import Speed, equivalent_images
from fer_search.search.scheduling.time_limits import TimeLimits, speed_from_json, speed_to_json
from fer_search.search.settings import Settings
from fer_search.search.state import SearchState
from fer_search.search.trials.crash_guard import CrashMarker
from fer_search.search.trials.signals import Stop
from fer_search.space import Space


def open_run(state: SearchState, executor: Executor, stop: Stop) -> None:
    """Write run.json of a new run, or read it and check that this start continues that run.

    Args:
        state: Its ``info``, ``resumed``, clocks and oracle are set.
        executor: Times designs for the estimate.
        stop: Ends the time estimate.

    Raises:
        Stopped: During the time estimate.
        UserError: The folder is damaged (exit code 4), or holds a run with other settings (5).
    """
    folder = state.folder
    info = folder.read_run_json()
    folder.check_complete()
    ahead = _choose_ahead(state, info)
    state.ahead = None if ahead == "any" else int(ahead)
    state.oracle.concurrent = ahead != 1
    state.jobs.validate_low = info is None or bool(info["settings"].get("validate_low", False))
    state.jobs.mirror_augmented = info is None or bool(info["settings"].get("mirror_augmented", False))
    if info is None:
        info = new_run_record(state.settings, state.space, state.dataset, state.split, state.skipped, executor.device)
        if ahead != 1:
            info["identity"]["--ahead"] = ahead
        if state.settings.from_run is not None:  # before run.json, with which a later start would not take them again
            _take_from(state, state.settings.from_run, info["identity"])
        folder.write_tuner_json()
        folder.write_run_json(info)
    else:
        check_same_run(state, info)
        if shorter := trials_to_extend(state):
            reset_trials(folder.path, shorter, from_scratch=True)
        state.resumed = folder.has_oracle()
        if state.resumed:
            state.jobs.epoch_plan = _epoch_plan(state, info)
            state.oracle.restore()
            for line in recover(state):
                state.say(line)
            state.prune()
    if not folder.has_oracle():
        state.oracle.save()
        state.oracle.flush()
    if isinstance(state.oracle, HyperbandOracle):
        state.oracle.hyperband_iterations = info["tuner"].get("iterations", 1)
    state.budgets = _plan(state, info)
    info["tuner"]["trials"] = state.budgets.trials
    if state.workers > 1:
        info["workers"] = state.workers
    if "estimate_seconds" not in info:
        state.say("Timing a small and a large design to estimate the run time.")
        info["estimate_seconds"] = [round(seconds, 1) for seconds in _estimate(state, executor, info, stop)]
        folder.write_run_json(info)
    state.jobs.limits, state.jobs.epoch_plan = _time_limits(state, info), _epoch_plan(state, info)
    state.info, state.started, state.seconds_before = info, time.monotonic(), _seconds_before(state, info)
    state.clock = _start_clock(state)


def check_source(settings: Settings, space: Space, dataset: Dataset) -> None:
    """Check what --from names before --overwrite deletes anything.

    Raises:
        UserError: Nothing can be taken from there, or it is the run that would be deleted.
    """
    if (other := settings.from_run) is None:
        return
    if other.resolve() == settings.folder.resolve():
        raise UserError(f"--from {other}: --overwrite would delete this run; choose another --name")
    read_trials_to_take(other, space.choices(), identity(settings, space, dataset))


def _choose_ahead(state: SearchState, info: dict[str, Any] | None) -> int | str:
    """Return the window of pending trials: as given, as recorded by an earlier start, or by the number of workers.

    Raises:
        UserError: Another one than before is given without --extend (exit code 5).
    """
    given, settings = state.settings.ahead, state.settings
    if info is None:
        return given or (1 if state.workers == 1 else 2 * state.workers)
    recorded: int | str = info["identity"].get("--ahead", 1)
    if given is None or given == recorded:
        return recorded
    if not settings.extend:
        raise UserError(
            f"{state.folder.path} was started with different settings: --ahead was {recorded}, is now {given}. Add "
            "--extend to continue it with another window, or choose another --name or --overwrite the run",
            EXIT_MISMATCH,
        )
    extension = {
        "after_trials": len(state.folder.trial_files()),
        "from": {"--ahead": recorded},
        "to": {"--ahead": given},
    }
    info["extended"] = [*info.get("extended", ()), extension]
    info["identity"]["--ahead"] = given
    info["command"] = repeatable(settings.command)
    state.folder.write_run_json(info)
    return given


def _time_limits(state: SearchState, info: dict[str, Any]) -> TimeLimits:
    settings, images = state.settings, equivalent_images(len(state.data.labels), len(state.data.val_labels))
    speed = speed_from_json(info.get("speed"))
    return TimeLimits(speed, images, settings.max_seconds_per_epoch, settings.time_budget)


def _epoch_plan(state: SearchState, info: dict[str, Any]) -> EpochPlan:
    settings = state.settings
    if not settings.equal_time:
        return EpochPlan(settings.max_epochs)
    default = default_design(state.space, state.dataset.spec)
    return EpochPlan(settings.max_epochs, state.oracle.rung_count, speed_from_json(info.get("speed")), default)


def _estimate(state: SearchState, executor: Executor, info: dict[str, Any], stop: Stop) -> Range:
    """Return the estimated run time; from the small design only, if the large one crashed an earlier start.

    The time model that it follows from is put into ``info``.
    """

    def record(speed: Speed) -> None:
        info["speed"] = speed_to_json(speed)

    marker = CrashMarker(state.folder.path)
    stop.on_signal = marker.clear
    try:
        timer, expensive = executor.time_designs, marker.set() == 0
        seconds = estimate_search(state.settings, state.space, state.data, timer, expensive, record)
    except Exception:  # not "finally": a crash of the process must leave the marker
        marker.clear()
        raise
    marker.clear()
    return seconds


def _take_from(state: SearchState, other: Path, identity: dict[str, Any]) -> None:
    entries, unfit = read_trials_to_take(other, state.space.choices(), identity)
    write_queue(state.folder.path, entries)
    taken = len(entries)
    left = f"; {unfit} do not fit this space" if unfit else ""
    state.say(f"Taken from {other}: {taken} completed trials, which are not trained again{left}.")


def _plan(state: SearchState, info: dict[str, Any]) -> TrialBudgets:
    """Return what the whole search trains, the queue included."""
    epochs = state.settings.max_epochs
    planned = plan_budgets(state.oracle, len(state.names), state.max_trials, epochs)
    without_rungs = state.settings.tuner not in TUNERS_WITH_RUNGS
    if info.get("extended") and not planned.endless and without_rungs:  # earlier trials had fewer epochs
        begun = tuple(state.jobs.budget(trial) for trial in state.oracle.start_order)
        planned = TrialBudgets(begun[: len(planned.budgets)] + planned.budgets[len(begun) :])
    queued = tuple(0 if "rows" in entry else epochs for entry in read_queue(state.folder.path))
    return TrialBudgets(planned.budgets + queued, planned.endless)


def _seconds_before(state: SearchState, info: dict[str, Any]) -> float:
    """Return the wall time of earlier starts; of the last one up to its last heartbeat."""
    live = state.folder.read_live() or {}
    return max(float(live.get("seconds", 0.0)), float(info.get("seconds", 0.0)))


def _start_clock(state: SearchState) -> Clock:
    seconds = [_seconds_of(state, table) for table in state.folder.epoch_tables()]
    low, high = (estimated / state.workers for estimated in state.info["estimate_seconds"])
    ended = [int(trial_id) for trial_id in (*state.oracle.end_order, *state.oracle.recorded)]
    speed = speed_from_json(state.info.get("speed"))
    return Clock(state.budgets, (low, high), ended, seconds, state.workers, speed.trial if speed else 0.0)


def _seconds_of(state: SearchState, table: Path) -> list[float]:
    """Return the seconds of a trial's epochs if all took equally long, as an epoch of the tuner's budget."""
    trial_id = table.parent.name.removeprefix(TRIAL_PREFIX)
    epochs_per_budget, lengths = state.jobs.epochs_per_budget(trial_id), state.jobs.epoch_lengths(trial_id)
    length = dict(enumerate(lengths, start=1))
    return [row["seconds"] * epochs_per_budget / length.get(int(row["epoch"]), 1.0) for row in read_epochs(table)]
