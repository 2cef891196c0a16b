"""What was found, before anything else."""

from __future__ import annotations

import pandas as pd

from fer_search.report import formatting
from fer_search.report.page.html import Section
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.statistics.verdict import completed, verdict
from fer_search.report.tables.analysis import RunAnalysis
from fer_search.report.tables.confirmed import in_words


def section(analysis: RunAnalysis) -> Section:
    """Best design in words, its accuracy with its interval, against what is published, and what was searched."""
    found, scored = verdict(analysis.info, analysis.trials, in_words(analysis.confirmed)), completed(analysis.trials)
    card = _card(scored.iloc[0]) if len(scored) else None
    headline = None if card else tag("p", found.headline, class_="headline")
    lines = tag("ul", *(tag("li", line) for line in found.details), class_="details") if found.details else None
    return Section("verdict", "Verdict", join(headline, card, lines, _facts(analysis)))


def _card(best: pd.Series) -> Markup:
    no_accuracy = pd.isna(best["accuracy"])
    number = formatting.value(best["score"]) if no_accuracy else formatting.percent(best["accuracy"])
    ends = formatting.interval(best["low"], best["high"])
    kind = "score of " if no_accuracy else "validation accuracy of "
    sure = tag("span", f"95% interval {ends}", class_="interval") if ends else None
    chips = [tag("div", tag("dt", name), tag("dd", value)) for name, value in formatting.choices(best)]
    what = tag("span", kind, tag("b", formatting.title(best)), class_="what")
    return tag(
        "div",
        tag("p", tag("strong", number), sure, what, class_="score"),
        tag("dl", *chips, class_="chips"),
        class_="card",
    )


def _facts(analysis: RunAnalysis) -> Markup:
    info, counts = analysis.info, analysis.trials["status"].value_counts()
    own = analysis.curves[~analysis.curves["inherited"].astype(bool)]
    ran = ", ".join(f"{counts[status]:,} {status}" for status in ("completed", "running", "failed") if status in counts)
    budget = info.tuner.get("max_epochs")
    up_to = f", up to {formatting.plural(budget, 'epoch')}" if budget else ""
    images = [f"{info.data[key]:,} {key}" for key in ("train", "validation") if info.data.get(key)]
    tuner = str(info.tuner.get("name") or "Keras Tuner")
    if info.tuner.get("baselines") == "only":
        tuner = "none: baselines alone"
    facts = {
        "Trials": ran or "none yet",
        "Epochs trained": f"{len(own):,}" if len(own) else "",
        "Time": formatting.duration(info.seconds) if info.seconds else "",
        "Tuner": tuner + up_to,
        "Images": ", ".join(images),
        "Protocol": info.protocol,
    }
    return tag("dl", *(tag("div", tag("dt", k), tag("dd", v)) for k, v in facts.items() if v), class_="facts")
