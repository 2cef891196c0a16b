"""Importing Keras and its backend without the optional packages that this process does not need."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

# Keras and TensorFlow import optional packages wherever they are installed. All that a run needs them for is Keras
# Tuner's Bayesian oracle, which imports scikit-learn later (``oracles.BayesianOracle``).
UNUSED = frozenset({"sklearn", "jax"})
# Training needs neither data frames, nor sparse matrices, nor drawing on images.
UNUSED_BY_WORKERS = UNUSED | {"pandas", "scipy", "cv2"}
NEEDED_BY_JAX = frozenset({"jax", "scipy"})


@contextlib.contextmanager
def fast_imports(backend: str, unused: frozenset[str]) -> Iterator[None]:
    """Make the first import of Keras and its backend take half to two thirds of the time.

    Without garbage collections, which find nothing in modules, and without optional packages. Afterwards these can be
    imported as usual, but what Keras itself does with them stays unavailable.

    Args:
        backend: Keras backend that is imported.
        unused: Packages to skip, unless they were imported before or the backend needs them.
    """
    if "keras" in sys.modules:
        yield
        return
    skipped = unused - (NEEDED_BY_JAX if backend == "jax" else frozenset()) - sys.modules.keys()
    sys.modules.update(dict.fromkeys(skipped))  # type: ignore[arg-type]  # importing None raises ImportError
    gc.disable()
    try:
        yield
    finally:
        for name in skipped:
            del sys.modules[name]
        gc.enable()
    gc.collect()
    gc.freeze()  # the libraries' objects live forever: exclude them from the garbage collections of each trial
