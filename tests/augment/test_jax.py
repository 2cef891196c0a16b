"""All tests of this folder once more on JAX, in a process of its own: a process has one Keras backend."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_augmentations_pass_the_same_tests_on_jax():
    pytest.importorskip("jax", reason="JAX is not installed: pip install 'fer-search[jax]'")
    here = Path(__file__).resolve()
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", str(here.parent), "--ignore", str(here), "-p", "no:cacheprovider"],
        cwd=here.parents[2],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
