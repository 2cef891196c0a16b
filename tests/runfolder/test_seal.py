"""Checkpoint seals detect damage and checkpoints of another trial, epoch or seed; old files are accepted."""

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
def test_a_checkpoint_of_another_trial_epoch_or_seed_is_detected(checkpoint, seed, number, epoch):
    assert damage(checkpoint, seed, number, epoch) == "belongs to seed 7 trial 2 epoch 3"


def test_every_kind_of_damage_is_detected(checkpoint):
    intact = checkpoint.read_bytes()
    middle = len(intact) // 2
    harmed = {
        "empty": b"",
        "half": intact[:middle],
        "without its seal's end": intact[:-5],
        "zeros": bytes(len(intact)),
        "zeros at the end": intact[:-4096] + bytes(4096),
        "a bit": intact[:middle] + bytes([intact[middle] ^ 1]) + intact[middle + 1 :],
        "a bit of the label": intact[:-100] + bytes([intact[-100] ^ 1]) + intact[-99:],
        "a page": intact[:middle] + bytes(512) + intact[middle + 512 :],
        "text": b"\xef\xbb\xbf" + intact,
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


def test_folders_and_missing_files_are_not_checkpoints(tmp_path):
    (tmp_path / "x.h5").mkdir()
    assert "it is a folder" in damage(tmp_path / "x.h5")
    assert "No such file" in damage(tmp_path / "missing.h5")
    assert SEAL_BYTES == 128
