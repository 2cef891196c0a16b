"""FER+: ten taggers' votes for each image of FER2013 (Barsoum et al. 2016, arXiv:1608.01041)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from fer_search.data.dataset import CLASSES
from fer_search.data.raw import RawData
from fer_search.data.table import USAGES
from fer_search.errors import UserError

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


def relabel(raw: RawData, votes: Path) -> RawData:
    """Replace the labels by the majority of FER+'s votes.

    The label is the answer with the most votes. An image is left out where that is none of our seven (contempt,
    unknown, not a face) or not a single one.

    Args:
        raw: FER2013 in the order of fer2013.csv, that is, read from the csv or npz form.
        votes: FER+'s fer2013new.csv.

    Raises:
        UserError: the file is missing or not FER+'s, or the images are not in its order.
    """
    if raw.form == "class folders":
        raise UserError(
            "--labels ferplus needs FER2013 as csv or npz: class folders have lost the order that FER+ goes by"
        )
    try:
        table = pd.read_csv(votes)
        splits = table["Usage"].str.lower().map({usage.decode(): split for usage, split in USAGES.items()})
        ours = table[[COLUMNS[name] for name in CLASSES]].to_numpy(np.int64)
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
