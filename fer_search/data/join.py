"""Several data sets as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fer_search.data.dataset import Dataset
from fer_search.data.labels import order_classes
from fer_search.errors import UserError


def join(datasets: Sequence[Dataset]) -> Dataset:
    """Concatenate data sets; each image keeps its source (``Dataset.origins``).

    Args:
        datasets: At least two, with images of the same size and colour. Their classes are united by name.

    Raises:
        UserError: A source is given twice.
    """
    sources = [dataset.source for dataset in datasets]
    if repeated := [source for source in sources if sources.count(source) > 1]:
        raise UserError(f"--data {repeated[0]} is given twice; every face would be there twice")
    classes = order_classes({name for dataset in datasets for name in dataset.classes})
    labels = []
    for dataset in datasets:
        index = np.array([classes.index(name) for name in dataset.classes], np.uint8)
        labels.append(index[dataset.labels])
    notes = [f"{dataset.source}: {note}" for dataset in datasets for note in dataset.notes]
    return Dataset(
        images=np.concatenate([dataset.images for dataset in datasets]),
        labels=np.concatenate(labels),
        splits=np.concatenate([dataset.splits for dataset in datasets]),
        name=f"{sum(len(dataset.labels) for dataset in datasets):,} faces of {len(datasets)} data sets",
        source=" + ".join(sources),
        toy=all(dataset.toy for dataset in datasets),
        notes=tuple(notes),
        classes=classes,
        origins=np.concatenate([np.full(len(d.labels), k, np.uint8) for k, d in enumerate(datasets)]),
        origin_names=tuple(sources),
        groups=_groups(datasets),
    )


def _groups(datasets: Sequence[Dataset]) -> np.ndarray | None:
    """Return the persons of all data sets, none shared; None unless every data set knows them."""
    groups, first = [], 0
    for dataset in datasets:
        if dataset.groups is None:
            return None
        groups.append(dataset.groups + first)
        first = int(groups[-1].max(initial=first)) + 1
    return np.concatenate(groups)
