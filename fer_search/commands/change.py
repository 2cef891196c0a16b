"""fer-search retry and add: what changes an existing run."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fer_search.commands.default_space import CPU_SPACE, FOLDER, GPU_SPACE
from fer_search.commands.options import RESULTS, GivenRun
from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.tuner_entries import without_tuner_entries

if TYPE_CHECKING:
    from fer_search.runfolder.folder import RunFolder

NoRun = Annotated[bool, typer.Option("--no-run", help="Only change the run folder; do not run the search.")]
SPACE = "--space"


def retry(run: GivenRun, no_run: NoRun = False) -> None:
    """Train the failed trials of a run again.

    They become pending, and the run's command is run again.
    """
    from fer_search.runfolder.reset import failed_trials, reset_trials

    folder, info = _open(run)
    if not no_run:
        _checked_command(run, info)  # before anything is changed
    with folder.lock():
        trials = failed_trials(run)
        if not trials:
            raise UserError(f"{run}: no trial failed")
        reset_trials(run, trials)
    print(f"{len(trials)} failed {'trial is' if len(trials) == 1 else 'trials are'} pending again: {', '.join(trials)}")
    _continue(run, info, no_run)


def add(
    run: GivenRun,
    values: Annotated[list[str], typer.Argument(help="CHOICE=VALUE of the design; others take their defaults.")],
    no_run: NoRun = False,
) -> None:
    """Add a design to a run by hand.

    It is tried next, also by a search that is running.
    """
    from fer_search import backend

    folder, info = _open(run)
    if not (no_run or folder.in_use()):
        _checked_command(run, info)  # before anything is changed
    backend.start()  # quietly
    from keras_tuner import HyperParameters

    from fer_search.choicechecks import ChoiceError
    from fer_search.choices import parse_value
    from fer_search.runfolder.json_files import read_json
    from fer_search.runfolder.queue import enqueue
    from fer_search.runfolder.schema import ORACLE_FILE
    from fer_search.runfolder.trial_files import read_trial_records
    from fer_search.search.proposing.queued import with_values
    from fer_search.terminal import printable

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
    print(printable("Added: " + ", ".join(f"{name} {value}" for name, value in hp.values.items())))
    if same := [one.trial for one in read_trial_records(run) if without_tuner_entries(one.values) == hp.values]:
        print(f"Trial {int(same[-1])} is the same design: this one shows what another seed gives.")
    if folder.in_use():
        print("The running search tries it next.")
    else:
        _continue(run, info, no_run)


def _open(run: Path) -> tuple[RunFolder, dict[str, Any]]:
    """Return a run folder without links, and its run.json."""
    from fer_search.runfolder.folder import RunFolder
    from fer_search.runfolder.guard import check_contained

    check_contained(run)
    folder = RunFolder(run)
    info = folder.read_run_json()
    if info is None:
        raise UserError(f"{run}: not a run folder of fer-search (no run.json)")
    return folder, info


def _continue(run: Path, info: Mapping[str, Any], no_run: bool) -> None:
    """Run the search again, or say how."""
    from fer_search.terminal import printable

    if no_run:
        print(printable(f"To train: {shlex.join(_recorded_command(run, info))}"))
        return
    command = _checked_command(run, info)
    print(printable(f"Running: {shlex.join(command)}"), flush=True)
    # -m alone would import modules from this folder, which may be someone else's run, before installed ones
    safe_path = [] if os.getcwd() in sys.path else ["-P"]
    arguments = [sys.executable, *safe_path, "-m", "fer_search.cli", *command[1:]]
    os.execv(sys.executable, arguments)  # Ctrl-C and exit code are its own


def _recorded_command(run: Path, info: Mapping[str, Any]) -> list[str]:
    """Return the command line that started a run, without what would replace the run."""
    try:
        return [part for part in shlex.split(info["command"]) if part != "--overwrite"]
    except (KeyError, ValueError) as error:
        raise UserError(f"{run}: run.json records no command; restore it from a backup", EXIT_RUN_FOLDER) from error


def _checked_command(run: Path, info: Mapping[str, Any]) -> list[str]:
    """Return the command line that started a run if it searches the space that run.json records.

    The command is text from the run folder, which may be someone else's: it must not make fer-search execute anything
    but a space file of this machine that the user's own ``run`` would accept for the run.

    Raises:
        UserError: It is another command, or names another space file.
    """
    command = _recorded_command(run, info)
    instead = "so its command is not run; run it yourself if you trust it, or give --no-run, which only shows it"
    if [part for part in command[:3] if part != "--debug"][:2] != ["fer-search", "run"]:
        raise UserError(f"{run}: run.json records no fer-search run, {instead}")
    named = _given(command, SPACE)
    differences = {}
    for space in (named,) if named is not None else _default_spaces():
        differences[space] = _difference(run, info["space"], Path(space))
        if not differences[space]:
            # of several --space the last one counts, however the others are read
            return [*command, *_place(command, run, space), SPACE, space]
    difference = next(iter(differences.values()), "it names no space, and fer-search's own are not here")
    raise UserError(f"{run}: {difference}, {instead}")


def _given(command: list[str], option: str) -> str | None:
    """Return the value that a command line gives an option, as it was written; None if it does not."""
    given = None
    for part, following in zip(command, [*command[1:], ""], strict=True):
        if part == option:
            given = following
        elif part.startswith(f"{option}="):
            given = part.removeprefix(f"{option}=")
    return given


def _place(command: list[str], run: Path, space: str) -> list[str]:
    """Return the options that make a command line resume this run, given in another folder or after a move."""
    results, name = _given(command, "--results-dir") or str(RESULTS), _given(command, "--name") or Path(space).stem
    if (Path(results) / name).resolve() == run.resolve():
        return []
    return ["--results-dir", str(run.resolve().parent), "--name", run.resolve().name]


def _default_spaces() -> Iterator[str]:
    """Yield the spaces that ``run`` may choose by the device if none is given; see ``default_space.choose_space``."""
    for folder in (Path(FOLDER), Path(__file__).parents[2] / FOLDER):
        yield from (str(folder / file) for file in (CPU_SPACE, GPU_SPACE) if (folder / file).is_file())


def _difference(run: Path, recorded: Mapping[str, Any], space: Path) -> str:
    """Return why a space file is not the one that a run recorded, as ``run`` compares them; "" if it is."""
    from fer_search.files import read_text
    from fer_search.runfolder.identity import first_space_change
    from fer_search.spaceimports import local_imports

    try:
        came_along = space.resolve().is_relative_to(run.resolve())
        text = read_text(space.resolve())
        modules = local_imports(space, text)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links
        return f"its space {space} cannot be read ({getattr(error, 'strerror', None) or error})"
    if came_along:  # whoever wrote the folder could write a matching run.json too
        return f"its space {space} is inside the run folder"
    change = first_space_change(recorded, text, modules)
    return f"its space {space} is not as it was ({change})" if change else ""
