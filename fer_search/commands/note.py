"""fer-search note."""

from __future__ import annotations

from typing import Annotated

import typer

from fer_search.commands.options import GivenRun
from fer_search.errors import UserError


def note(
    run: GivenRun,
    trial: Annotated[str, typer.Argument(help="Its number, or the name of a baseline.")],
    text: Annotated[str, typer.Argument(help="The note.")] = "",
    tag: Annotated[
        list[str] | None, typer.Option(help="Short label, to filter the report by; repeatable.", metavar="TAG")
    ] = None,
) -> None:
    """Add a note or tags to a trial, for the report.

    The report shows them, also while the run continues.
    """
    from fer_search.report import load_trials
    from fer_search.report.formatting import title
    from fer_search.runfolder.notes import append_note
    from fer_search.runs.show import find_trial
    from fer_search.terminal import printable

    tags = tuple(name.strip() for name in tag or () if name.strip())
    if not text.strip() and not tags:
        raise UserError('give a note ("fails on dark faces") or --tag NAME')
    row = find_trial(load_trials(run), trial)
    append_note(run, str(row["trial"]), text.strip(), tags)
    print(printable(f"noted: {title(row)}"))
