"""All that depends on the backend, once more on JAX, in a process of its own: a process has one Keras backend."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

HERE = Path(__file__).parent
ON_BOTH = (
    "augment",
    "models/test_initializers.py",
    *(f"training/test_{name}.py" for name in ("fit", "batchnorm_stats", "devices", "jax_engine", "custom_networks")),
)


@pytest.mark.slow
def test_on_jax(tmp_path, faces, monkeypatch):
    pytest.importorskip("jax", reason="JAX is not installed: pip install 'fer-search[jax]'")
    monkeypatch.syspath_prepend(HERE / "training")
    from cases import SMALL

    from fer_search.models import build_model

    keras.utils.set_random_seed(0)
    model = build_model(SMALL)
    model.save_weights(tmp_path / "tensorflow.weights.h5")
    expected = model(faces.images[:20][..., None].astype("float32"), training=False)
    (tmp_path / "tensorflow.json").write_text(json.dumps(expected.numpy().tolist()))
    # Optimising the compiled programs takes longer than running them.
    options = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *(HERE / name for name in ON_BOTH)],
        cwd=HERE.parent,
        env=os.environ | options | {"KERAS_BACKEND": "jax", "FER_SEARCH_EXCHANGED": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
    assert "skipped" not in run.stdout.splitlines()[-1]
