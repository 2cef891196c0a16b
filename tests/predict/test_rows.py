"""Predictions as text."""

import json

import numpy as np
import pytest

from fer_search.predict.pipeline import Face
from fer_search.predict.rows import RowWriter, face_row


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_names_of_files_and_classes_are_harmless_to_terminals_and_spreadsheets(form):
    name, classes, written = "=1+1\x9b2J.png", ("\x1b[31mred", "\u202eblue"), []
    writer = RowWriter(form, written.append, classes)
    writer.write(face_row(name, Face((0, 0, 9, 9), np.array([0.75, 0.25])), classes))
    writer.close()
    text = "".join(written)
    assert not {"\x1b", "\x9b", "\u202e"} & set(text)
    if form == "json":
        assert json.loads(text)[0]["file"] == name
    elif form == "csv":
        assert text.splitlines()[1].startswith("'=1+1\\x9b2J.png,0,0,9,9,\\x1b[31mred,")
