"""The output of ``fer-search data info``."""

from __future__ import annotations

import numpy as np
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from fer_search.data.audit import Audit
from fer_search.data.dataset import SPLITS, TEST_SPLITS, Dataset
from fer_search.data.duplicates import MAX_IMAGES

MAX_CONFLICTS = 3  # most frequent pairs of labels that are named


def tables(audit: Audit, dataset: Dataset) -> list[RenderableType]:
    """Return the output of ``fer-search data info``, for consoles of at least 80 columns."""
    present = [k for k in range(len(SPLITS)) if audit.counts[k].any()]
    return [
        _heading(dataset),
        Text(),
        *_origins(dataset, present),
        _counts(audit, dataset, present),
        Text(),
        _checks(audit, present),
        Text(),
        *(Text(line) for line in _sentences(audit, dataset)),
    ]


def _heading(dataset: Dataset) -> Text:
    text = Text(dataset.name, style="bold").append(
        f"\n{dataset.source}, fingerprint {dataset.fingerprint}", style="none"
    )
    spec = dataset.spec
    text.append(f"\n{spec.describe()}, {dataset.images.nbytes / 2**20:,.0f} MB in memory", style="none")
    if dataset.groups is not None:
        text.append(f"\n{len(np.unique(dataset.groups)):,} people", style="none")
    if dataset.toy:
        text.append("\nDrawn by a program: they say nothing about real faces.", style="none")
    for note in dataset.notes:
        text.append(f"\nNote: {note}.", style="none")
    if not dataset.notes and not dataset.toy:
        text.append(f"\nAll images are {spec.describe().partition(',')[0]}; nothing was converted.", style="none")
    return text


def _table(first: str, present: list[int], *more: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column(first, min_width=21)
    for name in (*(SPLITS[k].replace("_", " ") for k in present), *more):
        table.add_column(name, justify="right", min_width=6)
    return table


def _origins(dataset: Dataset, present: list[int]) -> list[RenderableType]:
    if dataset.origins is None:
        return []
    table = _table("from", present, "all")
    for k, name in enumerate(dataset.origin_names):
        own = np.bincount(dataset.splits[dataset.origins == k], minlength=len(SPLITS))
        table.add_row(Text(name), *map(_number, own[present]), _number(own.sum()))
    return [table, Text()]


def _counts(audit: Audit, dataset: Dataset, present: list[int]) -> Table:
    counts, total = audit.counts[present], audit.counts.sum()
    table = _table("images", present, "all", "share")
    for c, name in enumerate(dataset.classes):
        own = counts[:, c]
        table.add_row(name, *map(_number, own), _number(own.sum()), f"{own.sum() / total:.1%}")
    table.add_section()
    table.add_row("all", *map(_number, counts.sum(axis=1)), _number(total), "")
    return table


def _checks(audit: Audit, present: list[int]) -> Table:
    table = _table("of these", present, "all")

    def add(name: str, values: np.ndarray, every: int) -> None:
        table.add_row(name, *map(_number, values[present]), _number(every))

    add("blank (a single grey)", audit.blank, audit.blank.sum())
    add("repeats an earlier one", audit.copies.diagonal(), audit.repeated)
    for k in present if len(present) > 1 else []:
        others = [audit.copies[a, k] for a in present]
        cells = ("" if a == k else _number(value) for a, value in zip(present, others, strict=True))
        every = sum(value for a, value in zip(present, others, strict=True) if a != k)
        table.add_row(f"also in {SPLITS[k].replace('_', ' ')}", *cells, _number(every))
    add("conflicting labels", audit.conflicting, audit.conflicting.sum())
    return table


def _sentences(audit: Audit, dataset: Dataset) -> list[str]:
    lines = _exact_copies(audit, dataset) if audit.repeated else ["No image occurs twice."]
    if len(dataset.labels) > MAX_IMAGES:
        lines.append(f"Near copies are not looked for among more than {MAX_IMAGES:,} images.")
    if audit.near:
        lines.append(
            f"{audit.near:,} more pairs are nearly the same (correlation above 0.99, also mirrored): "
            f"{audit.near_leaked:,} of a training and a test image, {audit.near_conflicting:,} with different labels; "
            f"--drop-duplicates near leaves {audit.near_leaking:,} training images out."
        )
    return lines


def _exact_copies(audit: Audit, dataset: Dataset) -> list[str]:
    across = audit.repeated - int(audit.copies.diagonal().sum())
    lines = [
        f"{audit.repeated:,} images are exact duplicates of an earlier one; {across:,} of them of one in another split."
    ]
    tested = int(audit.counts[[SPLITS.index(name) for name in TEST_SPLITS]].sum())
    if audit.leaked:
        lines.append(
            f"{audit.leaked:,} of the {tested:,} test images ({audit.leaked / tested:.1%}) are in train too; "
            f"--drop-duplicates leaves {audit.leaking:,} training images out."
        )
    if audit.conflicts:
        named = ", ".join(
            f"{' and '.join(dataset.classes[c] for c in labels)} ({count})"
            for labels, count in audit.conflicts[:MAX_CONFLICTS]
        )
        pictures = sum(count for _, count in audit.conflicts)
        lines.append(
            f"{pictures:,} different pictures occur with more than one label ({audit.conflicting.sum():,} images), "
            f"most often {named}."
        )
    return lines


def _number(value: int | np.integer) -> str:
    return f"{value:,}"
