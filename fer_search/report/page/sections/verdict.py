"""The result, and the chart of which choices matter."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from fer_search.report import formatting
from fer_search.report.figures.importance import plot_importances
from fer_search.report.page.html import Chart, Section
from fer_search.report.page.markup import Markup, tag
from fer_search.report.page.sections.table import folded
from fer_search.report.statistics.importance import MATTERS, conclusion
from fer_search.report.statistics.verdict import completed, verdict
from fer_search.report.tables.analysis import RunAnalysis
from fer_search.report.tables.confirmed import tested_rows
from fer_search.report.tables.outcomes import WITHOUT_END
from fer_search.runfolder.confirmation import previous_evaluations, read_confirm_json


def section(analysis: RunAnalysis) -> Section:
    """Return the best design with its accuracy, what qualifies it, and which choices matter."""
    statement, scored = verdict(analysis), completed(analysis.designs)
    cards = [_tested(analysis), _card(scored.iloc[0])] if len(scored) else []
    headline = None if cards else tag("p", statement.headline, class_="headline")
    lines = statement.details[1:] if len(analysis.confirmed) and cards else statement.details
    details = tag("ul", *(tag("li", line) for line in lines), class_="details") if lines else None
    matters, charts = _importance(analysis)
    significant = bool((analysis.importances["verdict"] == MATTERS).any()) if charts else False
    left, right = (_facts(analysis), None) if significant else (None, _facts(analysis))  # below the shorter column
    result = tag("div", headline, tag("div", *cards, class_="cards") if cards else None, details, left)
    body = tag("div", result, tag("div", matters, right), class_="columns")
    return Section("verdict", "Verdict", body, charts)


def _card(best: pd.Series) -> Markup:
    no_accuracy = pd.isna(best["accuracy"])
    number = formatting.value(best["score"]) if no_accuracy else formatting.percent(best["accuracy"])
    interval = formatting.interval(best["low"], best["high"])
    limits = tag("span", f"95% interval {interval}", class_="interval") if interval else None
    seeds = f", mean of {best['seeds']} seeds" if best["seeds"] > 1 else ""
    kind = "score" if no_accuracy else f"validation accuracy{seeds}"
    what = tag("span", f"{kind}, ", tag("b", formatting.title(best)), class_="what")
    chips = [tag("div", tag("dt", name), tag("dd", value)) for name, value in formatting.choices(best)]
    design = tag("dl", *chips, class_="chips")
    return tag(
        "div",
        tag("p", tag("strong", number), limits, what, class_="score"),
        design if len(chips) <= 8 else folded(f"Design: {len(chips)} choices", design),
        class_="card",
    )


def _tested(analysis: RunAnalysis) -> Markup | None:
    rows = tested_rows(analysis.confirmed)
    if rows.empty:
        return None
    numbers = []
    for _, row in rows.iterrows():
        what = f"{row['part'].replace('_', ' ')} accuracy"
        interval = tag("span", f"95% interval {formatting.interval(row['low'], row['high'])}", class_="interval")
        score = tag("strong", formatting.percent(row["accuracy"]))
        numbers.append(tag("p", score, interval, tag("span", what, class_="what"), class_="score"))
    seeds = formatting.plural(int(rows["seeds"].iloc[0]), "seed")
    looks = previous_evaluations(read_confirm_json(analysis.info.path))
    times = "once" if looks <= 1 else f"{looks} times"
    title = tag("p", f"Tested {times}: {rows['design'].iloc[0]}, trained again with {seeds}", class_="what")
    return tag("div", title, tag("div", *numbers, class_="scores"), class_="card tested")


def _facts(analysis: RunAnalysis) -> Markup:
    info = analysis.info
    designs, trials = analysis.counts
    own = analysis.curves[~analysis.curves["inherited"].astype(bool)]
    found = Counter(analysis.outcomes.values())
    states = [f"{found[name]:,} {name}" for name in (*WITHOUT_END, "failed") if found[name]]
    counts = f"{formatting.plural(designs, 'design')}, {formatting.plural(trials, 'trial')}"
    budget = info.tuner.get("max_epochs")
    tuner = "baselines only" if info.tuner.get("baselines") == "only" else str(info.tuner.get("name") or "Keras Tuner")
    images = [f"{info.data[key]:,} {key}" for key in ("train", "validation") if info.data.get(key)]
    facts = {
        "Trained": ", ".join([counts, *states]),
        "Epochs": f"{len(own):,}" if len(own) else "",
        "Time": formatting.duration(info.seconds) if info.seconds else "",
        "Tuner": tuner + (f", up to {formatting.budget(budget, analysis.equal_time)}" if budget else ""),
        "Images": ", ".join(images),
        "Protocol": info.protocol,
    }
    return tag("dl", *(tag("div", tag("dt", k), tag("dd", v)) for k, v in facts.items() if v), class_="facts")


def _importance(analysis: RunAnalysis) -> tuple[Markup | None, list[Chart]]:
    """Return the chart of the choices' effects, open where one is significant; nothing where nothing varied."""
    if not analysis.varied or analysis.designs["accuracy"].notna().sum() < 2:
        return None, []
    table, measurements = analysis.importances, analysis.measurements
    headline = tag("p", conclusion(table, len(measurements.designs)), class_="headline")
    if table.empty:
        return tag("div", headline, class_="matters"), []
    epochs = [formatting.budget(budget, analysis.equal_time) for budget in measurements.budgets[-1:] if budget]
    of = ", ".join([formatting.plural(len(measurements.designs), "design"), *(f"in points at {one}" for one in epochs)])
    chart = Chart("importance", plot_importances(table, of=of), "rows")
    how = tag(
        "p",
        "Largest effect of each choice with the others held equal, and the share of the variance it explains; 95% "
        "intervals, simultaneous. Filled: significant (Holm).",
        class_="note",
    )
    if (table["verdict"] == MATTERS).any():
        return tag("div", headline, chart.placeholder(), how, class_="matters"), [chart]
    return tag("div", headline, folded("Estimates and intervals", chart.placeholder(), how), class_="matters"), [chart]
