"""What ``fer-search confirm`` found: the best designs, trained again and tested once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table

from fer_search.errors import UserError
from fer_search.report import formatting
from fer_search.report.statistics.inference import repeated_interval, wilson_interval
from fer_search.report.tables.network_file import network_sentence
from fer_search.runfolder.json_files import read_json
from fer_search.runfolder.schema import CONFIRM_DIR, CONFIRM_FILE

FILE = Path(CONFIRM_DIR) / CONFIRM_FILE  # fields: ``runfolder.schema.ConfirmJson``
NEW = "_new"  # ends the names of the parts without images that were trained on


def load_confirmation(run: str | Path) -> pd.DataFrame:
    """Return what a run's best designs reached on the test images.

    Args:
        run: the run folder.

    Returns:
        One row a design and part of the test images, the designs in the order of their validation accuracy; empty where
        the run was not confirmed. Columns:

        - ``design`` (string): the baseline's name or the trial's number; ``trial`` (string): its id.
        - ``networks`` (string): "single", one network a seed; or "ensemble", the mean of all seeds' probabilities.
        - ``epochs`` (int): trained. ``val_accuracy`` (float): of the trial in the search.
        - ``part`` (string): "public_test", "private_test" or "test" (class folders do not tell them apart); with
          ``_new``, without the images whose pixels were trained on.
        - ``images`` (int), ``seeds`` (int): how many, those that failed left out.
        - ``accuracy``, ``low``, ``high`` (float): mean over the seeds and its 95% interval
          (``statistics.repeated_interval``; an ensemble's is Wilson's); ``least``, ``most``: of the seeds.

    Raises:
        UserError: confirm.json is broken; the message names it.
    """
    file = Path(run) / FILE
    if not file.exists():
        return _table([])
    record = read_json(file)
    try:
        return _table(_rows(record))
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise UserError(f"{file} does not hold what it should ({error!r}); confirm again with --overwrite") from error


def notes(run: str | Path) -> list[str]:
    """Return what must be said beside the numbers, one sentence each."""
    record = read_json(Path(run) / FILE)
    seeds, images = record["settings"]["--seeds"], record["trained"]
    found = [
        f"Each design was trained {formatting.plural(seeds, 'time')} on {images:,} images, those that the search validated "
        "on included, for a number of epochs set beforehand; the test images were looked at after that.",
        'The column "without copies" leaves out the test images whose pixels were trained on.',
    ]
    failed = [one for one in record["trainings"] if "why" in one]
    if failed:
        found.append(f"{formatting.plural(len(failed), 'training')} failed: {failed[0]['why']}.")
    if record["looks"] > 1:
        found.append(
            f"The test images of this run were looked at {record['looks']} times; who chose designs in between has "
            "accuracies that are too high."
        )
    return [*found, *filter(None, [network_sentence(run)])]


def confirmed_as_json(run: Path) -> str:
    """Return the table of ``load_confirmation`` as JSON, a list of objects."""
    return json.dumps(load_confirmation(run).to_dict("records"))


def in_words(found: pd.DataFrame) -> str:
    """Return what the best design reached, in one sentence; "" where nothing was confirmed.

    Args:
        found: from ``load_confirmation``.
    """
    single = found[(found["networks"] == "single") & ~found["part"].str.endswith(NEW)]
    if single.empty:
        return ""
    first = single[single["design"] == single["design"].iloc[0]]
    parts = [f"{formatting.with_interval(row)} on {row['part'].replace('_', ' ')}" for _, row in first.iterrows()]
    seeds = int(first["seeds"].iloc[0])
    mean = f", the mean of {seeds} seeds" if seeds > 1 else ""
    return f"Trained again and tested once, {first['design'].iloc[0]} has {' and '.join(parts)}{mean}."


HEADS = (
    "design",
    "epochs",
    "validation",
    "test images",
    "seeds",
    "accuracy (95% interval)",
    "lowest to highest",
    "without copies",
)


def confirmed_lines(found: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the table's cells in words: a line a design and test split; last, the same without copies."""
    lines: list[tuple[str, ...]] = []
    at = found.set_index(["design", "networks", "part"])["accuracy"]
    for row in formatting.rows(found[~found["part"].str.endswith(NEW)]):
        single = row.networks == "single"
        spread = (
            f"{formatting.percent(row.least)} to {formatting.percent(row.most)}"
            if single and row.seeds > 1
            else formatting.NONE
        )
        ends = formatting.interval(row.low, row.high)
        lines.append(
            (
                row.design if single else f"its {row.seeds} networks together",
                str(row.epochs),
                formatting.percent(row.val_accuracy) if single else formatting.NONE,
                f"{row.images:,} {row.part.replace('_', ' ')}",
                str(row.seeds),
                f"{formatting.percent(row.accuracy)} ({ends})",
                spread,
                formatting.percent(at[row.design, row.networks, row.part + NEW]),
            )
        )
    return lines


def confirmed_table(run: Path) -> Table:
    """Return what ``fer-search confirm`` prints."""
    found = load_confirmation(run)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, caption=" ".join(notes(run)), caption_justify="left")
    for at, head in enumerate(HEADS):
        table.add_column(head, justify="right" if at else "left")
    for line in confirmed_lines(found):
        table.add_row(*line)
    return table


def _rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for at, candidate in enumerate(record["candidates"]):
        single = [one["tests"] for one in record["trainings"] if one["candidate"] == at and "tests" in one]
        together = [one for one in record["ensembles"] if one["candidate"] == at]
        about = {"design": candidate["title"], "trial": candidate["trial"], "epochs": candidate["epochs"]}
        about |= {"val_accuracy": candidate["val_accuracy"]}
        for part in single[0] if single else ():
            values = np.array([tests[part]["accuracy"] for tests in single])
            images = single[0][part]["images"]
            mean, low, high = repeated_interval(values, images)
            counts = {"images": images, "seeds": len(values), "least": values.min(), "most": values.max()}
            rows.append(
                about | counts | {"networks": "single", "part": part, "accuracy": mean, "low": low, "high": high}
            )
        for one in together:
            for part, tests in one["tests"].items():
                low, high = map(float, wilson_interval(tests["accuracy"], tests["images"]))
                ends = {"accuracy": tests["accuracy"], "low": low, "high": high}
                counts = {"images": tests["images"], "seeds": one["members"]}
                rows.append(about | counts | ends | {"networks": "ensemble", "part": part})
    return rows


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    first = ("design", "trial", "networks", "epochs", "val_accuracy", "part", "images", "seeds")
    return pd.DataFrame(rows, columns=[*first, "accuracy", "low", "high", "least", "most"])
