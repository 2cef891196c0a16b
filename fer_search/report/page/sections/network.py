"""The best network: layers, confusion, per-class numbers, worst mistakes, calibration."""

from __future__ import annotations

import pandas as pd

from fer_search.report import formatting
from fer_search.report.figures.network import plot_calibration, plot_confusion
from fer_search.report.page.html import Chart, Section
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.page.sections.table import folded, note, table
from fer_search.report.statistics.verdict import completed
from fer_search.report.tables.analysis import RunAnalysis
from fer_search.report.tables.predictions import (
    Predictions,
    calibration,
    confusion,
    per_class,
    picture,
)
from fer_search.runfolder.predictions import load_layers, load_predictions

MOST_MISTAKES = 24


def section(analysis: RunAnalysis) -> Section:
    """What is known of the best trial; of the best one with predictions, where the search saved none of the best."""
    scored, title = completed(analysis.trials), "The best network"
    if scored.empty:
        return Section("network", title, Markup())
    found = load_predictions(analysis.info.path)
    at = list(scored.index[scored["trial"] == found.trial]) if found is not None else []
    best = scored.iloc[0]
    shown = scored.loc[at[0]] if len(at) else best
    layers = load_layers(analysis.info.path, str(shown["trial"]))
    facts = {
        "Trial": formatting.trial(shown),
        "Design": formatting.design(shown),
        "Parameters": formatting.count(shown["parameters"]),
        "FLOP an image": formatting.count(shown["flops"]),
    }
    known = {name: fact for name, fact in facts.items() if fact not in ("", formatting.NONE)}
    record = tag("dl", *(tag("div", tag("dt", k), tag("dd", v)) for k, v in known.items()), class_="record")
    other = None
    if shown["trial"] != best["trial"]:
        other = note(f"The best {formatting.title(best)} has no predictions yet; this is the one that was best before.")
    parts = [record, other, _layers(layers)]
    if found is None or not len(at):
        parts.append(note("Its predictions were not saved, so confusions, calibration and mistakes are not known."))
        return Section("network", title, join(*parts))
    body, charts = _predictions(found)
    return Section("network", title, join(*parts, body), charts)


def _layers(layers: list[dict]) -> Markup | None:
    if not layers:
        return None
    rows = [
        (
            str(layer.get("name", "")),
            str(layer.get("kind", "")),
            " x ".join(map(str, layer.get("output") or ())),
            f"{int(layer.get('parameters') or 0):,}",
        )
        for layer in layers
    ]
    heads = ("layer", "kind", "output", "parameters")
    return folded(f"Its {formatting.plural(len(layers), 'layer')}", table(heads, rows, numbers=(2, 3)))


def _predictions(found: Predictions) -> tuple[Markup, list[Chart]]:
    counts = confusion(found)
    bins, error = calibration(found)
    charts = [
        Chart("confusion", plot_confusion(counts, found.classes), "square"),
        Chart("confusion-counts", plot_confusion(counts, found.classes, normalised=False), "square"),
        Chart("calibration", plot_calibration(bins, error), "square"),
    ]
    panels = tag("div", *(chart.placeholder() for chart in charts), class_="charts")
    return join(panels, _per_class(per_class(counts, found.classes)), _mistakes(found)), charts


def _per_class(found: pd.DataFrame) -> Markup:
    def cell(row: pd.Series, name: str) -> str:
        ends = formatting.interval(row[f"{name}_low"], row[f"{name}_high"])
        return formatting.percent(row[name]) + (f" ({ends})" if ends else "")

    rows = [
        (str(row["class"]), f"{row['images']:,}", *(cell(row, name) for name in ("precision", "recall", "f1")))
        for _, row in found.iterrows()
    ]
    heads = ("emotion", "images", "precision (95% interval)", "recall (95% interval)", "F1 (95% interval)")
    return join(tag("h3", "Each emotion"), table(heads, rows, numbers=range(1, 5)))


def _mistakes(found: Predictions) -> Markup | None:
    if not len(found.mistakes):
        return None
    items = []
    for row, image in list(zip(found.mistakes, found.images, strict=True))[:MOST_MISTAKES]:
        said, label = found.classes[found.predicted[row]], found.classes[found.labels[row]]
        sure = f"{found.probabilities[row].max():.0%}"
        picture_of = tag("img", src=picture(image), alt=f"a face labelled {label}", width=72, height=72)
        text = tag("figcaption", tag("b", said), f" {sure}", tag("span", f"label: {label}", class_="of"))
        items.append(tag("figure", picture_of, text))
    text = note("The validation images that it was most surely wrong about: what it says, and what the data set says.")
    return join(tag("h3", "The worst mistakes"), text, tag("div", *items, class_="faces"))
