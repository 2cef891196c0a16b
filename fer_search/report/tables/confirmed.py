"""What ``fer-search confirm`` found: the best designs, trained again and tested once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table

from fer_search.errors import UserError
from fer_search.report import formatting
from fer_search.report.statistics.inference import difference_of_means, repeated_interval, wilson_interval
from fer_search.report.tables.network_file import network_sentence
from fer_search.report.tables.trials import RECALL
from fer_search.runfolder.confirmation import read_test_hits, tested_trainings, training_dir
from fer_search.runfolder.json_files import read_json
from fer_search.runfolder.schema import ConfirmJson

FILE = Path("confirm") / "confirm.json"  # in a run folder; ``runfolder.schema.ConfirmJson`` lists its fields
NEW = "_new"  # suffix of the parts without images that were trained on
FIRST_COLUMNS = ("design", "trial", "networks", "epochs", "val_accuracy", "part", "images", "seeds")
NUMBERS = ("accuracy", "low", "high", "least", "most", "balanced_accuracy", "macro_f1")
HEADS = (
    "design",
    "epochs",
    "validation",
    "test images",
    "seeds",
    "accuracy (95% interval)",
    "range of seeds",
    "without duplicates",
    "balanced accuracy",
    "macro F1",
)


def load_confirmation(run: str | Path) -> pd.DataFrame:
    """Return what a run's best designs reached on the test images.

    Args:
        run: the run folder.

    Returns:
        One row a design and part of the test images, the designs in the order of their validation accuracy; empty where
        the run was not confirmed. Columns:

        - ``design`` (string): the baseline's name or the trial's number; ``trial`` (string): its id.
        - ``networks`` (string): "single", one network a seed; or "ensemble", the mean of all seeds' probabilities.
        - ``epochs`` (int): number of epochs trained. ``val_accuracy`` (float): of the trial in the search.
        - ``part`` (string): "public_test", "private_test" or "test" (class folders do not tell them apart); with
          suffix ``_new``, without the images whose pixels were trained on.
        - ``images``, ``seeds`` (int): number of images; number of seeds, without failed ones.
        - ``accuracy``, ``low``, ``high`` (float): mean over the seeds and its 95% interval
          (``inference.repeated_interval``; an ensemble's is Wilson's); ``least``, ``most``: range over the seeds.
        - ``balanced_accuracy``, ``macro_f1`` (float): mean over the seeds; NaN where they were not recorded.

    Raises:
        UserError: confirm.json is broken; the message names it.
    """
    file = Path(run) / FILE
    if not file.exists():
        return _table([])
    record = read_json(file)
    try:
        return _table(_rows(record))
    except (KeyError, TypeError, IndexError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{file} has unexpected content ({error!r}); confirm again with --overwrite") from error


def notes(run: str | Path) -> list[str]:
    """Return what qualifies the numbers, one sentence each."""
    record = cast(ConfirmJson, read_json(Path(run) / FILE))
    seeds, images = record["settings"]["--seeds"], record["trained"]
    planned, done = seeds * len(record["candidates"]), len(record["trainings"])
    was = "was" if done >= planned else "is to be"
    lines = [
        f"Each design {was} trained {formatting.plural(seeds, 'time')} on {images:,} images (training and validation "
        "images together) for a number of epochs fixed beforehand, and then tested.",
        '"Without duplicates" leaves out the test images whose pixels are also in the training images.',
    ]
    if done < planned:
        lines.insert(0, f"Not finished: {done} of {planned} trainings. Re-run the same fer-search confirm to resume.")
    failed = [training for training in record["trainings"] if "why" in training]
    if failed:
        lines.append(f"{formatting.plural(len(failed), 'training')} failed: {failed[0]['why']}.")
    if record["looks"] > 1:
        lines.append(
            f"The test images of this run were evaluated {record['looks']} times; if designs were chosen in between, "
            "their test accuracies are too high."
        )
    return [*differences(run, record), *lines, *filter(None, [network_sentence(run)])]


def differences(run: str | Path, record: ConfirmJson) -> list[str]:
    """Return the first design's test accuracies minus those of each other one, a sentence each.

    Args:
        run: the run folder.
        record: content of its confirm.json.
    """
    if len(record["candidates"]) < 2:
        return []
    first, *others = (_accuracies(record, index) for index in range(len(record["candidates"])))
    correct, *others_correct = (_correct(Path(run), record, index) for index in range(len(record["candidates"])))
    titles, sentences = [candidate["title"] for candidate in record["candidates"]], []
    for title, other, other_correct in zip(titles[1:], others, others_correct, strict=True):
        parts = []
        for part in (part for part in first if part in other and not part.endswith(NEW)):
            (a, images), (b, _) = first[part], other[part]
            if correct is None or other_correct is None:  # as if both had been tested on images of their own
                spread = float(np.sqrt(a.mean() * (1 - a.mean()) + b.mean() * (1 - b.mean())))
            else:  # in a part, images differ about as much as in all
                spread = float(np.std(correct - other_correct))
            result = difference_of_means(a, b, images, spread=spread)
            points, low, high = (f"{100 * value:+.1f}" for value in (result.difference, result.low, result.high))
            parts.append(f"{points} points on {part.replace('_', ' ')} (95% {low} to {high})")
        if parts:
            sentences.append(f"{titles[0]} minus {title}: {', '.join(parts)}.")
    return sentences


def _correct(run: Path, record: ConfirmJson, candidate: int) -> np.ndarray | None:
    """Return for each test image the fraction of a design's trainings that recognise it; None if that is not known."""
    folders = [training_dir(run, record["looks"], k) for k, one, _ in tested_trainings(record) if one == candidate]
    found = [read_test_hits(folder) for folder in folders]
    known = [hits for hits in found if hits is not None]
    complete = len(known) == len(found) and len({hits.shape for hits in known}) == 1
    return np.mean(known, axis=0) if complete else None


