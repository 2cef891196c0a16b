"""Tables -> Markdown, csv and JSON."""

from __future__ import annotations

import json
from pathlib import Path


from fer_search.report import words
from fer_search.report.load import CHOICE, load_run, load_trials
from fer_search.report.published import published_rows


def to_csv(run: str | Path) -> str:
    """Return the table of ``load_trials`` as csv."""
    return load_trials(run).to_csv(index=False, lineterminator="\n")


def to_json(run: str | Path) -> str:
    """Return {"run": run.json without the space's text, "cautions": [...], "trials": the table of ``load_trials``}."""
    info = load_run(run)
    about = {key: value for key, value in info.raw.items() if key != "space"}
    trials = json.loads(load_trials(run).to_json(orient="records"))
    return json.dumps({"run": about, "cautions": info.cautions(), "trials": trials}, indent=1) + "\n"


def to_markdown(run: str | Path) -> str:
    """Return the ranking, and the references beside what was measured, as Markdown."""
    info, trials = load_run(run), load_trials(run)
    choices = [c for c in trials.columns if c.startswith(CHOICE)]
    heads = ["trial", "accuracy (95%)", "epochs", *map(words.label, choices), "parameters", "time", "status"]
    rows = [
        [
            words.title(row).removeprefix("Trial "),
            words.with_interval(row),
            str(row["epochs"]),
            *(words.value(row[c]) for c in choices),
            words.count(row["parameters"]),
            words.duration(row["seconds"]),
            row["status"].lower(),
        ]
        for _, row in trials.iterrows()
    ]
    text = f"# {info.name}\n\n" + "".join(f"> {line}\n" for line in info.cautions()) + "\n" + _table(heads, rows)
    published = published_rows(info, trials)
    if published:
        text += "\n" + _table(["what", "published", "here"], [list(row) for row in published])
    return text


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


