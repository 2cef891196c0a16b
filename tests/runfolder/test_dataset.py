"""The data set of a run, read again."""

import dataclasses

import pytest

from fer_search.errors import EXIT_MISMATCH, UserError
from fer_search.report import load_run
from fer_search.runfolder import dataset
from fer_search.runfolder.dataset import load_run_dataset


def test_a_data_set_that_differs_in_one_label_is_refused(searched_run, monkeypatch):
    info = load_run(searched_run)
    own = load_run_dataset(searched_run, info)
    labels = own.labels.copy()
    labels[0] = (labels[0] + 1) % len(own.classes)
    monkeypatch.setattr(dataset, "load_dataset", lambda *args, **options: dataclasses.replace(own, labels=labels))
    with pytest.raises(UserError, match=r"is not the data set that .*small was searched on; give --data") as error:
        load_run_dataset(searched_run, info, "other.npz")
    assert error.value.exit_code == EXIT_MISMATCH


def test_data_that_are_not_there_any_more_are_reported_with_the_run(searched_run):
    info = load_run(searched_run)
    relative = "data/faces, relative to the folder where it was started"
    for path, where in (("data/faces", relative), ("/no/faces", "/no/faces")):
        moved = dataclasses.replace(info, data={**info.data, "source": path, "sources": None})
        with pytest.raises(UserError, match=f"were read from {where}; they are not there: give --data PATH"):
            load_run_dataset(searched_run, moved)