def _accuracies(record: ConfirmJson, candidate: int) -> dict[str, tuple[np.ndarray, int]]:
    """Return the accuracies of a design's trainings on each part of the test images, and the number of images."""
    tests = [one["tests"] for one in record["trainings"] if one["candidate"] == candidate and "tests" in one]
    parts = tests[0] if tests else ()
    return {part: (np.array([test[part]["accuracy"] for test in tests]), tests[0][part]["images"]) for part in parts}


def confirmed_as_json(run: Path) -> str:
    """Return the table of ``load_confirmation`` as JSON, a list of objects."""
    return load_confirmation(run).to_json(orient="records")


def tested_rows(confirmed: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the first design's single networks, a row a test split; empty where nothing was confirmed.

    Args:
        confirmed: from ``load_confirmation``.
    """
    single = confirmed[(confirmed["networks"] == "single") & ~confirmed["part"].str.endswith(NEW)]
    return single[single["design"] == single["design"].iloc[0]] if len(single) else single


def in_words(confirmed: pd.DataFrame) -> str:
    """Return what the best design reached, in one sentence; "" where nothing was confirmed.

    Args:
        confirmed: from ``load_confirmation``.
    """
    rows = tested_rows(confirmed)
    if rows.empty:
        return ""
    parts = [f"{formatting.with_interval(row)} on {row['part'].replace('_', ' ')}" for _, row in rows.iterrows()]
    seeds = int(rows["seeds"].iloc[0])
    mean = f", mean of {seeds} seeds" if seeds > 1 else ""
    metrics = [("balanced accuracy", "balanced_accuracy"), ("macro F1", "macro_f1")]
    others = [
        f"{name} {' and '.join(map(formatting.percent, rows[key]))}" for name, key in metrics if rows[key].notna().all()
    ]
    suffix = f"; {', '.join(others)}" if others else ""
    return f"Tested: {rows['design'].iloc[0]}, trained again, has {' and '.join(parts)}{mean}{suffix}."


def confirmed_lines(confirmed: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the table's cells as text, a line a design and test split; see ``HEADS``."""
    lines: list[tuple[str, ...]] = []
    accuracy = confirmed.set_index(["design", "networks", "part"])["accuracy"]
    for row in formatting.rows(confirmed[~confirmed["part"].str.endswith(NEW)]):
        single = row.networks == "single"
        spread = f"{formatting.percent(row.least)} to {formatting.percent(row.most)}"
        lines.append(
            (
                row.design if single else f"ensemble of {row.seeds} seeds",
                str(row.epochs),
                formatting.percent(row.val_accuracy) if single else formatting.DASH,
                f"{row.images:,} {row.part.replace('_', ' ')}",
                str(row.seeds),
                f"{formatting.percent(row.accuracy)} ({formatting.interval(row.low, row.high)})",
                spread if single and row.seeds > 1 else formatting.DASH,
                formatting.percent(accuracy.get((row.design, row.networks, row.part + NEW), float("nan"))),
                formatting.percent(row.balanced_accuracy),
                formatting.percent(row.macro_f1),
            )
        )
    return lines


def confirmed_table(run: Path) -> Table:
    """Return the table that ``fer-search confirm`` prints."""
    confirmed = load_confirmation(run)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, caption=" ".join(notes(run)), caption_justify="left")
    for index, head in enumerate(HEADS):
        table.add_column(head, justify="right" if index else "left")
    for line in confirmed_lines(confirmed):
        table.add_row(*line)
    return table


def _rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for index, candidate in enumerate(record["candidates"]):
        trainings = [one for one in record["trainings"] if one["candidate"] == index and "tests" in one]
        about = {"design": candidate["title"], "trial": candidate["trial"], "epochs": candidate["epochs"]}
        about |= {"val_accuracy": candidate["val_accuracy"]}
        for part in trainings[0]["tests"] if trainings else ():
            rows.append(
                about | {"networks": "single", "part": part} | _single([one["tests"][part] for one in trainings])
            )
        for ensemble in (one for one in record["ensembles"] if one["candidate"] == index):
            for part, tests in ensemble["tests"].items():
                low, high = map(float, wilson_interval(tests["accuracy"], tests["images"]))
                numbers = {"accuracy": tests["accuracy"], "low": low, "high": high, "seeds": ensemble["members"]}
                numbers |= {"images": tests["images"], **_metrics([tests])}
                rows.append(about | {"networks": "ensemble", "part": part} | numbers)
    return rows


def _single(tests: list[dict[str, Any]]) -> dict[str, Any]:
    values, images = np.array([test["accuracy"] for test in tests]), tests[0]["images"]
    mean, low, high = repeated_interval(values, images)
    numbers = {"accuracy": mean, "low": low, "high": high, "least": values.min(), "most": values.max()}
    return numbers | {"images": images, "seeds": len(values), **_metrics(tests)}


def _metrics(tests: list[dict[str, Any]]) -> dict[str, float]:
    """Return the means over some tests; balanced accuracy from the recalls where it was not recorded."""
    balanced = [test.get("balanced_accuracy") or _mean_recall(test) for test in tests]
    f1 = [test["macro_f1"] for test in tests if test.get("macro_f1") is not None]
    return {"balanced_accuracy": float(np.mean(balanced)), "macro_f1": float(np.mean(f1)) if f1 else float("nan")}


def _mean_recall(test: dict[str, Any]) -> float:
    recalls = [
        value for name, value in test.items() if name.startswith(RECALL) and value is not None and value == value
    ]
    return float(np.mean(recalls)) if recalls else float("nan")


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[*FIRST_COLUMNS, *NUMBERS])
