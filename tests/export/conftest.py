"""Test images, and a subprocess that has Keras but not fer-search."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

WITHOUT_FER_SEARCH = """
import importlib.util, json, os, sys
from pathlib import Path
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
sys.path = [path for path in sys.path if not (Path(path) / "fer_search").exists()]
assert importlib.util.find_spec("fer_search") is None
import numpy as np
import keras
path, images, out = sys.argv[1:]
model = keras.models.load_model(path)
np.save(out, np.asarray(model.predict_on_batch(np.load(images))))
print(json.dumps({
    "backend": keras.backend.backend(), "output": model.layers[-1].name, "input": model.input_shape,
    "modules": sorted({layer.__module__.split(".")[0] for layer in model._flatten_layers()}),
    "dtypes": sorted({str(weight.dtype) for weight in model.weights}),
}))
"""


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """24 toy faces, uint8 (24, 48, 48)."""
    from fer_search.data.toy import draw_faces

    return draw_faces(70, 70)[0][:24]


@pytest.fixture
def in_fresh_process(tmp_path, images):
    """Return a function that opens a .keras file without fer-search and returns its description and probabilities."""

    def run(path, backend):
        pixels, out = tmp_path / "images.npy", tmp_path / "out.npy"
        np.save(pixels, images[..., None].astype("float32"))
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [sys.executable, "-I", "-c", WITHOUT_FER_SEARCH, str(path), str(pixels), str(out)]
        done = subprocess.run(
            command,
            env=environment | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1]), np.load(out)

    return run
