"""Tables -> Markdown, csv and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fer_search.report import formatting
from fer_search.report.statistics.effects import effects, recall_effects
from fer_search.report.statistics.importance import conclusion
from fer_search.report.statistics.published import (
    HEADS,
    PAIR_HEADS,
    PublishedRow,
    baseline_pairs,
    columns_shown,
    pair_line,
    pairs_note,
    protocol_differences,
    published_line,
    published_rows,
)
from fer_search.report.statistics.verdict import verdict
from fer_search.report.tables.analysis import RunAnalysis, load_analysis
from fer_search.report.tables.confirmed import HEADS as TESTED_HEADS
from fer_search.report.tables.confirmed import confirmed_lines, notes
from fer_search.report.tables.designs import design_keys
from fer_search.report.tables.trials import CHOICE
from fer_search.runfolder.run_json import RunInfo
from fer_search.terminal import spreadsheet_safe


def to_csv(run: str | Path) -> str:
    """Return the table of ``load_trials`` as csv, with design number, notes, run, data, protocol and width.

    Raises:
        UserError: the folder is missing or not a run, or a file in it is broken.
    """
    analysis = load_analysis(run)
    info, trials = analysis.info, analysis.trials
    notes_of = [analysis.notes.get(trial) for trial in trials["trial"].astype(str)]
    trials = trials.assign(
        design=design_keys(trials) + 1,
        tags=[", ".join(note.tags) if note else "" for note in notes_of],
        notes=[" | ".join(note.texts) if note else "" for note in notes_of],
        run=info.name,
        data=info.data.get("name", ""),
        toy=info.toy,
        protocol=info.protocol,
        width=info.width,
    )
    safe = trials.map(lambda cell: spreadsheet_safe(cell) if isinstance(cell, str) else cell)
    return safe.rename(columns=spreadsheet_safe).to_csv(index=False, lineterminator="\n")


def to_json(run: str | Path) -> str:
    """Return a run as JSON.

    "run" is the content of run.json, "choices", "cautions" and "verdict" are lists, "importances", "effects" and
    "recall_effects" the tables of these functions (from all budgets together, in accuracy at "epochs_compared"),
    "baselines" and "baseline_pairs" those of ``published.published_rows`` and ``baseline_pairs`` ("low" and "high" are
    the limits of 95% intervals), "confirmed", "designs" and "trials" those of ``load_confirmation``, ``load_designs``
    and ``load_trials``, and "notes" the user's notes by trial.

    Raises:
        UserError: the folder is missing or not a run, or a file in it is broken.
    """
    analysis = load_analysis(run)
    info = analysis.info
    statement = verdict(analysis)
    content = {
        "run": {key: value for key, value in vars(info).items() if key not in ("path", "choices", "objective")}
        | {"objective": info.objective.to_dict()},
        "choices": [vars(choice) for choice in info.choices],
        "cautions": info.cautions(),
        "verdict": [statement.headline, *statement.details],
        "majority_class": analysis.majority._asdict() if analysis.majority else None,
        "epochs_compared": analysis.measurements.budgets[-1] if analysis.measurements.budgets else None,
        "conclusion": conclusion(analysis.importances, len(analysis.measurements.designs)),
        "importances": _records(analysis.importances),
        "effects": _records(effects(analysis.fit)),
        "recall_effects": _records(recall_effects(analysis.trials, analysis.curves, analysis.varied)),
        **_baselines(info, analysis.trials),
        "confirmed": _records(analysis.confirmed),
        "designs": _records(analysis.designs),
        "trials": _records(analysis.trials),
        "notes": {trial: note._asdict() for trial, note in analysis.notes.items()},
    }
    return json.dumps(content, indent=1) + "\n"


def to_markdown(run: str | Path) -> str:
    """Return the verdict, the ranking, the baselines beside published accuracies, and the failures, as Markdown.

    Raises:
        UserError: the folder is missing or not a run, or a file in it is broken.
    """
    analysis = load_analysis(run)
    info, statement = analysis.info, verdict(analysis)
    parts = [f"# {_plain(info.name)}", "\n".join(f"> {_plain(line)}  " for line in info.cautions())]
    parts += [f"**{_plain(statement.headline)}**", "\n".join(f"- {_plain(line)}" for line in statement.details)]
    if len(analysis.designs):
        parts += ["## Ranking", _ranking(analysis)]
    if len(analysis.importances):
        parts += ["## Which choices matter, and by how much", _importances(analysis)]
    if len(analysis.confirmed):
        parts += [
            "## Test results",
            " ".join(notes(info.path)),
            _table(TESTED_HEADS, confirmed_lines(analysis.confirmed)),
        ]
    published = published_rows(info, analysis.trials)
    if published:
        parts += ["## Baselines and published accuracies", _published(info, published)]
    failed = analysis.trials[analysis.trials["status"] == "failed"]
    if len(failed):
        lines = [f"{formatting.title(row)}: {formatting.reason(row.message)}" for _, row in failed.iterrows()]
        parts += ["## Failures", "\n".join(f"- {_plain(line)}" for line in lines)]
    if info.command:
        parts += ["## How to repeat this", "".join(f"    {line}\n" for line in info.command.splitlines()).rstrip()]
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def _importances(analysis: RunAnalysis) -> str:
    table = analysis.importances
    lines = [
        [
            formatting.label(row.choice),
            f"{row.share:.0%} ({row.share_low:.0%} to {row.share_high:.0%})",
            f"{row.value} instead of {row.against}",
            f"{formatting.signed_points(row.difference)} ({formatting.points_interval(row.low, row.high)})",
            row.verdict,
        ]
        for row in formatting.rows(table)
    ]
    heads = ["choice", "share of the variance (95%)", "largest effect", "points (simultaneous 95%)", "verdict"]
    return _plain(conclusion(table, len(analysis.measurements.designs))) + "\n\n" + _table(heads, lines)


def _baselines(info: RunInfo, trials: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    rows = published_rows(info, trials)
    baselines = [
        {"name": row.name, "published": row.published, "seeds": row.seeds, "trials": row.trials["trial"].tolist()}
        | dict(zip(("accuracy", "low", "high"), map(_number, row.mean), strict=True))
        | dict(zip(("difference", "difference_low", "difference_high"), map(_number, row.difference), strict=True))
        for row in rows
    ]
    pairs = [
        {"name": pair.name, "against": pair.against, "seeds": pair.seeds, "seeds_against": pair.seeds_against}
        | {key: _number(value) for key, value in pair.result._asdict().items()}
        | {"verdict": pair.verdict}
        for pair in baseline_pairs(rows)
    ]
    return {"baselines": baselines, "baseline_pairs": pairs}


def _number(value: float) -> float | None:
    return None if pd.isna(value) else value


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return records


def _ranking(analysis: RunAnalysis) -> str:
    info, designs = analysis.info, analysis.designs
    choices = [column for column in designs.columns if column.startswith(CHOICE)]
    scored = designs["accuracy"].notna().any()
    metrics = [name for name in ("balanced_accuracy", "macro_f1") if designs[name].notna().any()]
    metrics += ["clean_accuracy"] if info.protocol == "report" else []
    goal = "accuracy (95% interval)" if scored else "score"
    heads = ["", "trial", goal, *(name.replace("_f1", " F1").replace("_", " ") for name in metrics), "seeds", "epochs"]
    rows = []
    for rank, (_, row) in enumerate(designs.iterrows(), 1):
        result = formatting.with_interval(row) if scored else formatting.value(row["score"])
        cells = [str(rank) if row["status"] == "completed" else "", formatting.trial(row)]
        cells += [result + ("*" if row["indistinguishable_from_best"] else "")]
        cells += [formatting.percent(row[name]) for name in metrics]
        cells += [formatting.value(row["seeds"]), formatting.value(row["epochs"])]
        cells += [formatting.value(row[choice]) for choice in choices]
        cells += [formatting.count(row["parameters"]), formatting.gigaflops(row["flops"])]
        rows.append([*cells, formatting.duration(row["seconds"]), analysis.outcome(row["status"], row["trials"])])
    marked = designs["indistinguishable_from_best"].any()
    note = "\n\\* not significantly different from the best (95%, Bonferroni).\n" if marked else ""
    heads += [*map(formatting.label, choices), "parameters", "GFLOPs", "time", "status"]
    return _table(heads, rows) + note


def _published(info: RunInfo, rows: list[PublishedRow]) -> str:
    differences, pairs = protocol_differences(info), baseline_pairs(rows)
    shown = columns_shown(rows)
    lines = [published_line(row, info.toy, differences) for row in rows]
    table = _table([HEADS[index] for index in shown], [[line[index] for index in shown] for line in lines])
    differences = differences if len(shown) == len(HEADS) else ""
    against = _table(list(PAIR_HEADS), [list(pair_line(pair)) for pair in pairs]) if pairs else ""
    how = _plain(pairs_note(pairs)) + "\n" if pairs else ""
    caveat = f"Not comparable: {_plain(differences)}.\n" if differences else ""
    return "\n".join(filter(None, (caveat, table, how, against)))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(_plain(cell) for cell in line) + " |\n" for line in lines).rstrip("\n") + "\n"


def _plain(text: object) -> str:
    """Return text that Markdown shows as it is."""
    escaped = re.sub(r"([\\\\|*\[\]`])", r"\\\1", str(text))
    return re.sub(r"\s*\n\s*", " ", escaped).replace("<", "&lt;")
