"""The command line that a run records."""

import sys
from typing import Annotated

import typer
from typer.testing import CliRunner

from fer_search.commands.command_line import command_line


def test_options_from_the_environment_are_part_of_it(monkeypatch):
    app = typer.Typer()

    @app.command()
    def run(
        context: typer.Context,
        trials: Annotated[int, typer.Option(envvar="MY_TRIALS")] = 50,
        equal: Annotated[bool, typer.Option("--equal", envvar="MY_EQUAL")] = False,
        name: Annotated[str, typer.Option(envvar="MY_NAME")] = "x",
        views: Annotated[bool, typer.Option("--views/--no-views", envvar="MY_VIEWS")] = True,
        fix: Annotated[list[str] | None, typer.Option(envvar="MY_FIX")] = None,
    ) -> None:
        print(command_line(context))

    monkeypatch.setattr(sys, "argv", ["/bin/fer-search", "run", "--name", "my run"])
    arguments = ["--name", "my run"]
    assert CliRunner().invoke(app, arguments).stdout == "fer-search run --name 'my run'\n"
    given = CliRunner().invoke(app, arguments, env={"MY_TRIALS": "7", "MY_EQUAL": "1", "MY_NAME": "other"})
    assert given.stdout == "fer-search run --name 'my run' --trials 7 --equal\n"
    given = CliRunner().invoke(app, arguments, env={"MY_EQUAL": "0", "MY_VIEWS": "0", "MY_FIX": "a=1 b=2"})
    assert given.stdout == "fer-search run --name 'my run' --no-views --fix a=1 --fix b=2\n"
