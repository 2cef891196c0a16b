"""Finding and reading data sets in all their formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fer_search.data import toy
from fer_search.data.cache import cache_folder, cached, source_key
from fer_search.data.dataset import SPLITS, Dataset, check
from fer_search.data.find import GET_DATA, describe_unused, find_data
from fer_search.data.join import join
from fer_search.data.options import DataOptions
from fer_search.data.people import find_groups
from fer_search.data.raw import RawData
from fer_search.data.read import read
from fer_search.data.spec import FER2013_CLASSES
from fer_search.data.split import set_test_aside
from fer_search.errors import UserError

FER2013_TRAIN = (3995, 436, 4097, 7215, 4830, 3171, 4965)  # training images per class
FER2013_TEST = 7178
AUTO, TOY = "auto", "toy"


def load_dataset(
    source: str | Sequence[str] = AUTO,
    *,
    labels: str = "fer2013",
    ferplus_csv: Path | None = None,
    cache_dir: Path | None = None,
    options: DataOptions | None = None,
) -> Dataset:
    """Read a data set, or several and join them; from the cache if they were read before.

    Args:
        source: A path, or several; "toy"; or "auto", which uses FER2013 if it finds it (``data/``,
            ``$FER_SEARCH_DATA``, what ``fer-search data download`` put in the cache) and otherwise the toy faces.
        labels: "fer2013" for the data set's own labels, "ferplus" for the majority of FER+'s votes.
        ferplus_csv: FER+'s fer2013new.csv, required for "ferplus".
        cache_dir: Cache folder, instead of the user's.
        options: Classes, size, colour and splits.

    Raises:
        UserError: The source is missing or invalid; one line that names the file and the remedy.
    """
    options, folder = options or DataOptions(), cache_dir or cache_folder()
    sources = [source] if isinstance(source, str) else list(source)
    if labels == "ferplus" and ferplus_csv is None:
        raise UserError("--labels ferplus needs --ferplus-csv FILE, FER+'s fer2013new.csv")
    if len(sources) > 1:
        if labels == "ferplus":
            raise UserError("--labels ferplus takes a single --data, FER2013")
        sized = replace(options, image_size=options.image_size or _common_size(sources, options, folder))
        return _finish(join([_load(one, labels, None, folder, sized) for one in sources]), options, folder)
    return _finish(_load(sources[0], labels, ferplus_csv, folder, options), options, folder)


def _load(source: str, labels: str, ferplus_csv: Path | None, folder: Path, options: DataOptions) -> Dataset:
    """Read one source as it is, not yet checked."""
    found = None
    if source == AUTO:
        found = find_data(folder)
        source = str(found) if found else TOY
    if source == TOY:
        if labels == "ferplus":
            raise UserError("--labels ferplus is for FER2013; the toy faces have no such votes")
        return _toy_faces(folder, options)
    try:
        raw = _read_cached(source, folder, options)
    except UserError as error:
        if found is None:
            raise
        raise UserError(f"--data auto found {source}, but: {error}; or --data toy for synthetic faces") from error
    name = _name(raw)
    if labels == "ferplus":
        from fer_search.data.ferplus import relabel

        assert ferplus_csv is not None
        raw, name = relabel(raw, ferplus_csv), f"{name}, labels of FER+"
    groups = find_groups(raw, options, source)
    return Dataset(raw.images, raw.labels, raw.splits, name, source, False, raw.notes, raw.classes, groups=groups)


def _read_cached(source: str, folder: Path, options: DataOptions) -> RawData:
    path = Path(source)
    reading = replace(options, test=None, group_by=None)  # neither changes what is read
    try:
        if not path.exists():
            raise UserError(f"--data {source}: no such file or folder; {GET_DATA}")
        return cached(source_key(path, reading), lambda: read(path, reading, folder), folder)
    except OSError as error:
        raise UserError(f"{error.filename or source} cannot be read ({error.strerror}); {GET_DATA}") from error


def _common_size(sources: Sequence[str], options: DataOptions, folder: Path) -> int:
    """Return the smallest of the sizes that the sources would have on their own: none is enlarged."""
    return min(int(_load(source, "fer2013", None, folder, options).images.shape[1]) for source in sources)


def _toy_faces(folder: Path, options: DataOptions) -> Dataset:
    from fer_search.data.toy_options import adapt

    raw = adapt(cached(f"toy-{toy.VERSION}", _draw_toy, folder), options)
    unused = describe_unused()
    notes = (*raw.notes, *([unused] if unused else []))
    name = "toy faces (synthetic, not FER2013)"
    return Dataset(raw.images, raw.labels, raw.splits, name, TOY, True, notes, raw.classes)


def _draw_toy() -> RawData:
    images, labels, splits = toy.draw_faces()
    return RawData(images, labels, splits, "toy")


def _finish(dataset: Dataset, options: DataOptions, folder: Path) -> Dataset:
    """Set test images aside where there are none, and check the result."""
    check(dataset.labels, dataset.splits, dataset.source, dataset.classes)
    return set_test_aside(dataset, options.test, folder)


def describe(dataset: Dataset) -> str:
    """Return in plain words what was found where and, for the toy faces, how to get real data."""
    counts = ", ".join(
        f"{int((dataset.splits == k).sum()):,} {name.replace('_', ' ')}"
        for k, name in enumerate(SPLITS)
        if (dataset.splits == k).any()
    )
    spec = dataset.spec
    kind = "" if spec.classes == FER2013_CLASSES and spec.image_shape == (48, 48) else f"; {spec.describe()}"
    if spec.classes != FER2013_CLASSES:
        kind += f" ({', '.join(spec.classes)})"
    notes = "".join(f" Note: {note}." for note in dataset.notes)
    if dataset.toy:
        return (
            f"Data: toy faces, drawn by a program, not FER2013: {counts}{kind}. Results on them do not transfer to "
            f"real faces; {GET_DATA}.{notes}"
        )
    return f"Data: {dataset.name} from {dataset.source}: {counts}{kind}.{notes}"


def _name(raw: RawData) -> str:
    """Return the name for display: FER2013 if there are as many images of each class."""
    original = raw.classes == FER2013_CLASSES and raw.images.shape[1:] == (48, 48)
    if original:
        train = np.bincount(raw.labels[raw.splits == 0], minlength=len(FER2013_CLASSES))
        original = (*train, int((raw.splits != 0).sum())) == (*FER2013_TRAIN, FER2013_TEST)
    return f"{'FER2013' if original else f'{len(raw.labels):,} faces'} ({raw.form})"
