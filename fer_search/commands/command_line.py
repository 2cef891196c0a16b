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
        if source is None or source.name != "ENVIRONMENT":
            continue
        if isinstance(value, bool):
            parts += parameter.opts[:1] if value else parameter.secondary_opts[:1]
        else:
            given = parameter.value_from_envvar(context)  # the values of a repeatable option, or a text
            for text in [given] if isinstance(given, str) else given or ():
                parts += [parameter.opts[0], str(text)]
    return shlex.join(parts)
