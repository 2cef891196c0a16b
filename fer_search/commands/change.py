"""fer-search retry and add: what changes an existing run."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from fer_search.commands.options import GivenRun
from fer_search.errors import UserError

if TYPE_CHECKING:
    from fer_search.runfolder.folder import RunFolder

NoRun = Annotated[bool, typer.Option("--no-run", help="Only change the run folder; do not run the search.")]


def retry(run: GivenRun, no_run: NoRun = False) -> None:
    """Train the failed trials of a run again.

    They become pending, and the run's command is run again.
    """
    from fer_search.runfolder.folder import RunFolder
    from fer_search.runfolder.reset import failed_trials, reset_trials

    folder = RunFolder(run)
    command = _command(folder)
    with folder.lock():
        trials = failed_trials(run)
        if not trials:
            raise UserError(f"{run}: no trial failed")
        reset_trials(run, trials)
    print(f"{len(trials)} failed {'trial is' if len(trials) == 1 else 'trials are'} pending again: {', '.join(trials)}")
    _continue(command, no_run)


def add(
    run: GivenRun,
    values: Annotated[list[str], typer.Argument(help="CHOICE=VALUE of the design; others take their defaults.")],
    no_run: NoRun = False,
) -> None:
    """Add a design to a run by hand.

    It is tried next, also by a search that is running.
    """
    from fer_search import backend
    from fer_search.runfolder.folder import RunFolder

    folder = RunFolder(run)
    command = _command(folder)
    backend.start()  # quietly
    from keras_tuner import HyperParameters

    from fer_search.choicechecks import ChoiceError
    from fer_search.choices import parse_value
    from fer_search.runfolder.json_files import read_json
    from fer_search.runfolder.queue import enqueue
    from fer_search.runfolder.schema import ORACLE_FILE
    from fer_search.search.proposing.queued import with_values

    space = HyperParameters.from_config(read_json(run / ORACLE_FILE)["hyperparameters"])
    given = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"{text!r}: write CHOICE=VALUE")
        try:
            given[name.strip()] = parse_value(space, name.strip(), value)
        except ChoiceError as error:
            raise UserError(f"{run}: {error}") from error
    hp = with_values(space, given)
    enqueue(run, dict(hp.values))
    print("Added: " + ", ".join(f"{name} {value}" for name, value in hp.values.items()))
    if folder.in_use():
        print("The running search tries it next.")
    else:
        _continue(command, no_run)


def _command(folder: RunFolder) -> list[str]:
    """Return the command line that started a run."""
    info = folder.read_run_json()
    if info is None:
        raise UserError(f"{folder.path}: not a run folder of fer-search (no run.json)")
    return [part for part in shlex.split(info["command"]) if part != "--overwrite"]


def _continue(command: list[str], no_run: bool) -> None:
    """Run the search again, or say how."""
    if no_run:
        print(f"To train: {shlex.join(command)}")
        return
    print(f"Running: {shlex.join(command)}", flush=True)
    os.execv(sys.executable, [sys.executable, "-m", "fer_search.cli", *command[1:]])  # Ctrl-C and exit code are its own
