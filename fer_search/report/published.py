"""The space's references beside what was measured here."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from fer_search.report import words
from fer_search.report.load import RunInfo


class PublishedRow(NamedTuple):
    """One reference, in words; ``here`` is a dash where no trial is its counterpart."""

    name: str
    published: str
    here: str


def published_rows(info: RunInfo, trials: pd.DataFrame) -> list[PublishedRow]:
    """Return a row for each reference; a baseline's of the same name is its counterpart here."""
    rows = []
    for name, accuracy in info.references.items():
        own = trials[(trials["name"] == name) & trials["accuracy"].notna()]
        rows.append(PublishedRow(name, words.percent(accuracy), words.with_interval(own.iloc[0]) if len(own) else "–"))
    return rows
