"""Names of splits as they are usually spelt."""

from __future__ import annotations

import re

from fer_search.data.dataset import TEST, TRAIN, VALIDATION

SPLIT_NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "trainset": TRAIN,
    "publictest": 1,
    "public_test": 1,
    "public": 1,
    "privatetest": 2,
    "private_test": 2,
    "private": 2,
    "test": TEST,
    "testing": TEST,
    "testset": TEST,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "dev": VALIDATION,
    "fer2013train": TRAIN,
    "fer2013valid": VALIDATION,  # FER+'s folders
    "fer2013test": TEST,
}


def split_of(text: str) -> int | None:
    """Return the split that a folder name, array key or Usage means, an index into SPLITS; None if it means none."""
    return SPLIT_NAMES.get(re.sub(r"[\s-]+", "_", text.strip().lower()))


def split_of_file(name: str) -> int | None:
    """Return the split that a file name begins with, such as train-00000-of-00001.parquet or test_0001.jpg."""
    return split_of(re.split(r"[_.\d-]", name.rpartition("/")[2], maxsplit=1)[0])
