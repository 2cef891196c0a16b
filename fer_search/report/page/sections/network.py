"""The best network: confusion matrix; per-class numbers, calibration, worst mistakes and layers on demand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fer_search.report import formatting
from fer_search.report.figures.network import plot_calibration, plot_confusion
from fer_search.report.page.html import Chart, Section
from fer_search.report.page.markup import Markup, join, tag
from fer_search.report.page.sections.table import folded, note, table
from fer_search.report.statistics.verdict import completed
from fer_search.report.tables.analysis import RunAnalysis
from fer_search.report.tables.predictions import calibration, confusion, per_class, picture
from fer_search.runfolder.predictions import Predictions, load_layers

MAX_MISTAKES = 24


def section(analysis: RunAnalysis) -> Section:
    """Return what is known of the best design, or of the best one with predictions where the best one has none."""
    scored, title = completed(analysis.designs), "Best network"
    if scored.empty:
        return Section("network", title, Markup())
    predictions, best = analysis.predictions, scored.iloc[0]
    row = analysis.row_of(predictions.trial) if predictions is not None else None
    shown = analysis.designs.iloc[row] if row is not None else best
    layers = _layers(load_layers(analysis.info.path, str(shown["trial"])))
    facts = {
        "Trial": formatting.trial(shown),
        "Parameters": formatting.count(shown["parameters"]),
        "FLOPs per image": formatting.count(shown["flops"]),
    }
    known = {name: fact for name, fact in facts.items() if fact not in ("", formatting.DASH)}
    record = tag("p", " · ".join(f"{name} {fact}" for name, fact in known.items()), class_="note")
    if predictions is None or row is None:
        missing = note("Its predictions were not saved, so its confusion matrix and calibration are unknown.")
        return Section("network", title, join(record, missing, layers), folded=True)
    other = _other_design(analysis, predictions.trial) if shown["trial"] != best["trial"] else None
    body, charts = _predictions(predictions)
    return Section("network", title, join(record, other, body, layers), charts)


def _other_design(analysis: RunAnalysis, trial: str) -> Markup:
    """Return why the predictions of ``trial`` are shown, although it is not of the best design."""
    trials, best = analysis.trials, completed(analysis.designs).iloc[0]
    row = trials[trials["trial"] == trial].iloc[0]
    if best["seeds"] > 1 and row["accuracy"] >= trials["accuracy"].max():
        mean = f"that of the best design, {formatting.title(best)}, is a mean over its seeds"
        return note(f"T{formatting.title(row)[1:]} has the highest accuracy of a single training; {mean}.")
    return note(f"The best design, {formatting.title(best)}, has no saved predictions; this is an earlier best one.")


def _layers(layers: list[dict[str, Any]]) -> Markup | None:
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
    return folded(formatting.plural(len(layers), "layer"), table(heads, rows, numbers=(2, 3)))


def _predictions(predictions: Predictions) -> tuple[Markup, list[Chart]]:
    counts = confusion(predictions)
    shares = Chart("confusion", plot_confusion(counts, predictions.classes), "square")
    images = Chart("confusion-counts", plot_confusion(counts, predictions.classes, normalised=False), "square")
    reliability = Chart("calibration", plot_calibration(*calibration(predictions)), "square")
    panels = tag("div", images.placeholder(), reliability.placeholder(), class_="charts")
    more = folded("Each emotion, counts and calibration", _per_class(per_class(counts, predictions.classes)), panels)
    return join(shares.placeholder(), more, _mistakes(predictions)), [shares, images, reliability]


def _per_class(scores: pd.DataFrame) -> Markup:
    def cell(row: pd.Series, name: str) -> str:
        interval = formatting.interval(row[f"{name}_low"], row[f"{name}_high"])
        return formatting.percent(row[name]) + (f" ({interval})" if interval else "")

    rows = [
        (str(row["class"]), f"{row['images']:,}", *(cell(row, name) for name in ("precision", "recall", "f1")))
        for _, row in scores.iterrows()
    ]
    heads = ("emotion", "images", "precision (95% interval)", "recall (95% interval)", "F1 (95% interval)")
    return table(heads, rows, numbers=range(1, 5))


def _mistakes(predictions: Predictions) -> Markup | None:
    if not len(predictions.mistakes):
        return None
    items: list[Markup] = []
    seen: set[bytes] = set()  # FER2013 holds many images several times
    for row, image in zip(predictions.mistakes, predictions.images, strict=True):
        pixels = np.asarray(image, np.uint8).tobytes()
        if pixels in seen or len(items) == MAX_MISTAKES:
            continue
        seen.add(pixels)
        predicted = predictions.classes[predictions.predicted[row]]
        label = predictions.classes[predictions.labels[row]]
        face = tag("img", src=picture(image), alt=f"a face labelled {label}", width=72, height=72)
        confidence = f" {predictions.probabilities[row].max():.0%}"
        text = tag("figcaption", tag("b", predicted), confidence, tag("span", f"label: {label}", class_="of"))
        items.append(tag("figure", face, text))
    text = note("The most confident wrong predictions on validation images, without duplicates.")
    return folded("Worst mistakes", text, tag("div", *items, class_="faces"))
