"""Start of the Keras backend."""

import subprocess
import sys

import pytest

SCRIPT = """
import gc, sys
from fer_search import backend

backend.start()
assert gc.isenabled()
assert "keras" in sys.modules
assert not {"sklearn", "jax"} & sys.modules.keys()
import sklearn
import jax
assert sklearn.__version__ and jax.__version__
"""


def test_packages_skipped_at_start_can_be_imported_afterwards():
    for name in ("sklearn", "jax"):
        pytest.importorskip(name)
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
