"""The command line that a run records, to be given again."""

from __future__ import annotations

import shlex
import sys

import typer


def command_line(context: typer.Context) -> str:
    """Return this process's command line with the options that came from the environment."""
    parts = ["fer-search", *sys.argv[1:]]
    for parameter in context.command.params:
        source, value = context.get_parameter_source(str(parameter.name)), context.params.get(str(parameter.name))
        if source is not None and source.name == "ENVIRONMENT":
            text = str(parameter.resolve_envvar_value(context))
            parts += [parameter.opts[0]] if value is True else [parameter.opts[0], text]
    return shlex.join(parts)
