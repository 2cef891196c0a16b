"""What is in a data set: counts, blank images, copies, conflicting labels; in numbers and as tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from fer_search.data.dataset import CLASSES, SPLITS, Dataset
from fer_search.data.duplicates import duplicates_of_train, picture_ids
from fer_search.data.plot import plot_samples

__all__ = ["Audit", "audit", "plot_samples", "tables"]

SHOWN_CONFLICTS = 3  # the most frequent pairs of labels that are named


@dataclass(frozen=True, eq=False)
class Audit:
    """What ``audit`` finds. Splits are in the order of SPLITS, classes in that of CLASSES.

    Args:
        counts: int64 (4, 7), images of each split and class.
        blank: int64 (4,), images of one single grey.
        copies: int64 (4, 4): [a, b] the rows of split a whose pixels also occur in split b; [a, a] the rows of a that
            repeat an earlier row of a.
        repeated: rows that repeat an earlier row, wherever that is.
        leaked: rows outside train whose pixels also occur in train.
        leaking: rows in train whose pixels also occur outside it; ``--drop-duplicates`` leaves them out.
        conflicting: int64 (4,), rows whose pixels occur with several labels.
        conflicts: the sets of labels that one picture has, with the number of such pictures, most frequent first.
    """

    counts: np.ndarray
    blank: np.ndarray
    copies: np.ndarray
    repeated: int
    leaked: int
    leaking: int
    conflicting: np.ndarray
    conflicts: tuple[tuple[tuple[int, ...], int], ...]


def audit(dataset: Dataset) -> Audit:
    """Count what a data set holds; images are copies where all their pixels are the same."""
    labels, splits = dataset.labels, dataset.splits
    flat = dataset.images.reshape(len(labels), -1)
    pictures = picture_ids(dataset.images)
    conflicting, conflicts = _conflicts(pictures, labels)
    return Audit(
        counts=np.array([np.bincount(labels[splits == k], minlength=len(CLASSES)) for k in range(len(SPLITS))]),
        blank=_per_split(splits, flat.min(axis=1) == flat.max(axis=1)),
        copies=_copies(pictures, splits),
        repeated=len(pictures) - len(np.unique(pictures)),
        leaked=int(duplicates_of_train(dataset).sum()),
        leaking=int(np.isin(pictures[splits == 0], pictures[splits != 0]).sum()),
        conflicting=_per_split(splits, conflicting),
        conflicts=conflicts,
    )


def _per_split(splits: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.bincount(splits[rows], minlength=len(SPLITS))


def _copies(pictures: np.ndarray, splits: np.ndarray) -> np.ndarray:
    found = np.zeros((len(SPLITS), len(SPLITS)), np.int64)
    parts = [pictures[splits == k] for k in range(len(SPLITS))]
    for a, own in enumerate(parts):
        for b, other in enumerate(parts):
            found[a, b] = len(own) - len(np.unique(own)) if a == b else np.isin(own, other).sum()
    return found


def _conflicts(pictures: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, tuple[tuple[tuple[int, ...], int], ...]]:
    """Return bool (n,), the rows whose pixels have several labels, and how often which labels meet."""
    given = np.unique(np.stack([pictures, labels], axis=1), axis=0)  # each picture with each of its labels, in order
    several = np.bincount(given[:, 0]) > 1
    met = Counter(tuple(given[given[:, 0] == picture, 1].tolist()) for picture in np.flatnonzero(several))
    return several[pictures], tuple(met.most_common())


def tables(examination: Audit, dataset: Dataset) -> list[RenderableType]:
    """Return what ``fer-search data info`` prints, for 80 columns and more."""
    present = [k for k in range(len(SPLITS)) if examination.counts[k].any()]
    return [
        _heading(dataset),
        Text(),
        _counts(examination, present),
        Text(),
        _checks(examination, present),
        Text(),
        *(Text(line) for line in _sentences(examination)),
    ]


def _heading(dataset: Dataset) -> Text:
    text = Text(dataset.name, style="bold").append(
        f"\n{dataset.source}, fingerprint {dataset.fingerprint}", style="none"
    )
    if dataset.toy:
        text.append("\nDrawn by a program: they say nothing about real faces.", style="none")
    for note in dataset.notes:
        text.append(f"\nNote: {note}.", style="none")
    if not dataset.notes and not dataset.toy:
        text.append("\nAll images are 48x48 and 8-bit grey; nothing was converted.", style="none")
    return text


def _table(first: str, present: list[int], *more: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column(first, min_width=21)
    for name in (*(SPLITS[k].replace("_", " ") for k in present), *more):
        table.add_column(name, justify="right", min_width=6)
    return table


def _counts(examination: Audit, present: list[int]) -> Table:
    counts, total = examination.counts[present], examination.counts.sum()
    table = _table("images", present, "all", "share")
    for c, name in enumerate(CLASSES):
        own = counts[:, c]
        table.add_row(name, *map(_number, own), _number(own.sum()), f"{own.sum() / total:.1%}")
    table.add_section()
    table.add_row("all", *map(_number, counts.sum(axis=1)), _number(total), "")
    return table


def _checks(examination: Audit, present: list[int]) -> Table:
    table = _table("of these", present, "all")

    def add(name: str, values: np.ndarray, every: int) -> None:
        table.add_row(name, *map(_number, values[present]), _number(every))

    add("blank (a single grey)", examination.blank, examination.blank.sum())
    add("repeats an earlier one", examination.copies.diagonal(), examination.repeated)
    for k in present if len(present) > 1 else []:
        others = [examination.copies[a, k] for a in present]
        cells = ("" if a == k else _number(value) for a, value in zip(present, others, strict=True))
        every = sum(value for a, value in zip(present, others, strict=True) if a != k)
        table.add_row(f"also in {SPLITS[k].replace('_', ' ')}", *cells, _number(every))
    add("conflicting labels", examination.conflicting, examination.conflicting.sum())
    return table


def _sentences(examination: Audit) -> list[str]:
    if not examination.repeated:
        return ["No image occurs twice."]
    across = examination.repeated - int(examination.copies.diagonal().sum())
    lines = [
        f"{examination.repeated:,} images are copies of an earlier one, equal in every pixel; "
        f"{across:,} of them of one in another split."
    ]
    tested = int(examination.counts[1:].sum())
    if examination.leaked:
        lines.append(
            f"{examination.leaked:,} of the {tested:,} test images ({examination.leaked / tested:.1%}) are in train "
            f"too; --drop-duplicates leaves {examination.leaking:,} training images out."
        )
    if examination.conflicts:
        named = ", ".join(
            f"{' and '.join(CLASSES[c] for c in labels)} ({count})"
            for labels, count in examination.conflicts[:SHOWN_CONFLICTS]
        )
        pictures = sum(count for _, count in examination.conflicts)
        lines.append(
            f"{pictures:,} different pictures occur with more than one label ({examination.conflicting.sum():,} "
            f"images), most often {named}."
        )
    return lines


def _number(value: int | np.integer) -> str:
    return f"{value:,}"
