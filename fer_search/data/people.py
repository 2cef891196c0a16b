"""Which images show the same person, from their file names."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import numpy as np

from fer_search.data.labels import parse_rules
from fer_search.data.options import DataOptions
from fer_search.data.presets import FILE_NAMES
from fer_search.data.raw import RawData
from fer_search.errors import UserError


def find_groups(raw: RawData, options: DataOptions, source: str) -> np.ndarray | None:
    """Return the number of the person on each image, int64 (n,); None if persons are unknown.

    Args:
        raw: The images; those with files have names.
        options: ``group_by``; without it, persons are known only for the presets whose file names tell them.
        source: Name of the source in messages.

    Raises:
        UserError: --group-by is given and the images have no file names, or one does not match.
    """
    preset = parse_rules(options).file_names
    pattern = options.group_by or (FILE_NAMES[preset][2] if preset else None)
    if pattern is None:
        return None
    if raw.names is None:
        raise UserError(f"--group-by: images of {source} ({raw.form}) have no file names")
    people: dict[str, int] = {}
    numbers = np.empty(len(raw.names), np.int64)
    for row, encoded in enumerate(raw.names):
        name = encoded.decode()
        match = re.search(pattern, PurePosixPath(name).name) or re.search(pattern, name)
        if match is None:
            raise UserError(f"--group-by {pattern!r} does not match {name} ({source})")
        person = match[1] if match.lastindex else match[0]
        numbers[row] = people.setdefault(person.lower(), len(people))
    return numbers
