"""Continuing a run: with the settings that it was started with, or with a larger budget (--extend)."""

from __future__ import annotations

from typing import Any

from fer_search.errors import EXIT_MISMATCH, UserError
from fer_search.runfolder.identity import BUDGET_OPTIONS, DEFAULT_IDENTITY, check_identity, first_space_change
from fer_search.runfolder.reset import completed_trials
from fer_search.search.display.formatting import plural
from fer_search.search.run_record import identity, repeatable
from fer_search.search.state import SearchState

TUNERS_WITH_RUNGS = ("guided", "hyperband")


def check_same_run(state: SearchState, info: dict[str, Any]) -> None:
    """Refuse to resume a run with other settings; record what --extend raises."""
    settings, folder = state.settings, state.folder
    current = identity(settings, state.space, state.dataset)
    if info.get("skipped", []) != state.skipped:
        raise UserError(
            f"{folder.path} was started with other pretrained weights available: "
            f"{_names(info.get('skipped', []))} was skipped then, {_names(state.skipped)} now",
            EXIT_MISMATCH,
        )
    recorded = DEFAULT_IDENTITY | info["identity"]
    differences = {"data": f"was {info['data']['name']}, is {state.dataset.name}"}
    if info["data"]["name"] == state.dataset.name:
        differences["data"] = f"({state.dataset.name}) has other images or labels than before"
    differences["space"] = first_space_change(info["space"], state.space.text, state.space.modules)
    if not differences["space"]:  # only comments differ, or an older run.json did not record the modules
        current["space"] = recorded["space"]
    raised = check_identity(folder.path, recorded, current, BUDGET_OPTIONS if settings.extend else (), differences)
    if "--max-epochs" in raised and settings.tuner in TUNERS_WITH_RUNGS:
        raise UserError(
            f"--extend: --max-epochs of a search with --tuner {settings.tuner} cannot be changed, since it decides "
            "when trials are stopped; start another search with another --name"
            + (", or give --extend alone for one more iteration" if settings.tuner == "hyperband" else ""),
            EXIT_MISMATCH,
        )
    if "modules" not in info["space"] and state.space.modules:
        info["space"]["modules"] = state.space.modules
        folder.write_run_json(info)
    if raised:
        _record_extension(state, info, current, raised)
        if "--max-epochs" in raised and not settings.extend_trials:
            before = plural(recorded["--max-epochs"], "epoch")
            state.say(
                f"Finished trials keep their {before}; --extend-trials trains them again for {settings.max_epochs}."
            )
    elif settings.extend and not trials_to_extend(state):
        _extend_finished(state, info)


def trials_to_extend(state: SearchState) -> list[str]:
    """Return the completed trials that --extend-trials trains again, because they had fewer epochs."""
    settings = state.settings
    if not settings.extend_trials or settings.tuner in TUNERS_WITH_RUNGS:
        return []
    return [trial for trial in completed_trials(state.folder.path) if state.jobs.budget(trial) < settings.max_epochs]


def _extend_finished(state: SearchState, info: dict[str, Any]) -> None:
    """Let a finished Hyperband search begin another iteration of its brackets.

    Raises:
        UserError: The search is finished, and nothing was raised that would continue it.
    """
    settings = state.settings
    if info.get("state") != "finished":
        return  # it goes on anyway
    if settings.tuner == "hyperband" and settings.baselines != "only" and settings.max_trials is None:
        before = info["tuner"].get("iterations", 1)
        info["tuner"]["iterations"] = before + 1
        extension: dict[str, Any] = {"after_trials": len(state.folder.trial_files())}
        extension |= {"from": {"iterations": before}, "to": {"iterations": before + 1}}
        info |= {"extended": [*info.get("extended", ()), extension], "state": "running"}
        state.folder.write_run_json(info)
        state.say(f"Extending: iteration {before + 1} of Hyperband's brackets.")
        return
    if settings.tuner == "grid":
        raise UserError("--extend: every combination of the grid has been tried; widen the space under another --name")
    larger = {"--max-trials": settings.max_trials, "--search-patience": settings.search_patience}
    options = " or ".join(f"{name} than {value}" for name, value in larger.items() if value is not None)
    if not options:
        raise UserError("--extend: the search is finished, as no untried design is left in the space")
    raise UserError(f"--extend: the search is finished; give a larger {options}")


def _record_extension(state: SearchState, info: dict[str, Any], current: dict[str, Any], raised: list[str]) -> None:
    settings = state.settings
    info["command"] = repeatable(settings.command)
    extension = {
        "after_trials": len(state.folder.trial_files()),
        "from": {name: info["identity"].get(name) for name in raised},
        "to": {name: current[name] for name in raised},
    }
    info |= {"extended": [*info.get("extended", ()), extension], "state": "running"}  # no longer finished, if it was
    info["identity"] |= current
    info["tuner"] |= {
        "max_trials": settings.max_trials,
        "max_epochs": settings.max_epochs,
        "time_budget": settings.time_budget,
        "search_patience": settings.search_patience,
    }
    state.folder.write_run_json(info)


def _names(skipped: list[dict[str, str]]) -> str:
    return ", ".join(entry["what"] for entry in skipped) or "nothing"
