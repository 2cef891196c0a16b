"""fer-search status, runs, trials, show, doctor: what run folders hold. None of them imports Keras."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from fer_search.commands.options import RESULTS, AsJson, GivenRun, ResultsDir, Run
from fer_search.errors import EXIT_RUN_FOLDER
from fer_search.terminal import printable

if TYPE_CHECKING:
    from fer_search.console import SafeConsole


def wide_console() -> SafeConsole:
    """Return a console on stdout that does not truncate tables when stdout is not a terminal."""
    from fer_search.console import SafeConsole

    return SafeConsole() if sys.stdout.isatty() else SafeConsole(width=240)


def status(run: Run = None, results_dir: ResultsDir = RESULTS, json: AsJson = False) -> None:
    """Show what a run is doing; works from another shell while it runs."""
    from fer_search.report import newest_run
    from fer_search.runs.status import read_status, status_as_json, status_lines

    found = read_status(run or newest_run(results_dir))
    print(status_as_json(found) if json else printable("\n".join(status_lines(found))))


def runs(results_dir: ResultsDir = RESULTS, json: AsJson = False) -> None:
    """List the runs of a results folder."""
    from fer_search.runs.listing import list_runs, runs_as_json, runs_table

    found = list_runs(results_dir)
    if json:
        print(runs_as_json(found))
    else:
        console = wide_console()
        console.print(runs_table(found, console.width))


def trials(
    run: Run = None,
    results_dir: ResultsDir = RESULTS,
    top: Annotated[int | None, typer.Option(help="Show only this many of the best.", min=1)] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Filter by CHOICE=VALUE (also !=, <, <=, >, >=; also status, accuracy, parameters); repeatable."
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """List the trials of a run, best first."""
    from fer_search.report import newest_run
    from fer_search.runs.table import select_trials, trials_as_json, trials_table

    found = select_trials(run or newest_run(results_dir), where or [], top)
    if json:
        print(trials_as_json(found))
    elif where and found.empty:
        print(f"No trial matches {' and '.join(where)}.")
    else:
        console = wide_console()
        console.print(trials_table(found, console.width))


def show(run: GivenRun, trial: Annotated[str, typer.Argument(help="Trial number or baseline name.")]) -> None:
    """Show one trial: its choices, result, cost and every epoch."""
    from fer_search.runs.show import describe_trial

    console = wide_console()
    for part in describe_trial(run, trial):
        console.print(part, highlight=False)


def doctor(
    run: GivenRun,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what can be repaired without data loss.")] = False,
) -> None:
    """Check a run folder (exit code 4 if something is wrong)."""
    from fer_search import backend
    from fer_search.runs.doctor import find_problems
    from fer_search.runs.doctor import repair as repair_problems

    problems = find_problems(run)
    if repair and problems:
        backend.start()  # quietly: some repairs take Keras
    for line in repair_problems(run, problems) if repair else [problem.text for problem in problems]:
        print(printable(line))
    remaining = find_problems(run) if repair else problems
    if not remaining:
        print(f"{run}: no problems left" if problems else f"{run}: no problems found")
    raise typer.Exit(EXIT_RUN_FOLDER if remaining else 0)
