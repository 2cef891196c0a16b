"""Stock Keras Tuner opens a run folder and builds its best models, in a process of its own."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from fer_search.export.source import find_network, load_network
from fer_search.search.trials import checkpoint_retention
from fer_search.search.trials.tuner_checkpoint import is_linked, update_tuner_checkpoint

STOCK = """
import sys
import keras_tuner
import numpy as np
from fer_search import FerHyperModel

tuner = keras_tuner.RandomSearch(
    FerHyperModel(sys.argv[1]), objective="val_accuracy", max_trials=99, directory=sys.argv[2], project_name="small"
)
models = tuner.get_best_models(3)
tuner.results_summary()
np.save(sys.argv[4], np.stack([model.predict_on_batch(np.load(sys.argv[3])) for model in models]))
"""


@pytest.mark.slow
def test_stock_keras_tuner_gives_the_best_models(searched_run, tmp_path, rng):
    run = shutil.copytree(searched_run, tmp_path / "small")
    images, out = tmp_path / "images.npy", tmp_path / "out.npy"
    pixels = rng.uniform(0, 255, (6, 48, 48, 1)).astype("float32")
    np.save(images, pixels)
    script = [sys.executable, "-c", STOCK, searched_run.parent / "small.py", tmp_path, images, out]
    done = subprocess.run(
        list(map(str, script)),
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("summary") >= 3
    assert np.load(out).shape == (3, 6, 7)
    best = find_network(run)
    expected = np.asarray(load_network(best, views=False)[0].predict_on_batch(pixels))
    if best.design.augmentation.crop == 0:
        np.testing.assert_allclose(np.load(out)[0], expected, atol=2e-2)  # bfloat16 where the design says so


def test_the_second_name_takes_no_room_and_goes_with_the_weights(tmp_path):
    folder = tmp_path / "trial_0000"
    folder.mkdir()
    (folder / "best.weights.h5").write_bytes(b"x" * 1000)
    update_tuner_checkpoint(folder)
    assert is_linked(folder)
    assert checkpoint_retention.used_bytes(tmp_path) == 1000
    (folder / "best.weights.h5").unlink()
    (folder / "best.weights.h5").write_bytes(b"y" * 500)
    update_tuner_checkpoint(folder)
    assert (folder / "checkpoint.weights.h5").read_bytes() == b"y" * 500
    (folder / "best.weights.h5").unlink()
    update_tuner_checkpoint(folder)
    assert not list(folder.iterdir())


def test_a_file_system_without_hard_links_gets_a_copy(tmp_path, monkeypatch):
    def refuse(*paths):
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "best.weights.h5").write_bytes(b"weights")
    update_tuner_checkpoint(tmp_path)
    assert (tmp_path / "checkpoint.weights.h5").read_bytes() == b"weights"
    assert not is_linked(tmp_path)
