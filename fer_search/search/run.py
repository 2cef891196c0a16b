"""A search, from its settings to its exit code: loads what it needs, runs the loop, and says how it ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from fer_search import backend
from fer_search.data.dataset import Dataset
from fer_search.data.duplicates import near_pairs_known
from fer_search.data.load import describe, load_dataset
from fer_search.data.split import Split, make_split
from fer_search.errors import EXIT_NO_TRIAL, EXIT_RUN_FOLDER, UserError
from fer_search.files import describe_storage_failure, storage_failed
from fer_search.runfolder.folder import RunFolder
from fer_search.runfolder.objective import parse_objective
from fer_search.runfolder.schema import RUN_FILE
from fer_search.search.display import events
from fer_search.search.display.formatting import format_range, plural
from fer_search.search.display.messages import describe_end, describe_plan, rerun_hint
from fer_search.search.executors.executor import Executor
from fer_search.search.executors.lease import wait_for_workers
from fer_search.search.executors.open import open_executor
from fer_search.search.loop import SearchLoop
from fer_search.search.opening import check_source, open_run
from fer_search.search.scheduling.gain import SEEDS, first_trial, measure_gain, trials_without_gain
from fer_search.search.scheduling.speed import SPREAD, training_flops
from fer_search.search.settings import Settings
from fer_search.search.state import SearchState, new_state
from fer_search.search.trials.pretrained import resolve_missing_weights
from fer_search.search.trials.signals import Stop, stopping
from fer_search.space import load_space
from fer_search.training.streaming import ImageRows
from fer_search.training.trial import Stopped

GRACE = 0.05  # of the time budget, in which a running trial may end: without its last epochs it would count for nothing


def run_search(settings: Settings, reporter: events.Reporter) -> int:
    """Start a search, or resume the one in its run folder; return the exit code of the command.

    Args:
        settings: Options of the run.
        reporter: Shows the search to the user.

    Returns:
        0 the budget is reached, 3 no trial completed or too many failed in a row, 130 or 143 stopped by SIGINT or
        SIGTERM.

    Raises:
        UserError: An error that the user can fix: 2 an input; 4 the folder is in use, damaged, or its disk is full; 5
            the run was started with other settings.
    """
    if settings.extend and not os.path.lexists(settings.folder / RUN_FILE):
        raise UserError(f"--extend: there is no run {settings.folder}; start it without --extend, or check --name")
    parse_objective(settings.objective, None)  # a misspelt one shows before the data are read
    loaded = load_space(settings.space, settings.width, settings.batch_size, settings.fix)
    reporter.show(events.Preparing("Reading the data set"))
    # before weights are downloaded: a wrong --data shows at once
    dataset, split = load_data(settings, lambda text: reporter.show(events.Note(text)))
    reporter.show(events.Preparing("Looking for pretrained weights"))
    space, skipped = resolve_missing_weights(loaded, settings)
    reporter.show(events.Preparing("Building networks to estimate the time"))
    folder = RunFolder(settings.folder)
    try:
        with folder.lock(), stopping(lambda text: reporter.show(events.Note(text))) as stop:
            if not wait_for_workers(folder.path):
                reporter.show(events.Note("Workers of an earlier start still run; their trials come last."))
            if settings.overwrite:
                check_source(settings, space, dataset)
                folder.clear()
            folder.remove_leftovers()
            state = new_state(settings, space, skipped, dataset, split, folder, reporter)
            with open_executor(settings, space, state.data, folder.path, stop, state.say) as executor:
                return _run(state, executor, stop)
    except Exception as error:
        if not isinstance(error, UserError) and storage_failed(error):
            raise UserError(describe_storage_failure(error, folder.path), EXIT_RUN_FOLDER) from error
        raise
    finally:
        reporter.close()


def load_data(settings: Settings, say: Callable[[str], None] = lambda text: None) -> tuple[Dataset, Split]:
    """Return the data set of a run and the split of its images into training and validation.

    Args:
        settings: Options of the run.
        say: Shows what was found, and what takes time.
    """
    dataset = load_dataset(
        settings.data, labels=settings.labels, ferplus_csv=settings.ferplus_csv, options=settings.data_options
    )
    say(describe(dataset))
    if settings.confirm and not (dataset.splits != 0).any():
        raise UserError(f"--confirm: {dataset.source} has no test images; give --test, or leave --confirm out")
    near = _near_copies(settings)
    if near and not near_pairs_known(dataset):
        say(f"Looking for near copies among {len(dataset.labels):,} images, once for this data set.")
    split = make_split(
        dataset,
        protocol=settings.protocol,
        validation=settings.validation,
        seed=settings.seed,
        limit_train=settings.limit_train,
        drop_duplicates=settings.drop_duplicates,
        near=near,
    )
    return dataset, split


def _near_copies(settings: Settings) -> bool:
    """Return whether near copies stay on one side of the validation split; runs of older versions parted them."""
    info = None if settings.overwrite else RunFolder(settings.folder).read_run_json()
    return info is None or bool(info["settings"].get("near_copies", False))


def _run(state: SearchState, executor: Executor, stop: Stop) -> int:
    state.workers = executor.slots
    try:
        open_run(state, executor, stop)
    except Stopped:
        text = f"Stopped before the first trial. {rerun_hint(state.settings)} to start it."
        state.reporter.show(events.SearchEnded(str(state.folder.path), "interrupted", text, 0, 0, None))
        return 128 + (stop.signum or signal.SIGINT)
    _announce(state, executor)
    if state.settings.time_budget is not None:
        stop.deadline = time.monotonic() + state.settings.time_budget - state.seconds_before
        state.clock.deadline = stop.deadline
        stop.grace, stop.time_to_end = GRACE * state.settings.time_budget, state.clock.time_to_end
    state.reporter.show(
        events.SearchBegun(
            folder=str(state.folder.path),
            tuner=state.settings.tuner,
            trials=state.budgets.trials,
            epochs=state.budgets.epochs,
            done=state.ended(),
            estimate=state.clock.left(),
            best=state.best(),
            seconds=state.seconds_before,
        )
    )
    ending = SearchLoop(state, executor, stop).run()
    state.write_state(ending)
    state.folder.remove_live()
    return _end(state, ending, stop)


def _describe_memory(state: SearchState) -> str:
    """Return where the images are during the search, and how much memory they take."""
    images = state.data.images.nbytes + state.data.val_images.nbytes
    size = f"Images: {state.dataset.spec.describe().partition(',')[0]}, {images / 2**20:,.0f} MB"
    if isinstance(state.data.images, ImageRows):
        return f"{size}, more than fits in memory; they are read from the cache while training."
    return f"{size} in memory."


def _announce(state: SearchState, executor: Executor) -> None:
    settings = state.settings
    state.say(f"Protocol: {state.split.note}.")
    state.say(_describe_memory(state))
    if settings.width != 1:
        state.say(
            f"Width: all filter counts are multiplied by {settings.width:g}, so accuracies are below those of the full "
            "networks."
        )
    shared = f"; {settings.devices} such devices share each batch" if settings.devices > 1 else ""
    state.say(f"Device: {executor.device}, {backend.start()} backend{shared}.")
    if state.workers > 1 and state.ahead is None:
        state.say("--ahead any: results are used as they come, so this search cannot be repeated exactly.")
    elif state.ahead is not None and state.workers > state.ahead:
        state.say(
            f"This run has --ahead {state.ahead}, so only {state.ahead} of {state.workers} workers train at a time; "
            f"--ahead {2 * state.workers} --extend uses them all."
        )
    for entry in state.skipped:
        state.say(f"Missing here: {entry['what']} ({entry['why']}).")
    low, high = (seconds / state.workers for seconds in state.info["estimate_seconds"])
    images = len(state.data.labels)
    for line in describe_plan(settings, state.names, state.max_trials, state.budgets, images, (low, high)):
        state.say(line)
    if settings.equal_time:
        state.say(_describe_equal_time(state))
    if state.resumed:
        ended, planned = state.ended(), state.budgets.trials
        done = f"{ended} of {plural(planned, 'trial')}" if planned else plural(ended, "trial")
        state.say(f"Resuming {state.folder.path}: {done} done.")
    else:
        hint = rerun_hint(settings)
        state.say(f"Run folder: {state.folder.path}. Ctrl-C stops; {hint[0].lower()}{hint[1:]} to resume.")


def _describe_equal_time(state: SearchState) -> str:
    plan = state.jobs.epoch_plan
    default, epochs = plan.default, plural(plan.max_epochs, "epoch")
    if default is None or plan.speed is None:
        return ""
    flops = training_flops(default.design, default.cost.flops)
    seconds = plan.max_epochs * state.jobs.limits.images * plan.speed.image(flops)
    return (
        f"--equal-time: each design trains for about as long as the default design does for {epochs}, an estimated "
        f"{format_range(SPREAD[0] * seconds, SPREAD[1] * seconds)}, so that cheaper ones train for more epochs."
    )


def _end(state: SearchState, ending: str, stop: Stop) -> int:
    """Say how the search ended; return the exit code."""
    oracle = state.oracle
    ended, failed, best = state.ended(), state.failed(), state.best()
    last_message = oracle.trials[oracle.end_order[-1]].message or "" if oracle.end_order else ""
    patience = state.settings.search_patience
    text = describe_end(
        ending,
        state.settings,
        (ended, failed, state.budgets.trials),
        best,
        state.clock.work_left(),
        (state.consecutive_failures(), last_message),
        patience is not None and trials_without_gain(oracle, len(state.names)) >= patience,
    )
    if ending in ("finished", "out_of_time"):
        text += _describe_recommendation(state) + _describe_gain(state)
    state.reporter.show(events.SearchEnded(str(state.folder.path), ending, text, ended, failed, best))
    if ending == "interrupted":
        return 128 + (stop.signum or signal.SIGINT)
    return EXIT_NO_TRIAL if ending == "failing" or ended == failed else 0


def _describe_recommendation(state: SearchState) -> str:
    """Return which design the guided tuner's model recommends; "" if it is the one with the best score."""
    recommended, best = state.info.get("recommended"), state.best()
    if recommended is None or best is None:
        return ""
    if first_trial(state.oracle, recommended) == first_trial(state.oracle, f"{best.number:04d}"):
        return ""
    name = f" ({name})" if (name := state.jobs.name(recommended)) else ""
    if state.jobs.budget(f"{best.number:04d}") < state.settings.max_epochs:
        return f"\nRecommended: trial {int(recommended)}{name}; trial {best.number} was not trained to the end."
    return (
        f"\nRecommended: trial {int(recommended)}{name}. According to the model of all learning curves, the lead of "
        f"trial {best.number} is within the noise of a single training."
    )


