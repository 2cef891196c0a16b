"""The confirmation that follows a search in the same command, ``fer-search run --confirm``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from fer_search.errors import UserError

if TYPE_CHECKING:
    from fer_search.search.settings import Settings


def check_not_tested(settings: Settings) -> None:
    """Refuse to search on and confirm again: the designs would be chosen after a look at test accuracies.

    Raises:
        UserError: The run is extended, and was confirmed; or one of its files is a link.
    """
    from fer_search.runfolder.confirmation import previous_evaluations, read_confirm_json
    from fer_search.runfolder.guard import check_contained

    if not (settings.confirm and settings.extend):
        return
    check_contained(settings.folder)
    if previous_evaluations(read_confirm_json(settings.folder)):
        raise UserError(
            f"{settings.folder} was confirmed. Extend it without --confirm; then fer-search confirm {settings.folder} "
            "--overwrite tests again, and the report says so"
        )


def confirm_gain(settings: Settings, quiet: bool = False, as_json: bool = False) -> int:
    """Confirm the recommended design, the best proposal and the best baseline of a search; return the exit code.

    Args:
        settings: Options of the search.
        quiet: Print the result only.
        as_json: Print it as a line of JSON.
    """
    from fer_search.commands.results import wide_console
    from fer_search.confirm.run import run_confirm
    from fer_search.confirm.settings import Settings as ConfirmSettings
    from fer_search.console import SafeConsole
    from fer_search.report.tables.confirmed import confirmed_as_json, confirmed_table
    from fer_search.runfolder.folder import RunFolder

    info = RunFolder(settings.folder).read_run_json() or {}
    found = [info.get("recommended"), *(info.get("gain", {}).get(key) for key in ("proposal", "baseline"))]
    trials = dict.fromkeys(str(int(trial)) for trial in found if trial) if "gain" in info else {}
    request = settings.worker_request
    if request.workers is None:  # auto: as many as the search has chosen
        request = dataclasses.replace(request, workers=int(info.get("workers", 1)))
    asked = ConfirmSettings(
        run=settings.folder,
        top=1,
        trials=tuple(trials),
        weights_dir=settings.weights_dir,
        ferplus_csv=settings.ferplus_csv,
        devices=settings.devices,
        workers=request,
        command=settings.command,
    )
    code = run_confirm(asked, SafeConsole(stderr=True, quiet=quiet))
    if code == 0 and as_json:
        print(f'{{"event": "confirmed", "results": {confirmed_as_json(settings.folder)}}}')
    elif code == 0:
        wide_console().print(confirmed_table(settings.folder))
    return code
