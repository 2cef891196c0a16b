"""FER+ votes in place of the FER2013 labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fer_search.data.load import load_dataset
from fer_search.errors import UserError

HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
OF_CLASS = (6, 7, 8, 3, 5, 4, 2)  # columns of angry, disgust, fear, happy, sad, surprise, neutral
USAGE = ("Training", "PublicTest", "PrivateTest")


def votes_for(small, changed: dict[int, str]) -> str:
    """Return seven votes for each image's label and three for unknown, except in changed rows (numbered from 0)."""
    lines = [HEADER]
    for row, (label, split) in enumerate(zip(small.labels, small.splits, strict=True)):
        columns = [USAGE[split], f"fer{row:07}.png", *"0000000030"]
        columns[OF_CLASS[label]] = "7"
        lines.append(f"{USAGE[split]},,{changed[row]}" if row in changed else ",".join(columns))
    return "\n".join(lines) + "\n"


@pytest.fixture
def load(small, tmp_path: Path):
    def call(votes: str, source: Path | None = None):
        file = tmp_path / "fer2013new.csv"
        file.write_text(votes)
        source = source or small.csv(tmp_path / "fer2013.csv")
        return load_dataset(str(source), labels="ferplus", ferplus_csv=file, cache_dir=tmp_path / "cache")

    return call


def test_the_majority_becomes_the_label(small, load) -> None:
    changed = {
        0: "0,4,0,0,3,0,0,0,2,1",  # happy
        5: "4,0,4,0,2,0,0,0,0,0",  # tie: left out
        9: "0,0,0,4,0,0,0,4,2,0",  # sad ties with contempt: left out
        11: "0,0,0,0,0,0,0,0,0,10",  # not a face: left out
        30: "5,0,0,0,0,4,0,0,1,0",  # neutral
    }
    expected = small.labels.copy()
    expected[[0, 30]] = 3, 6
    kept = np.delete(np.arange(42), [5, 9, 11])
    dataset = load(votes_for(small, changed))
    np.testing.assert_array_equal(dataset.labels, expected[kept])
    np.testing.assert_array_equal(dataset.images, small.images[kept])
    np.testing.assert_array_equal(dataset.splits, small.splits[kept])
    assert dataset.notes == ("labels are FER+ majority votes; 3 images without a clear one are left out",)
    assert dataset.name == "42 faces (csv), labels of FER+"


def test_class_folders_are_refused(small, load, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs FER2013 as csv or npz: class folders have lost the order"):
        load(votes_for(small, {}), small.folders(tmp_path / "f"))


def test_images_in_a_different_order_are_refused(small, load, tmp_path: Path) -> None:
    rows = small.rows()
    rows[3], rows[25] = rows[25], rows[3]
    with pytest.raises(UserError, match="row 4: its Usage is not that of the data's image"):
        load(votes_for(small, {}), small.csv(tmp_path / "mixed.csv", rows=rows))


def test_a_different_number_of_rows_is_refused(small, load) -> None:
    with pytest.raises(UserError, match="has 41 rows, the data 42 images"):
        load(votes_for(small, {}).rstrip("\n").rpartition("\n")[0])


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", HEADER + "\nTraining,,x,0,0,0,0,0,0,0,0,0\n", "\x00\x01"])
def test_an_invalid_votes_file_is_refused(content: str, load) -> None:
    with pytest.raises(UserError, match=r"--ferplus-csv .*: cannot be read as FER\+'s fer2013new\.csv"):
        load(content)


def test_the_votes_file_is_required(small, tmp_path: Path) -> None:
    source = str(small.csv(tmp_path / "fer2013.csv"))
    with pytest.raises(UserError, match="--labels ferplus needs --ferplus-csv FILE"):
        load_dataset(source, labels="ferplus")
    with pytest.raises(UserError, match=r"gone\.csv: cannot be read"):
        load_dataset(source, labels="ferplus", ferplus_csv=tmp_path / "gone.csv")


def test_toy_faces_have_no_votes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="toy faces have no such votes"):
        load_dataset("toy", labels="ferplus", ferplus_csv=tmp_path / "x.csv")


def test_real_votes_relabel_fer2013(fer2013_npz: Path, ferplus_votes: Path) -> None:
    own = load_dataset(str(fer2013_npz))
    dataset = load_dataset(str(fer2013_npz), labels="ferplus", ferplus_csv=ferplus_votes)
    assert len(dataset.labels) == 33_500
    assert dataset.name == "FER2013 (npz), labels of FER+"
    assert "2,387 images without a clear one are left out" in dataset.notes[-1]
    # The first image of fer2013.csv: labelled angry, four votes for neutral, three for anger.
    assert (own.labels[0], dataset.labels[0]) == (0, 6)
    np.testing.assert_array_equal(dataset.images[0], own.images[0])
    assert np.bincount(dataset.labels, minlength=7).min() > 100
