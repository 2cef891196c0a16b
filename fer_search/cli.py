"""The command line. Each command is in ``fer_search.commands``; errors end in one line and an exit code here."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from fer_search import __version__
from fer_search.commands import results
from fer_search.commands.confirm import confirm
from fer_search.commands.data import data_app
from fer_search.commands.report import report
from fer_search.commands.run import run
from fer_search.commands.space import space_app
from fer_search.errors import UserError

# click's, or that of the click inside newer versions of typer
ClickException = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
ENVIRONMENT = "FER_SEARCH"  # FER_SEARCH_RUN_MAX_TRIALS=9 is run --max-trials 9, and so on for every option

app = typer.Typer(
    help="Search architectures and augmentations for facial emotion recognition.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain: the other cuts the variables' names, and takes "[default: ...]" for markup
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": ENVIRONMENT},
)
app.command()(run)
for command in (confirm, report, results.status, results.runs, results.trials, results.show, results.doctor):
    app.command()(command)
app.add_typer(space_app, name="space")
app.add_typer(data_app, name="data")


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit
    if debug:
        os.environ["FER_SEARCH_DEBUG"] = "1"


@app.command()
def devices() -> None:
    """Print what this machine computes on, and with which backend."""
    from fer_search import backend

    backend.start()
    for line in backend.describe_devices():
        print(line)


def main() -> None:
    """Run the command line; errors that the user can mend end in one line and an exit code."""
    try:
        code = app(prog_name="fer-search", standalone_mode=False)
    except UserError as error:
        _complain(str(error), error.exit_code)
    except ClickException as error:  # type: ignore[misc]  # wrong usage
        _complain(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _complain("stopped at once; the same command goes on from the last epoch", 130)
    except BrokenPipeError:  # who read our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # a fault of ours
        what = f"{type(error).__name__}: {error}"
        _complain(f"unexpected error, nothing on disk is lost ({what}); the same with --debug first shows where", 1)
    else:
        sys.exit(code or 0)


def _complain(message: str, exit_code: int) -> None:
    if os.environ.get("FER_SEARCH_DEBUG"):
        traceback.print_exc()
    if message:  # empty where the help was shown instead
        print(f"fer-search: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
