"""Start of the Keras backend."""

import os
import subprocess
import sys

import pytest

from fer_search import backend

SCRIPT = """
import gc, sys
from fer_search import backend
from fer_search.fast_imports import UNUSED_BY_WORKERS

backend.start(UNUSED_BY_WORKERS)
assert gc.isenabled()
assert "keras" in sys.modules
assert not UNUSED_BY_WORKERS & sys.modules.keys()
import jax, pandas, scipy, sklearn
assert all(module.__version__ for module in (jax, pandas, scipy, sklearn))
"""


@pytest.mark.slow
def test_packages_skipped_at_start_can_be_imported_afterwards():
    for name in ("sklearn", "jax"):
        pytest.importorskip(name)
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


BAYESIAN = """
import sys
from pathlib import Path
from fer_search import backend

backend.start()
assert "sklearn" not in sys.modules
import keras_tuner
from fer_search.search.proposing.oracles import make_oracle

hp = keras_tuner.HyperParameters()
for k in range(30):
    hp.Float(f"rate_{k}", 0.1, 0.9)
options = {"seed": 0, "max_epochs": 1, "factor": 3, "min_epochs": 1, "full_baselines": True}
oracle = make_oracle("bayesian", hp, Path(sys.argv[1]), max_trials=None, **options)
print(oracle.num_initial_points)
"""


@pytest.mark.slow
def test_the_bayesian_tuner_starts_where_scikit_learn_was_skipped(tmp_path):
    """And begins with a third of the default number of trials where that is not limited."""
    run = subprocess.run([sys.executable, "-c", BAYESIAN, tmp_path], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.split()) == (0, ["16"]), run.stderr


DETERMINISTIC = "--xla_gpu_exclude_nondeterministic_ops=true"
AS_GIVEN = "--xla_gpu_exclude_nondeterministic_ops=false"


@pytest.mark.parametrize(
    ("gpus", "given", "expected"),
    [("0", "", DETERMINISTIC), ("0", AS_GIVEN, AS_GIVEN), ("", "--xla_dump_hlo_as_text", "--xla_dump_hlo_as_text")],
)
def test_trainings_on_a_gpu_are_deterministic_unless_the_user_prefers_speed(monkeypatch, gpus, given, expected):
    """Measured on an H200: without the flag two equal trainings differ from the first epoch on, with it in no bit."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    monkeypatch.setenv("XLA_FLAGS", given)
    monkeypatch.setattr(backend, "_started", "")  # as in a new process
    backend.start()
    assert os.environ["XLA_FLAGS"] == expected


@pytest.mark.slow
def test_jax_starts_with_the_flag_for_gpus():
    """XLA ends the process over an unknown flag."""
    pytest.importorskip("jax")
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "0", "XLA_FLAGS": "", "KERAS_BACKEND": "jax"}
    script = "import os; from fer_search import backend; backend.start(); import jax; jax.devices(); "
    command = [sys.executable, "-c", script + "print(os.environ['XLA_FLAGS'])"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.stdout.strip().splitlines()[-1:] == [DETERMINISTIC], run.stderr
