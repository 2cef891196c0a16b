"""The command line. The commands are in ``fer_search.commands``; errors become one line and an exit code here."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import traceback
from typing import Annotated

import typer

from fer_search import __version__
from fer_search.commands import change, results
from fer_search.commands.confirm import confirm
from fer_search.commands.data import data_app
from fer_search.commands.export import export
from fer_search.commands.note import note
from fer_search.commands.panels import PanelCommand
from fer_search.commands.predict import predict
from fer_search.commands.report import report
from fer_search.commands.run import run
from fer_search.commands.space import space_app
from fer_search.errors import UserError
from fer_search.terminal import OutputError, guarded_streams, printable

# click's, or that of the click inside newer versions of typer
ClickException = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
BARE_OPTIONS = {"--drop-duplicates": "exact"}  # option -> its value if it stands alone
ENVIRONMENT = "FER_SEARCH"  # FER_SEARCH_RUN_MAX_TRIALS=9 is run --max-trials 9, and so on for every option

# Not from FER_SEARCH_VERSION, which would make every command print the version.
VERSION = typer.Option("--version", help="Print the version and exit.", is_eager=True, allow_from_autoenv=False)

app = typer.Typer(
    help="Search architectures and augmentations for facial emotion recognition.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich truncates variable names and takes "[default: ...]" for markup
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": ENVIRONMENT},
)
app.command(cls=PanelCommand)(run)
for command in (
    confirm,
    export,
    predict,
    report,
    results.status,
    results.runs,
    results.trials,
    results.show,
    note,
    results.doctor,
    change.retry,
    change.add,
):
    app.command()(command)
app.add_typer(space_app, name="space")
app.add_typer(data_app, name="data")


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, VERSION] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit
    if debug:
        os.environ["FER_SEARCH_DEBUG"] = "1"


@app.command()
def devices() -> None:
    """Show the devices of this machine and the backend that a run uses."""
    from fer_search import backend

    for line in backend.describe_devices():
        print(line)


def main() -> None:
    """Run the command line; user errors end in one line on stderr and an exit code."""
    with guarded_streams():
        _main()


def _main() -> None:
    try:
        code = _run_command()
        sys.stdout.flush()
    except UserError as error:
        _exit_with_error(str(error), error.exit_code)
    except ClickException as error:  # type: ignore[misc]  # usage error
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())  # the help of a command group, line by line
            sys.exit(error.exit_code)
        _exit_with_error(error.format_message().replace(": Value error, ", ": "), error.exit_code)  # of the validator
    except (KeyboardInterrupt, typer.Abort):
        _exit_with_error("stopped; re-run the same command to resume from the last epoch", 130)
    except OutputError as error:
        _exit_without_output(error)
    except Exception as error:  # a bug
        cause = f"{type(error).__name__}: {error}"
        _exit_with_error(f"unexpected error ({cause}); nothing on disk is lost; fer-search --debug shows where", 1)
    else:
        sys.exit(code or 0)


def _run_command() -> int | None:
    """Run the command and return its exit code; unlike ``app()``, Ctrl-C stays a KeyboardInterrupt."""
    command = typer.main.get_command(app)
    command._main_shell_completion({}, "fer-search")  # Tab was pressed: prints what fits, and exits
    try:
        with command.make_context("fer-search", with_default_values(sys.argv[1:])) as context:
            code: int | None = command.invoke(context)
            return code
    except typer.Exit as ended:
        return ended.exit_code


def with_default_values(arguments: list[str]) -> list[str]:
    """Give options that may stand without a value their default one; Typer has no such options."""
    completed: list[str] = []
    for argument, following in itertools.pairwise([*arguments, "-"]):
        completed.append(argument)
        if argument in BARE_OPTIONS and following.startswith("-"):
            completed.append(BARE_OPTIONS[argument])
    return completed


def _exit_without_output(error: OutputError) -> None:
    """End after standard output failed: quietly if its reader closed it, else with a line on stderr."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # nothing more may go there, at exit neither
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error.__cause__, BrokenPipeError):
        _exit_with_error(f"the output could not be written ({error}); free some space or choose another place", 1)


def _exit_with_error(message: str, exit_code: int) -> None:
    if os.environ.get("FER_SEARCH_DEBUG"):
        traceback.print_exc()
    if message:  # empty if help was shown instead
        print(printable(f"fer-search: {' '.join(message.split())}"), file=sys.stderr)
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
