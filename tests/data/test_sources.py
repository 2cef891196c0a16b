"""Every file of a data set is read within bounds, and never waited for: csv files, lists, votes, arrays."""

import gzip
import os

import numpy as np
import pytest

from fer_search.data import ferplus, limits
from fer_search.data.load import load_dataset
from fer_search.data.raw import RawData
from fer_search.errors import UserError


@pytest.fixture(autouse=True)
def low_limit(monkeypatch, tmp_path):
    """Lower the limit from 8 GB to 1 MB, so that the data sets here can be small."""
    monkeypatch.setenv(limits.VARIABLE, "1MB")
    monkeypatch.setenv("FER_SEARCH_CACHE", str(tmp_path / "cache"))


def refusal(path):
    with pytest.raises(UserError) as error:
        load_dataset(str(path))
    return str(error.value)


def arrays(count):
    """Return images and labels; 400 images have 0.92 MB."""
    return {"x_train": np.zeros((count, 48, 48), np.uint8), "y_train": np.zeros(count, np.uint8)}


@pytest.mark.parametrize("name", ["FER2013Train/label.csv", "x_train.npy", "train.csv", "a.parquet"])
def test_a_fifo_in_a_folder_is_refused_without_hanging(tmp_path, name):
    path = tmp_path / "data" / name
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    if name == "x_train.npy":
        np.save(tmp_path / "data" / "y_train.npy", np.zeros(1, int))
    if name == "train.csv":
        (tmp_path / "data" / "test.csv").write_text("emotion,pixels\n")
    message = refusal(tmp_path / "data")
    assert name in message
    assert "FIFO" in message


def test_npy_files_are_added_up(tmp_path):
    (tmp_path / "data").mkdir()
    for part in ("train", "test"):
        for name, array in arrays(300).items():
            np.save(tmp_path / "data" / f"{name.replace('train', part)}.npy", array)
    assert limits.VARIABLE in refusal(tmp_path / "data")


def test_csv_files_are_added_up(tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("train", "test"):
        rows = f"0,{'100 ' * 2303}100\n" * 70  # 0.65 MB
        (tmp_path / "data" / f"{name}.csv").write_text("emotion,pixels\n" + rows)
    assert limits.VARIABLE in refusal(tmp_path / "data")


def test_hdf5_datasets_are_added_up(tmp_path):
    import h5py

    with h5py.File(tmp_path / "data.h5", "w") as file:
        for part in ("train", "test"):
            for name, array in arrays(300).items():
                file.create_dataset(name.replace("train", part), data=array, compression="gzip")
    assert limits.VARIABLE in refusal(tmp_path / "data.h5")


def test_texts_of_hdf5_count_with_their_length(tmp_path):
    import h5py

    with h5py.File(tmp_path / "data.h5", "w") as file:
        file.create_dataset("x_train", data=arrays(90)["x_train"], compression="gzip")
        file["y_train"] = ["x" * 10_000] * 90
    assert (tmp_path / "data.h5").stat().st_size < 10**6
    assert limits.VARIABLE in refusal(tmp_path / "data.h5")


def test_hdf5_data_in_another_file_are_refused(tmp_path):
    import h5py

    (tmp_path / "other").write_bytes(bytes(2304))
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file.create_dataset("x_train", (1, 48, 48), "u1", external=[(str(tmp_path / "other"), 0, 2304)])
        file["y_train"] = np.zeros(1, int)
    assert "x_train lies in another file" in refusal(tmp_path / "data.h5")


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("fer2013.csv", "emotion,pixels,Usage\n"),
        ("list.csv", "path,label\n"),
        ("list.txt", "a.png angry\n"),
        ("data/FER2013Train/label.csv", ""),
    ],
)
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_long_line_is_refused(tmp_path, monkeypatch, name, start, end):
    monkeypatch.setattr(limits, "MAX_LINE_BYTES", 1000)
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{start}0,{'0 ' * 2303}0,Training{end}")
    assert f"{path}: a line has more than" in refusal(tmp_path / name.split("/")[0])


def relabel(votes):
    raw = RawData(np.zeros((1, 48, 48), np.uint8), np.zeros(1, np.uint8), np.zeros(1, np.uint8), "csv")
    with pytest.raises(UserError) as error:
        ferplus.relabel(raw, votes)
    assert str(error.value).startswith(f"--ferplus-csv {votes}: cannot be read as FER+'s fer2013new.csv (")
    return str(error.value)


def test_votes_are_read_within_bounds(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "fifo.csv")
    assert "FIFO" in relabel(tmp_path / "fifo.csv")
    assert "No such file" in relabel(tmp_path / "none.csv")
    (tmp_path / "votes.csv.gz").write_bytes(gzip.compress(b"Usage,anger\nTraining,1\n"))
    assert "codec" in relabel(tmp_path / "votes.csv.gz")
    (tmp_path / "wide.csv").write_text("," * 70_000)
    assert "its header has more than 65,536 bytes" in relabel(tmp_path / "wide.csv")
    monkeypatch.setattr(ferplus, "MAX_VOTES_BYTES", 1000)
    (tmp_path / "long.csv").write_text("Usage,anger\n" + "Training,1\n" * 100)
    assert "more than 1,000" in relabel(tmp_path / "long.csv")
