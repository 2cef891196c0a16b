"""Whole runs on data and networks of one's own: search, report, confirm, retry, add."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from fer_search import cli, report
from fer_search.runfolder.epochs import read_epochs
from fer_search.search import opening

SPACE = (
    "from fer_search.design import *\n"
    "def design(hp):\n"
    "    return Design(network=Plain(stages=((hp.Choice('filters', [4, 6]),), (8,))),\n"
    "                  augmentation=Augmentation(flip=True, cutout=hp.Choice('cutout', [0, 8])),\n"
    "                  optimisation=Optimisation(batch_size=16, learning_rate=3e-3, schedule='constant'))\n"
)
GUIDE = """
import keras
from keras import layers


def build(hp):
    model = keras.Sequential()
    for i in range(hp.Int("conv_layers", 1, 2)):
        model.add(layers.Conv2D(hp.Choice(f"filters_{i}", [4, 8]), 3, strides=2, activation="relu"))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(3, activation="softmax"))
    rate = hp.Float("lr", 1e-3, 1e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Calls the command in tmp_path; gives stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fer-search", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert not ended.value.code, err
        return out, err

    return run


@pytest.fixture
def colours(tmp_path):
    """Class folders without splits, of 64 pixels in colour: each class is one."""
    rng = np.random.default_rng(0)
    for c, name in enumerate(("happy", "sad", "bored")):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for k in range(16):
            pixels = rng.integers(60, 120, (8, 8, 3))
            pixels[..., c] += 100
            picture = Image.fromarray(pixels.astype(np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)
            picture.save(tmp_path / "mine" / name / f"P{k % 8}_{k}.png")
    return tmp_path / "mine"


DATA = ("--data", "mine", "--classes", "happy,sad,bored", "--colour", "--image-size", 64, "--group-by", r"^(P\d)")
SMALL = ("--tuner", "random", "--max-trials", 2, "--max-epochs", 2)


@pytest.mark.parametrize("text", [SPACE, GUIDE], ids=["design", "build"])
def test_three_classes_in_colour_from_one_folder(call, colours, tmp_path, text):
    (tmp_path / "space.py").write_text(text)
    _, err = call("run", "--space", "space.py", "--name", "own", *DATA, *SMALL, "--objective", "macro_f1")
    assert "64x64 RGB, 3 classes (happy, sad, bored)" in err
    assert "are set aside for the test, by person" in err
    run = tmp_path / "results" / "own"
    info = json.loads((run / "run.json").read_text())
    assert info["data"]["classes"] == ["happy", "sad", "bored"]
    assert (info["data"]["image_size"], info["data"]["channels"]) == (64, 3)
    assert info["objective"] == {"name": "val_macro_f1", "direction": "max"}
    rows = read_epochs(run / "trial_0000" / "epochs.csv")
    assert {"recall_happy", "recall_sad", "recall_bored", "val_macro_f1", "val_balanced_accuracy"} <= set(rows[0])
    score = json.loads((run / "trial_0000" / "trial.json").read_text())["score"]
    assert score == max(row["val_macro_f1"] for row in rows)
    call("run", "--space", "space.py", "--name", "own", *DATA, *SMALL, "--objective", "macro_f1")  # nothing left to do
    call("report", "results/own")
    assert "bored" in (run / "report.html").read_text()
    assert len(report.load_trials(run)) == 2
    call("confirm", "results/own", "--top", 1, "--seeds", 1, "--epochs", 1)
    confirm = json.loads((run / "confirm" / "confirm.json").read_text())
    assert "recall_bored" in confirm["trainings"][0]["tests"]["test"]


def test_a_design_added_by_hand_is_trained(call, colours, tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "estimate_search", lambda *arguments: (40.0, 80.0))
    (tmp_path / "space.py").write_text(SPACE)
    call("run", "--space", "space.py", "--name", "own", *DATA, *SMALL)
    out, _ = call("add", "results/own", "filters=6", "cutout=8", "--no-run")
    assert "Added: filters 6, cutout 8" in out
    assert "same design" not in out
    command = out.strip().splitlines()[-1].removeprefix("To train: ")
    assert "--group-by '^(P\\d)'" in command
    executed = []
    monkeypatch.setattr("os.execv", lambda program, arguments: executed.append(arguments))
    out, _ = call("add", "results/own", "cutout=0")
    assert "is the same design: this one shows what another seed gives." in out
    assert executed[0][-2:] == ["--space", "space.py"]
    assert executed[0][executed[0].index("-m") :][:4] == ["-m", "fer_search.cli", "run", "--space"]
    call("run", "--space", "space.py", "--name", "own", *DATA, *SMALL)
    assert len(report.load_trials(tmp_path / "results" / "own")) == 4
