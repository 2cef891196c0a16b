"""Seals of checkpoints: damage, and checkpoints of another trial, epoch or seed, are found; old files are accepted."""

import h5py
import numpy as np
import pytest

from fer_search.files import write_hdf5
from fer_search.runfolder.seal import SEAL_BYTES, damage, make_seal, read_label, state_label


def write(path, label):
    def fill(memory):
        with h5py.File(memory, "w") as file:
            file["weights"] = np.arange(5000, dtype=np.float32)

    write_hdf5(path, fill, make_seal(label))


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "epoch_0003.weights.h5"
    write(path, state_label(7, 2, 3))
    return path


def test_a_sealed_file_opens_and_verifies(checkpoint):
    with h5py.File(checkpoint) as file:
        assert file["weights"][4999] == 4999
    assert read_label(checkpoint) == "seed 7 trial 2 epoch 3"
    assert damage(checkpoint) is None
    assert damage(checkpoint, 7, 2, 3) is None


@pytest.mark.parametrize(("seed", "number", "epoch"), [(8, 2, 3), (7, 1, 3), (7, 2, 4)])
def test_a_checkpoint_of_something_else_is_found(checkpoint, seed, number, epoch):
    assert damage(checkpoint, seed, number, epoch) == "belongs to seed 7 trial 2 epoch 3"


def test_every_kind_of_damage_is_found(checkpoint):
    whole = checkpoint.read_bytes()
    middle = len(whole) // 2
    harmed = {
        "empty": b"",
        "half": whole[:middle],
        "without its seal's end": whole[:-5],
        "zeros": bytes(len(whole)),
        "zeros at the end": whole[:-4096] + bytes(4096),
        "a bit": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "a bit of the label": whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:],
        "a page": whole[:middle] + bytes(512) + whole[middle + 512 :],
        "text": b"\xef\xbb\xbf" + whole,
    }
    for name, content in harmed.items():
        checkpoint.write_bytes(content)
        assert damage(checkpoint) is not None, name


def test_files_without_a_seal_are_only_checked_for_completeness(tmp_path):
    path = tmp_path / "epoch_0001.weights.h5"
    write(path, None)
    assert damage(path, 7, 2, 3) is None
    assert read_label(path) is None
    path.write_bytes(path.read_bytes()[:-100])
    assert damage(path) == "is no complete HDF5 file"


def test_what_is_no_file_is_no_checkpoint(tmp_path):
    (tmp_path / "x.h5").mkdir()
    assert "it is a folder" in damage(tmp_path / "x.h5")
    assert "No such file" in damage(tmp_path / "missing.h5")
    assert SEAL_BYTES == 128
