"""FER+: the votes of ten annotators for each image of FER2013 (Barsoum et al. 2016, arXiv:1608.01041)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from fer_search.data.raw import RawData
from fer_search.data.spec import FER2013_CLASSES
from fer_search.data.splits import split_of
from fer_search.errors import UserError
from fer_search.files import open_regular

COLUMNS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprise": "surprise",
    "neutral": "neutral",
}
OTHERS = ("contempt", "unknown", "NF")  # NF: not a face


MAX_VOTES_BYTES = 16 << 20  # of the file; FER+'s has 2 million
MAX_HEADER_BYTES = 1 << 16  # of its first line, which says how many columns pandas makes


def relabel(raw: RawData, votes: Path) -> RawData:
    """Replace the labels by the majority of FER+'s votes.

    The label is the answer with the most votes. Images are left out if there is no single such answer or if it is not
    one of FER2013's seven classes (contempt, unknown, not a face).

    Args:
        raw: FER2013 in the order of fer2013.csv, that is, read from csv or npz.
        votes: FER+'s fer2013new.csv.

    Raises:
        UserError: The file is missing or not FER+'s, or the images are not in its order.
    """
    if raw.form not in ("csv", "npz"):
        raise UserError(f"--labels ferplus needs FER2013 as csv or npz: {raw.form} have lost the order of FER+'s rows")
    try:
        table = _read_votes(votes)
        splits = table["Usage"].map(split_of)
        ours = table[[COLUMNS[name] for name in FER2013_CLASSES]].to_numpy(np.int64)
        others = table[list(OTHERS)].to_numpy(np.int64)
    except (OSError, LookupError, ValueError, AttributeError) as error:
        raise UserError(f"--ferplus-csv {votes}: cannot be read as FER+'s fer2013new.csv ({error})") from error
    if len(table) != len(raw.labels):
        raise UserError(
            f"--ferplus-csv {votes} has {len(table):,} rows, the data {len(raw.labels):,} images; they must match"
        )
    differ = np.flatnonzero(splits.to_numpy() != raw.splits)
    if len(differ):
        raise UserError(
            f"--ferplus-csv {votes}, row {differ[0] + 1}: its Usage is not that of the data's image; --labels ferplus "
            "needs FER2013 in the order of fer2013.csv"
        )
    ranked = np.sort(ours, axis=1)
    clear = (ranked[:, -1] > ranked[:, -2]) & (ranked[:, -1] > others.max(axis=1))
    note = f"labels are FER+ majority votes; {int((~clear).sum()):,} images without a clear one are left out"
    labels = ours.argmax(axis=1).astype(np.uint8)
    return RawData(raw.images[clear], labels[clear], raw.splits[clear], raw.form, (*raw.notes, note))


def _read_votes(path: Path) -> pd.DataFrame:
    """Read the csv as it is: by a path, pandas would unpack what is compressed, without a bound, or wait for a FIFO.

    Raises:
        ValueError, OSError: It is no regular file, too large or no csv file.
    """
    with os.fdopen(open_regular(Path(os.path.realpath(path))), "rb") as file:
        if (size := os.fstat(file.fileno()).st_size) > MAX_VOTES_BYTES:
            raise ValueError(f"it has {size:,} bytes, more than {MAX_VOTES_BYTES:,}")
        if len(file.readline(MAX_HEADER_BYTES + 1)) > MAX_HEADER_BYTES:
            raise ValueError(f"its header has more than {MAX_HEADER_BYTES:,} bytes")
        file.seek(0)
        return pd.read_csv(file, compression=None)
