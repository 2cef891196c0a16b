"""Starting a run folder, or resuming the run in it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from fer_search.errors import EXIT_MISMATCH, UserError
from fer_search.runfolder.epochs import read_epochs
from fer_search.runfolder.identity import BUDGET_OPTIONS, DEFAULT_IDENTITY, check_identity, first_space_change
from fer_search.runfolder.queue import read_queue
from fer_search.runfolder.reset import completed_trials, reset_trials
from fer_search.runfolder.schema import TRIAL_PREFIX
from fer_search.search.display.events import Range
from fer_search.search.display.formatting import plural
from fer_search.search.executors.executor import Executor
from fer_search.search.proposing.oracles import HyperbandOracle
from fer_search.search.proposing.queued import enqueue_trials
from fer_search.search.recovery import recover
from fer_search.search.run_record import identity, new_run_record, repeatable
from fer_search.search.scheduling.budget import TrialBudgets, plan_budgets
from fer_search.search.scheduling.clock import Clock
from fer_search.search.scheduling.equal_time import EpochPlan
from fer_search.search.scheduling.estimate import Speed, default_design, equivalent_images, estimate_search
from fer_search.search.scheduling.time_limits import TimeLimits, speed_from_json, speed_to_json
from fer_search.search.state import SearchState
from fer_search.search.trials.crash_guard import CrashMarker
from fer_search.search.trials.signals import Stop


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
    if info is None:
        info = new_run_record(state.settings, state.space, state.dataset, state.split, state.skipped, executor.device)
        if ahead != 1:
            info["identity"]["--ahead"] = ahead
        folder.write_tuner_json()
        folder.write_run_json(info)
        if state.settings.from_run is not None:
            _take_from(state, state.settings.from_run, info["identity"])
    else:
        raised = _check_same_run(state, info)
        if state.settings.extend_trials and "--max-epochs" in raised:
            reset_trials(folder.path, completed_trials(folder.path), from_scratch=True)
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


def _check_same_run(state: SearchState, info: dict[str, Any]) -> list[str]:
    """Refuse to resume a run with other settings; record and return what --extend raises."""
    settings, folder = state.settings, state.folder
    current = identity(settings, state.space, state.dataset)
    if info.get("skipped", []) != state.skipped:
        raise UserError(
            f"{folder.path} was started with other pretrained weights available: "
            f"{_names(info.get('skipped', []))} was skipped then, {_names(state.skipped)} now",
            EXIT_MISMATCH,
        )
    recorded = DEFAULT_IDENTITY | info["identity"]
    differences = {"data": f"was {info['data']['name']}, is {state.dataset.name}"}
    if info["data"]["name"] == state.dataset.name:
        differences["data"] = f"({state.dataset.name}) has other images or labels than before"
    differences["space"] = first_space_change(info["space"], state.space.text, state.space.modules)
    if not differences["space"]:  # only comments differ, or an older run.json did not record the modules
        current["space"] = recorded["space"]
    raised = check_identity(folder.path, recorded, current, BUDGET_OPTIONS if settings.extend else (), differences)
    if "--max-epochs" in raised and settings.tuner in ("guided", "hyperband"):
        raise UserError(
            "--extend: the rungs follow from --max-epochs; choose another --name for more, or, with Hyperband, give "
            "--extend alone for one more iteration of the brackets",
            EXIT_MISMATCH,
        )
    if "modules" not in info["space"] and state.space.modules:
        info["space"]["modules"] = state.space.modules
        folder.write_run_json(info)
    if raised:
        _record_extension(state, info, current, raised)
        if "--max-epochs" in raised and not settings.extend_trials:
            before = plural(recorded["--max-epochs"], "epoch")
            state.say(
                f"Finished trials keep their {before}; --extend-trials trains them again for {settings.max_epochs}."
            )
    elif settings.extend:
        _extend_finished(state, info)
    return raised


def _extend_finished(state: SearchState, info: dict[str, Any]) -> None:
    """Let a finished Hyperband search begin another iteration of its brackets.

    Raises:
        UserError: The search is finished, and nothing was raised that would continue it.
    """
    settings = state.settings
    if info.get("state") != "finished":
        return  # it goes on anyway
    if settings.tuner == "hyperband" and settings.baselines != "only" and settings.max_trials is None:
        before = info["tuner"].get("iterations", 1)
        info["tuner"]["iterations"] = before + 1
        extension: dict[str, Any] = {"after_trials": len(state.folder.trial_files())}
        extension |= {"from": {"iterations": before}, "to": {"iterations": before + 1}}
        info["extended"] = [*info.get("extended", ()), extension]
        state.folder.write_run_json(info)
        state.say(f"Extending: iteration {before + 1} of Hyperband's brackets.")
        return
    if settings.tuner == "grid":
        raise UserError("--extend: every combination of the grid has been tried; widen the space under another --name")
    larger = {"--max-trials": settings.max_trials, "--search-patience": settings.search_patience}
    options = " or ".join(f"{name} than {value}" for name, value in larger.items() if value is not None)
    if not options:
        raise UserError("--extend: the search is finished, as no untried design is left in the space")
    raise UserError(f"--extend: the search is finished; give a larger {options}")


def _take_from(state: SearchState, other: Path, identity: dict[str, Any]) -> None:
    taken, unfit = enqueue_trials(state.folder.path, other, state.space.choices(), identity)
    left = f"; {unfit} do not fit this space" if unfit else ""
    state.say(f"Taken from {other}: {taken} completed trials, which are not trained again{left}.")


def _plan(state: SearchState, info: dict[str, Any]) -> TrialBudgets:
    """Return what the whole search trains, the queue included."""
    epochs = state.settings.max_epochs
    planned = plan_budgets(state.oracle, len(state.names), state.max_trials, epochs)
    without_rungs = state.settings.tuner not in ("guided", "hyperband")
    if info.get("extended") and not planned.endless and without_rungs:  # earlier trials had fewer epochs
        begun = tuple(state.jobs.budget(trial) for trial in state.oracle.start_order)
        planned = TrialBudgets(begun[: len(planned.budgets)] + planned.budgets[len(begun) :])
    queued = tuple(0 if "rows" in entry else epochs for entry in read_queue(state.folder.path))
    return TrialBudgets(planned.budgets + queued, planned.endless)


def _record_extension(state: SearchState, info: dict[str, Any], current: dict[str, Any], raised: list[str]) -> None:
    settings = state.settings
    info["command"] = repeatable(settings.command)
    extension = {
        "after_trials": len(state.folder.trial_files()),
        "from": {name: info["identity"].get(name) for name in raised},
        "to": {name: current[name] for name in raised},
    }
    info["extended"] = [*info.get("extended", ()), extension]
    info["identity"] |= current
    info["tuner"] |= {
        "max_trials": settings.max_trials,
        "max_epochs": settings.max_epochs,
        "time_budget": settings.time_budget,
        "search_patience": settings.search_patience,
    }
    state.folder.write_run_json(info)


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
    """Return the seconds of a trial's epochs, each as long as an epoch of the tuner's budget."""
    epochs_per_budget = state.jobs.epochs_per_budget(table.parent.name.removeprefix(TRIAL_PREFIX))
    return [row["seconds"] * epochs_per_budget for row in read_epochs(table)]


def _names(skipped: list[dict[str, str]]) -> str:
    return ", ".join(entry["what"] for entry in skipped) or "nothing"
