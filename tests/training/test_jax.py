"""Trials on JAX, in a process of its own: a process has one Keras backend."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import SMALL

SCRIPT = """
import json, sys
from pathlib import Path
from fer_search import backend
backend.start()
import jax, keras, numpy as np
sys.path.insert(0, sys.argv[4])
from cases import RICH, SMALL, make_trial, timeless
from fer_search.models import build_model, make_loss
from fer_search.training.batches import draw_batches
from fer_search.training.jax_engine import JaxEngine
from fer_search.training.trial import Stopped, TrialData, Watcher, train

out, arrays = Path(sys.argv[1]), np.load(sys.argv[2])
data = TrialData(*(arrays[k] for k in ("x", "y", "xv", "yv")))
found = {}

whole, seen = train(make_trial(out / "whole", 2, design=RICH), data), []
try:
    stopped = Watcher(progress=seen.append, stop=lambda: seen[-1].epoch == 2)
    train(make_trial(out / "again", 2, design=RICH), data, stopped)
except Stopped:
    pass
found["same"] = timeless(whole) == timeless(train(make_trial(out / "again", 2, design=RICH), data))
found["rates"] = [row["learning_rate"] for row in whole]
best = build_model(RICH)
best.load_weights(out / "whole" / "best.weights.h5")

model = build_model(SMALL)
model.load_weights(out / "tensorflow.weights.h5")
np.save(out / "jax.npy", model.predict(data.val_images[..., None].astype("float32"), verbose=0))

def dense(loop):
    # The loop inside the program is for accelerators; convolutions in a loop are slow on CPUs.
    keras.utils.set_random_seed(0)
    layers = keras.layers
    stack = [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dropout(0.2), layers.Dense(8),
             layers.BatchNormalization(), layers.Dense(7, activation="softmax")]
    images = keras.Input((48, 48, 1))
    model = keras.Model(images, keras.Sequential(stack)(images))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.5), "categorical_crossentropy")
    engine = JaxEngine(model, make_loss(SMALL.optimisation, reduction="none"), loop=loop)
    placed = engine.put(data.images), engine.put(data.labels.astype("int32"))
    sums = []
    for epoch in range(2):
        rows, weights = draw_batches(np.random.default_rng(epoch), len(data.labels), 20)
        rates = np.linspace(0.01, 0.1, len(rows), dtype="float32")
        batches = {"rows": rows, "weights": weights, "loss_weights": weights, "learning_rates": rates}
        engine.begin_epoch(placed, batches, np.random.default_rng(epoch))
        sums.append((engine.train(0, 2) + engine.train(2, len(rows))).tolist())
        engine.end_epoch()
    return sums, [np.asarray(v) for v in model.weights]

(by_loop, in_loop), (by_steps, in_steps) = dense(True), dense(False)
found["loop"] = bool(np.allclose(by_loop, by_steps, rtol=1e-4)) and all(
    np.allclose(a, b, atol=1e-4) for a, b in zip(in_loop, in_steps))
found["cached"] = len(list((Path(sys.argv[3]) / "jax").iterdir()))
print(json.dumps(found))
"""


@pytest.mark.slow
def test_jax_resumes_bit_for_bit_and_predicts_as_tensorflow(tmp_path, faces):
    pytest.importorskip("jax", reason="JAX is not installed: pip install 'fer-search[jax]'")
    import keras

    from fer_search.models import build_model

    train, test = faces.rows("train")[:96], faces.rows("test")[:40]
    arrays = tmp_path / "faces.npz"
    np.savez(arrays, x=faces.images[train], y=faces.labels[train], xv=faces.images[test], yv=faces.labels[test])
    keras.utils.set_random_seed(0)
    model = build_model(SMALL)
    model.save_weights(tmp_path / "tensorflow.weights.h5")
    ours = model.predict(faces.images[test][..., None].astype("float32"), verbose=0)
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), str(arrays), str(tmp_path / "cache"), str(Path(__file__).parent)],
        env=os.environ | {"KERAS_BACKEND": "jax", "FER_SEARCH_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["same"]
    assert found["rates"][1] == pytest.approx(1e-7, rel=1e-2)
    assert found["loop"]
    assert found["cached"] > 0
    np.testing.assert_allclose(np.load(tmp_path / "jax.npy"), ours, atol=1e-5)
