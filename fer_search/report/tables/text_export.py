"""Tables -> Markdown, csv and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fer_search.report import formatting
from fer_search.report.statistics.budgets import varied
from fer_search.report.statistics.effects import effects, in_words
from fer_search.report.statistics.importance import conclusion
from fer_search.report.statistics.published import (
    HEADS,
    PAIR_HEADS,
    PublishedRow,
    baseline_pairs,
    columns_shown,
    pair_line,
    protocol_differences,
    published_line,
    published_rows,
)
from fer_search.report.statistics.verdict import verdict
from fer_search.report.tables.analysis import RunAnalysis, load_analysis
from fer_search.report.tables.confirmed import HEADS as TESTED_HEADS
from fer_search.report.tables.confirmed import confirmed_lines, notes
from fer_search.report.tables.confirmed import in_words as tested_in_words
from fer_search.report.tables.trials import CHOICE, load_trials
from fer_search.runfolder.run_json import RunInfo, load_run


def to_csv(run: str | Path) -> str:
    """Return the table of ``load_trials`` as csv, with the run, its data, protocol and width in every row.

    Raises:
        UserError: the folder is missing or no run, or a file in it is broken.
    """
    info, trials = load_run(run), load_trials(run)
    about = {"run": info.name, "data": info.data.get("name", ""), "toy": info.toy, "protocol": info.protocol}
    return trials.assign(**about, width=info.width).to_csv(index=False, lineterminator="\n")


def to_json(run: str | Path) -> str:
    """Return a run as JSON.

    "run" is what run.json says, "choices", "cautions" and "verdict" lists, "epochs_compared" the budget of
    "importances" and "effects" (the tables of those functions), "baselines" and "baseline_pairs" what
    ``published.published_rows`` and ``baseline_pairs`` say ("low" and "high" end 95% intervals), "confirmed" and
    "trials" the tables of ``load_confirmation`` and ``load_trials``.

    Raises:
        UserError: the folder is missing or no run, or a file in it is broken.
    """
    analysis = load_analysis(run)
    info, trials = analysis.info, analysis.trials
    about = {key: value for key, value in vars(info).items() if key not in ("path", "choices")}
    choices = [vars(choice) for choice in info.choices]
    found = verdict(info, trials, tested_in_words(analysis.confirmed))
    content = {
        "run": about,
        "choices": choices,
        "cautions": info.cautions(),
        "verdict": [found.headline, *found.details],
        "epochs_compared": analysis.budget,
        "conclusion": conclusion(analysis.importances(analysis.budget)),
        "importances": _records(analysis.importances(analysis.budget)),
        "effects": _records(_effects(analysis, analysis.curves)),
        **_baselines(info, trials),
        "confirmed": _records(analysis.confirmed),
        "trials": _records(trials),
    }
    return json.dumps(content, indent=1) + "\n"


def to_markdown(run: str | Path) -> str:
    """Return the verdict, the ranking, the baselines beside what was published, and the failures, as Markdown.

    Raises:
        UserError: the folder is missing or no run, or a file in it is broken.
    """
    analysis = load_analysis(run)
    info, trials = analysis.info, analysis.trials
    found = verdict(info, trials, tested_in_words(analysis.confirmed))
    parts = [f"# {_plain(info.name)}", "\n".join(f"> {_plain(line)}  " for line in info.cautions())]
    parts += [f"**{_plain(found.headline)}**", "\n".join(f"- {_plain(line)}" for line in found.details)]
    if len(trials):
        parts += ["## Ranking", _ranking(info, trials)]
    added = _effects(analysis)
    if len(added):
        lines = [f"- {_plain(in_words(row))}" for _, row in added.iterrows()]
        at = f" at {formatting.plural(analysis.budget, 'epoch')}" if analysis.budget else ""
        parts += [f"## What matters{at}", _plain(conclusion(analysis.importances(analysis.budget))), "\n".join(lines)]
    if len(analysis.confirmed):
        parts += [
            "## Tested once",
            " ".join(notes(info.path)),
            _table(TESTED_HEADS, confirmed_lines(analysis.confirmed)),
        ]
    published = published_rows(info, trials)
    if published:
        parts += ["## Baselines and published accuracies", _published(info, published)]
    failed = trials[trials["status"] == "failed"]
    if len(failed):
        parts += [
            "## Failures",
            "\n".join(
                f"- {_plain(f'{formatting.title(r)}: {formatting.reason(r.message)}')}" for _, r in failed.iterrows()
            ),
        ]
    if info.command:
        parts += ["## How to repeat this", "".join(f"    {line}\n" for line in info.command.splitlines()).rstrip()]
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def _baselines(info: RunInfo, trials: pd.DataFrame) -> dict[str, list[dict]]:
    rows = published_rows(info, trials)
    said = [
        {"name": row.name, "published": row.published, "seeds": row.seeds, "trials": row.trials["trial"].tolist()}
        | dict(zip(("accuracy", "low", "high"), map(_number, row.mean), strict=True))
        | dict(zip(("difference", "difference_low", "difference_high"), map(_number, row.difference), strict=True))
        for row in rows
    ]
    pairs = [
        {"name": one.name, "against": one.against, "seeds": one.seeds, "seeds_against": one.seeds_against}
        | {key: _number(value) for key, value in one.found._asdict().items()}
        | {"verdict": one.verdict}
        for one in baseline_pairs(rows)
    ]
    return {"baselines": said, "baseline_pairs": pairs}


def _number(value: float) -> float | None:
    return None if pd.isna(value) else value


def _effects(analysis: RunAnalysis, curves: pd.DataFrame | None = None) -> pd.DataFrame:
    compared = analysis.compared(analysis.budget)
    return effects(compared, varied(compared.trials, analysis.info.choices), curves)


def _records(table: pd.DataFrame) -> list[dict]:
    return json.loads(table.to_json(orient="records", double_precision=15))


def _ranking(info: RunInfo, trials: pd.DataFrame) -> str:
    choices = [c for c in trials.columns if c.startswith(CHOICE)]
    scored = trials["accuracy"].notna().any()
    clean = ["clean accuracy"] if info.protocol == "report" else []
    goal = "accuracy (95% interval)" if scored else "score"
    heads = ["", "trial", goal, *clean, "epochs", *map(formatting.label, choices)]
    rows = []
    for place, (_, row) in enumerate(trials.iterrows(), 1):
        shown = formatting.with_interval(row) if scored else formatting.value(row["score"])
        cells = [
            str(place) if row["status"] == "completed" else "",
            formatting.trial(row),
            shown + ("*" if row["indistinguishable_from_best"] else ""),
        ]
        cells += [formatting.percent(row["clean_accuracy"])] if clean else []
        cells += [formatting.value(row["epochs"]), *(formatting.value(row[c]) for c in choices)]
        rows.append(
            [
                *cells,
                formatting.count(row["parameters"]),
                formatting.gigaflops(row["flops"]),
                formatting.duration(row["seconds"]),
                row["status"],
            ]
        )
    note = (
        "\n\\* not to be told apart from the best at 95%, so the best included.\n"
        if trials["indistinguishable_from_best"].any()
        else ""
    )
    return _table([*heads, "parameters", "GFLOP", "time", "status"], rows) + note


def _published(info: RunInfo, rows: list[PublishedRow]) -> str:
    ways, pairs = protocol_differences(info), baseline_pairs(rows)
    shown = columns_shown(rows)
    lines = [published_line(row, info.toy, ways) for row in rows]
    table = _table([HEADS[k] for k in shown], [[line[k] for k in shown] for line in lines])
    ways = ways if len(shown) == len(HEADS) else ""
    against = _table(list(PAIR_HEADS), [list(pair_line(pair)) for pair in pairs]) if pairs else ""
    return "\n".join(filter(None, (f"Not like for like: here, {_plain(ways)}.\n" if ways else "", table, against)))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(_plain(cell) for cell in line) + " |\n" for line in lines).rstrip("\n") + "\n"


def _plain(text: object) -> str:
    """Return text that Markdown shows as it is."""
    escaped = re.sub(r"([\\\\|*\[\]`])", r"\\\1", str(text))
    return re.sub(r"\s*\n\s*", " ", escaped).replace("<", "&lt;")