def _describe_gain(state: SearchState) -> str:
    """Return what the search gained over its baselines, and record it in run.json; "" if that cannot be said."""
    settings, info = state.settings, state.info
    extended = state.oracle.trials if info.get("extended") else ()  # else budgets differ between rungs only
    budgets = {trial: state.jobs.budget(trial) for trial in extended}
    images = len(state.data.val_labels)
    gain = measure_gain(state.oracle, state.names, settings.max_epochs, images, settings.repeats, budgets)
    if gain is None:
        if info.pop("gain", None) is not None:  # of before the run was extended
            state.folder.write_run_json(info)
        comparable = state.oracle.objective.name == "val_accuracy" and state.names and settings.baselines != "only"
        full = "their full time" if settings.equal_time else f"all {plural(settings.max_epochs, 'epoch')}"
        why = f"it takes a baseline and a proposal that were trained for {full}"
        return f"\nNo gain over the baselines can be given: {why}." if comparable else ""
    info["gain"] = {"proposal": gain.proposal, "baseline": gain.baseline, "observed": gain.observed}
    info["gain"] |= {"corrected": gain.corrected, "interval": list(gain.interval), "proposals": gain.proposals}
    state.folder.write_run_json(info)
    name = state.jobs.name(gain.baseline) or ""
    share = (len(state.data.labels) + len(state.data.val_labels)) / len(state.data.labels)
    trained = sum(row["seconds"] for trial in (gain.proposal, gain.baseline) for row in state.jobs.history(trial))
    seconds = SEEDS * share * trained
    cost = f"confirming it with {SEEDS} seeds takes {format_range(0.9 * seconds, 1.3 * seconds)}"
    return f"\n{gain.describe(state.folder.path, name, cost, info.get('recommended'))}"
