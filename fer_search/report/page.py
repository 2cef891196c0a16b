"""Tables and figures -> one HTML file that needs nothing else."""

from __future__ import annotations

import json
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
import plotly
import plotly.offline

from fer_search.files import write_text
from fer_search.report import words
from fer_search.report.compare import at_epochs, common_epochs
from fer_search.report.figures import plot_best_so_far, plot_choice, plot_learning_curves
from fer_search.report.figures.theme import CONFIG
from fer_search.report.load import CHOICE, RunInfo, load_epochs, load_run, load_trials
from fer_search.report.published import published_rows

CDN = "https://cdn.plot.ly/plotly-{version}.min.js"


def write_report(run: str | Path, out: Path | None = None, plotly_js: str = "inline") -> Path:
    """Write a run's report.

    Args:
        run: the run folder.
        out: the HTML file; report.html in the run folder by default.
        plotly_js: "inline" puts plotly.js into the file, which then needs no network; "cdn" links to it (4.8 MB less).

    Returns:
        The file.

    Raises:
        UserError: the folder is no run, or a file in it is broken.
    """
    info, trials, epochs = load_run(run), load_trials(run), load_epochs(run)
    out = out or info.path / "report.html"
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, render(info, trials, epochs, plotly_js))
    return out


def render(info: RunInfo, trials: pd.DataFrame, epochs: pd.DataFrame, plotly_js: str = "inline") -> str:
    """Return the page; the arguments are those of the public loaders."""
    charts: dict[str, Any] = {}
    sections = [
        ("verdict", "Verdict", _verdict(info, trials)),
        ("ranking", "Ranking", _ranking(info, trials)),
        ("choices", "Accuracy against each choice", _choices(info, trials, epochs, charts)),
        ("curves", "Learning curves", _curves(info, trials, epochs, charts)),
        ("search", "The search", _search(info, trials, charts)),
        ("published", "Beside the published accuracies", _published(info, trials)),
        ("repeat", "How to repeat this", _repeat(info)),
    ]
    sections = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in sections)
    body = "".join(f'<section aria-labelledby="{n}"><h2 id="{n}">{t}</h2>{html}</section>' for n, t, html in sections)
    files = resources.files("fer_search.report")
    css, script = ((files / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    title = f"fer-search: {escape(info.name)}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{css}</style></head><body><header><h1>{escape(info.name)}</h1><p>{_subtitle(info)}</p></header>"
        f'<nav aria-label="Sections">{links}</nav><main>{_cautions(info)}{body}</main>'
        f'<script type="application/json" id="charts">{_json(charts)}</script>{_plotly(plotly_js)}<script>{script}</script>'
        "</body></html>\n"
    )


def _plotly(how: str) -> str:
    if how == "cdn":
        return f'<script src="{CDN.format(version=plotly.offline.get_plotlyjs_version())}"></script>'
    return f"<script>{plotly.offline.get_plotlyjs()}</script>"


def _json(charts: dict[str, Any]) -> str:
    # "</script>" and "<!--" in a string would end the script element
    return json.dumps(charts).replace("<", "\\u003c")


def _chart(charts: dict[str, Any], name: str, figure: Any, caption: str, words: str = "") -> str:
    charts[name] = {"figure": json.loads(figure.to_json()), "config": CONFIG}
    note = f'<p class="note">{words}</p>' if words else ""
    height = figure.layout.height
    return f'<figure><figcaption>{caption}</figcaption>{note}<div class="chart" id="{name}" style="height:{height}px"></div></figure>'


def _subtitle(info: RunInfo) -> str:
    data, raw = info.raw.get("data", {}), info.raw
    facts = [data.get("name"), raw.get("device"), raw.get("created", "")[:10]]
    return escape(" · ".join(str(fact) for fact in facts if fact)) or "a Keras Tuner project"


def _cautions(info: RunInfo) -> str:
    lines = "".join(f"<p>{escape(line)}</p>" for line in info.cautions())
    return f'<div class="warning" role="note">{lines}</div>' if lines else ""


def _verdict(info: RunInfo, trials: pd.DataFrame) -> str:
    scored = trials[trials["accuracy"].notna()]
    if trials.empty:
        text = "No trial yet: the search has just begun, or was stopped before its first trial."
    elif scored.empty:
        text = "No trial has a result: see why in the ranking below."
    else:
        text = _best_in_words(scored)
    tuner = info.raw.get("tuner", {})
    facts = {
        "Trials": f"{len(scored)} with a result, {int((trials['status'] == 'FAILED').sum())} failed",
        "Epochs trained": f"{int(_epochs_trained(trials))}",
        "Time": words.duration(info.raw.get("seconds", trials["seconds"].sum() or float("nan"))),
        "Tuner": f"{tuner.get('name', 'Keras Tuner')}, up to {tuner.get('max_epochs', '?')} epochs",
        "Training images": f"{info.raw.get('data', {}).get('train', 0):,}" if info.raw else "–",
        "Validation images": f"{info.validation:,}" if info.validation else "–",
        "State": str(info.raw.get("state", "–")),
    }
    items = "".join(f"<div><dt>{k}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items())
    return f'<p class="verdict">{text}</p><dl class="facts">{items}</dl>'


def _epochs_trained(trials: pd.DataFrame) -> int:
    """Return the epochs that were trained: a promoted trial's own ones only."""
    reached = trials.set_index("trial")["epochs"]
    before = trials["parent"].map(reached).fillna(0)
    return int((trials["epochs"] - before).clip(lower=0).sum())


def _best_in_words(scored: pd.DataFrame) -> str:
    best = scored.iloc[0]
    equals = int(scored["as_good_as_best"].sum()) - 1
    text = (
        f"The best is <strong>{escape(words.title(best).lower())}</strong> with "
        f"<strong>{words.with_interval(best)}</strong> of the validation images right: {escape(words.design(best))}."
    )
    if equals > 0:
        text += f" {equals} other trial{'s' if equals > 1 else ''} cannot be told apart from it at 95%."
    return text


def _ranking(info: RunInfo, trials: pd.DataFrame) -> str:
    if trials.empty:
        return ""
    report = info.raw.get("protocol") == "report"
    choices = [c for c in trials.columns if c.startswith(CHOICE)]
    heads = [("trial", 1), ("accuracy (95%)", 1), *([("clean accuracy", 1)] if report else []), ("epochs", 1)]
    heads += [(words.label(c), 0) for c in choices] + [("parameters", 1), ("GFLOP", 1), ("time", 1), ("status", 0)]
    head = "".join(
        f'<th scope="col"{" class=n" if n else ""}><button type="button">{escape(name)}</button></th>' for name, n in heads
    )
    rows = "".join(_ranked_row(row, choices, report) for _, row in trials.iterrows())
    note = (
        "Accuracy is the best epoch's, over the validation images; the interval is Wilson's. The mark on the left: not to be "
        "told apart from the best at 95% (conservative, since all trials see the same images). Click a heading to sort."
    )
    return (
        f'<p class="note">{note}</p><p class="filter"><label>Filter: <input type="search" data-table="trials" '
        f'placeholder="strided failed ..."></label></p><div class="scroll" tabindex="0" role="region" aria-label="Ranking">'
        f'<table id="trials"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _ranked_row(row: pd.Series, choices: list[str], report: bool) -> str:
    kind = "failed" if row["status"] == "FAILED" else "best" if row["as_good_as_best"] else ""
    flops = row["flops"] / 1e9 if pd.notna(row["flops"]) else float("nan")
    clean = [(words.percent(row["clean_accuracy"]), row["clean_accuracy"])] if report else []
    cells = [(escape(words.title(row).removeprefix("Trial ")), row["trial"]), (words.with_interval(row), row["accuracy"]), *clean]
    cells += [(str(row["epochs"]), row["epochs"])]
    html = "".join(f'<td class="n" data-v="{v}">{text}</td>' for text, v in cells)
    html += "".join(f"<td>{escape(words.value(row[c]))}</td>" for c in choices)
    numbers = (words.count(row["parameters"]), row["parameters"]), ("–" if flops != flops else f"{flops:.3g}", flops)
    for text, v in (*numbers, (words.duration(row["seconds"]), row["seconds"])):
        html += f'<td class="n" data-v="{v}">{text}</td>'
    lines = row["message"].splitlines()
    why = f": {lines[-1] if lines[-1:] and lines[0].startswith('Traceback') else lines[0]}" if lines else ""
    return f'<tr class="{kind}">{html}<td{" class=why" if why else ""}>{escape(row["status"].lower() + why)}</td></tr>'


def _choices(info: RunInfo, trials: pd.DataFrame, epochs: pd.DataFrame, charts: dict[str, Any]) -> str:
    scored = trials[trials["accuracy"].notna()]
    budget = common_epochs(trials)
    compared, note = trials, "Accuracy is the best epoch's."
    if budget is not None and scored["epochs"].nunique() > 1:
        compared = at_epochs(trials, epochs, budget)
        left = len(scored) - int(compared["accuracy"].notna().sum())
        note = (
            f"Like with like: the best accuracy within the first {budget} epochs, which at least a third of the trials "
            f"reached; {left} that stopped before, or went on as another trial, are left out."
        )
    panels = []
    for k, (name, config) in enumerate(info.choices.items()):
        column = CHOICE + name
        if config["class_name"] == "Fixed" or compared.loc[compared["accuracy"].notna(), column].nunique() < 2:
            continue
        figure = plot_choice(compared, name, config)
        panels.append(_chart(charts, f"choice{k}", figure, escape(words.label(name).capitalize())))
    if not panels:
        return ""
    note += " A dot is a trial; the bar is the mean, with its 95% interval from 3 trials on; n is the number of trials. Other choices vary too."
    return f'<p class="note">{note}</p><div class="charts">{"".join(panels)}</div>'


def _curves(info: RunInfo, trials: pd.DataFrame, epochs: pd.DataFrame, charts: dict[str, Any]) -> str:
    if epochs.empty:
        return ""
    figure = plot_learning_curves(trials, epochs, info.references)
    note = "Blue: the best trial's validation accuracy; dashed: its training accuracy. Dotted: published accuracies."
    return _chart(charts, "curves_chart", figure, "Validation accuracy by epoch", note)


def _search(info: RunInfo, trials: pd.DataFrame, charts: dict[str, Any]) -> str:
    if trials["accuracy"].notna().sum() < 2:
        return ""
    figure = plot_best_so_far(trials, info.references)
    return _chart(charts, "best_so_far", figure, "Best so far", "Each dot is a trial, in the order in which they ran.")


def _published(info: RunInfo, trials: pd.DataFrame) -> str:
    rows = published_rows(info, trials)
    if not rows:
        return ""
    head = "".join(f'<th scope="col"{c}>{t}</th>' for t, c in (("what", ""), ("published", " class=n"), ("here", " class=n")))
    body = "".join(f'<tr><td>{escape(r.name)}</td><td class="n">{r.published}</td><td class="n">{r.here}</td></tr>' for r in rows)
    same = "the same protocol as the report's" if info.raw.get("protocol") == "report" else (
        "another protocol than the report's, which validates on its augmented test images (--protocol report)"
    )
    note = f"Here: {same}; {info.raw.get('data', {}).get('train', 0):,} training images; filter counts times {info.width:g}."
    return (
        f'<p class="note">{escape(note)}</p><div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        "</table></div>"
    )


def _repeat(info: RunInfo) -> str:
    raw = info.raw
    if not raw:
        return ""
    versions = ", ".join(f"{name} {version}" for name, version in raw.get("versions", {}).items())
    space, data = raw.get("space", {}), raw.get("data", {})
    facts = {
        "Seed": raw.get("seed"),
        "Data": f"{data.get('name')}, fingerprint {data.get('fingerprint')}",
        "Device": f"{raw.get('device')}, backend {raw.get('backend')}",
        "Versions": versions,
        "Started": raw.get("created"),
    }
    items = "".join(f"<div><dt>{k}</dt><dd>{escape(str(v))}</dd></div>" for k, v in facts.items())
    return (
        f'<pre>{escape(raw.get("command", ""))}</pre><dl class="facts">{items}</dl><details><summary>The space, '
        f"{escape(str(space.get('path', '')))}</summary><pre>{escape(space.get('text', ''))}</pre></details>"
    )
