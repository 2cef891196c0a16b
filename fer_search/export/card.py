"""MODEL_CARD.md beside an exported file: data, protocol, accuracy per class, confusion, limits, the command.

The sections follow Mitchell et al. 2019, "Model Cards for Model Reporting" (arXiv:1810.03993).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_search.errors import EXIT_RUN_FOLDER, UserError
from fer_search.export.metadata import ModelInfo
from fer_search.export.source import TrainedNetwork
from fer_search.report.formatting import interval, percent
from fer_search.report.statistics.inference import wilson_interval
from fer_search.report.tables.predictions import per_class
from fer_search.runfolder.arrays import NPZ_ERRORS, read_npz
from fer_search.runfolder.confirmation import read_confirm_json, training_dir
from fer_search.runfolder.run_json import RunInfo, load_run
from fer_search.runfolder.schema import TEST_PREDICTIONS_FILE

LIMITS = """\
- It recognises how a face looks in a picture, not what a person feels: one expression can go with many feelings, and
  one feeling with many expressions (Barrett et al. 2019, doi:10.1177/1529100619832930).
- It must not decide about people: hiring, credit, insurance, education, health, policing, border control, lie
  detection. In the EU, inferring emotions at work and in education is prohibited (Regulation 2024/1689, Article 5).
- How its accuracy depends on age, gender, skin colour or culture has not been measured.
- Faces must be cut out as in the training data. Those that are turned away, covered, strongly tilted or smaller than
  the input are predicted worse, or not found.
- Its probabilities are not calibrated: 0.9 does not mean right nine times out of ten."""


@dataclass(frozen=True)
class Evaluated:
    """What a network predicted for images that it was not trained on.

    Args:
        images: The images in words, "private test".
        labels: int (n,).
        predicted: int (n,).
        note: What must be known about the number, one sentence.
    """

    images: str
    labels: np.ndarray
    predicted: np.ndarray
    note: str


def confirmed_evaluation(network: TrainedNetwork) -> Evaluated | None:
    """Return what a confirmed network predicted for the test images; None where the file with that is missing."""
    record = read_confirm_json(network.run)
    if record is None or network.training is None:
        return None
    file = training_dir(network.run, record["looks"], network.training) / TEST_PREDICTIONS_FILE
    if not file.exists():
        return None
    try:
        with read_npz(file) as arrays:
            labels, predicted = arrays["labels"].astype(int), arrays["probabilities"].argmax(axis=1)
    except NPZ_ERRORS as error:
        raise UserError(
            f"{file} is damaged ({error}); fer-search confirm repeats its training", EXIT_RUN_FOLDER
        ) from error
    times = "once" if record["looks"] == 1 else f"{record['looks']} times, so that the accuracy is optimistic"
    return Evaluated("test", labels, predicted, f"The test images of this run were evaluated {times}.")


def write_card(
    network: TrainedNetwork,
    info: ModelInfo,
    evaluated: Evaluated | None,
    files: Sequence[str],
    facts: Sequence[str],
    command: str,
) -> str:
    """Return the model card as Markdown.

    Args:
        network: The network.
        info: Description of the exported file.
        evaluated: What it predicted for images that it was not trained on; None where that is not known.
        files: Names of the exported file and of what is beside it.
        facts: Sentences about the export: parity, quantisation, views.
        command: The command that exports it.
    """
    run = load_run(network.run)
    parts = [
        f"# Model card: {info.network} of the run {info.run}",
        _about(network, info, files, facts),
        "## Data and protocol\n\n" + "\n".join(f"- {line}" for line in _data_lines(network, run)),
        "## Accuracy\n\n" + _accuracy(info, evaluated),
        "## What it must not be used for, and its limits\n\n" + LIMITS,
        "## How it was made\n\n" + _origin(network, run, command),
    ]
    return "\n\n".join(parts) + "\n"


def _about(network: TrainedNetwork, info: ModelInfo, files: Sequence[str], facts: Sequence[str]) -> str:
    height, width, channels = info.shape
    colour = "grey" if channels == 1 else "RGB"
    classes = ", ".join(f"{index} {name}" for index, name in enumerate(info.classes))
    lines = [
        f"- Files: {', '.join(f'`{name}`' for name in files)}.",
        f"- Input: faces, {colour}, float32 (n, {height}, {width}, {channels}), raw pixels from 0 to 255; scaling is "
        "part of the network.",
        f"- Output: float32 (n, {len(info.classes)}), the probability of each class: {classes}.",
        f"- Network: {network.design.family}, written by fer-search {info.version}.",
        *(f"- {fact}" for fact in facts),
    ]
    return "\n".join(lines)


def _data_lines(network: TrainedNetwork, run: RunInfo) -> list[str]:
    data = run.data
    lines = [f"Data: {data.get('name', 'unknown')}."]
    if run.toy:
        lines.append(
            "**These are drawn toy faces: nothing about real faces follows, and the network is of no use on them.**"
        )
    record = read_confirm_json(network.run) if network.confirmed else None
    if record is not None:
        lines.append(
            f"Trained on {record['trained']:,} images, those that the search validated on included, for a number of "
            "epochs fixed beforehand; the design was chosen on validation images alone."
        )
    else:
        lines.append(
            f"Trained on {data.get('train', 0):,} images; validated on {data.get('validation', 0):,} images, which "
            "chose the design and the epoch."
        )
    if run.protocol_note:
        lines.append(f"Protocol of the search: {run.protocol_note.rstrip('.')}.")
    if run.width != 1:
        lines.append(f"Every filter count is multiplied by {run.width:g}.")
    return lines


def _accuracy(info: ModelInfo, evaluated: Evaluated | None) -> str:
    if evaluated is None:
        return "Not known: the run folder holds no predictions of this network."
    labels, predicted = evaluated.labels, evaluated.predicted
    classes, count = info.classes, len(labels)
    accuracy = float((labels == predicted).mean())
    low, high = map(float, wilson_interval(accuracy, count))
    size = len(classes)
    counts = np.bincount(labels * size + predicted, minlength=size * size).reshape(size, size)
    head = (
        f"{percent(accuracy)} (95% interval {interval(low, high)}) on {count:,} {evaluated.images} images. "
        f"{evaluated.note} Intervals are for the choice of images; another training would differ by more."
    )
    table = per_class(counts, classes)
    rows = [
        [
            row["class"],
            f"{row['images']:,}",
            _share(row, "recall"),
            _share(row, "precision"),
        ]
        for row in table.to_dict("records")
    ]
    confusion = [[name, *(f"{value:,}" for value in line)] for name, line in zip(classes, counts, strict=True)]
    return "\n\n".join(
        [
            head,
            _table(["class", "images", "recall (95%)", "precision (95%)"], rows),
            "Confusion: how many images of each class (row) were predicted as each class (column).",
            _table(["", *classes], confusion),
        ]
    )


def _share(row: Mapping[Any, Any], name: str) -> str:
    if np.isnan(row[name]):
        return "none"
    return f"{percent(row[name])} ({interval(row[f'{name}_low'], row[f'{name}_high'])})"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (heads, rule, *rows))


def _origin(network: TrainedNetwork, run: RunInfo, command: str) -> str:
    record = read_confirm_json(network.run) if network.confirmed else None
    commands = [run.command, record["command"] if record is not None else "", command]
    versions = record["versions"] if record is not None else run.versions
    device = record["device"] if record is not None else run.device
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    block = "".join(f"    {line}\n" for line in commands if line)
    return f"{block}\nTrained on {device or 'an unknown device'}, with {listed or 'unknown versions'}."
