"""Starting the Keras backend: quietly, and so that a run can be repeated bit for bit.

Nothing here is imported by the parts that need no Keras; ``start`` is called once, before the first import of keras.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import importlib.util
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from fer_search.errors import UserError

BACKENDS = ("tensorflow", "jax")
JAX_GPU_PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin", "jax_rocm60_plugin", "jax_rocm7_plugin")
BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")  # of CPUs that multiply bfloat16 faster than float32
BFLOAT16_CAPABILITY = (8, 0)  # from which on NVIDIA's GPUs do


def start() -> str:
    """Import Keras with the backend of this run and return its name: see ``choose``.

    Raises:
        UserError: the backend is unknown or not installed.
    """
    with _native_stderr_held():
        backend, _ = choose()
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    first = "keras" not in sys.modules
    try:
        with _native_stderr_held():
            if backend == "jax":
                _prepare_jax()
            import keras

            if backend == "tensorflow":
                _prepare_tensorflow()
    except ImportError as error:
        extra = "[jax]" if backend == "jax" else ""
        raise UserError(
            f"KERAS_BACKEND={backend}: {error}; install it with: pip install 'fer-search{extra}'"
        ) from error
    if first:  # what the libraries are made of stays for good: collections, two a trial, need not go through it
        gc.collect()
        gc.freeze()
    return str(keras.backend.backend())


def choose() -> tuple[str, str]:
    """Return the backend that a run uses, and why.

    KERAS_BACKEND decides if it is set; otherwise JAX is used where it is installed with a GPU that it sees, and
    TensorFlow everywhere else.

    Raises:
        UserError: KERAS_BACKEND is neither.
    """
    given = os.environ.get("KERAS_BACKEND")
    if given:
        if given not in BACKENDS:
            raise UserError(f"KERAS_BACKEND={given} is not supported; use {' or '.join(BACKENDS)}")
        return given, f"KERAS_BACKEND={given} says so"
    if not _installed("jax"):
        return "tensorflow", "JAX is not installed"
    if not any(map(_installed, JAX_GPU_PLUGINS)):
        return "tensorflow", "JAX is installed for the CPU alone, and there TensorFlow is faster"
    import jax

    if jax.default_backend() == "cpu":
        return "tensorflow", "JAX sees no GPU, and on the CPU TensorFlow is faster"
    return "jax", "JAX is installed and sees a GPU"


def device() -> str:
    """Return a line that says what the backend computes on."""
    if os.environ.get("KERAS_BACKEND") == "jax":
        import jax

        found = jax.devices()[0]
        if found.platform != "cpu":
            return f"{found.device_kind} (JAX)"
    else:
        import tensorflow as tf

        if gpus := tf.config.list_physical_devices("GPU"):
            name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
            return f"{name} (TensorFlow)"
    return f"CPU, {cores()} cores ({platform.machine()})"


def device_count() -> int:
    """Return how many devices could share a trial's batches: GPUs, or the CPU as one where there is no GPU."""
    if os.environ.get("KERAS_BACKEND") == "jax":
        import jax

        return len(jax.devices())
    import tensorflow as tf

    return len(tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU"))


def describe_devices() -> list[str]:
    """Return lines for ``fer-search devices``: what this machine has, and what a run will compute on and why.

    Starts the backend, so that what is said is what was found and not what was hoped for.
    """
    with _native_stderr_held():
        _, reason = choose()
    backend = start()
    precision = "bfloat16" if gains_from_bfloat16() else "float32"
    flags = sorted(_cpu_flags() & {"avx2", "avx512f", *BFLOAT16_FLAGS})
    lines = [
        f"CPU: {cores()} cores, {platform.machine()}{', ' + ' '.join(flags) if flags else ''}",
        *(f"{name}: {_version(name)}" for name in ("tensorflow", "jax", "keras")),
        f"A run uses {backend}: {reason}.",
        f"It computes on: {device()}, in {precision} where a design's precision is auto.",
    ]
    if (count := device_count()) > 1:
        lines.append(f"There are {count} such devices: --devices {count} trains each trial on all of them.")
    if backend == "tensorflow" and any(Path("/dev").glob("nvidia[0-9]*")) and device().startswith("CPU"):
        lines.append(
            "There is an NVIDIA GPU that TensorFlow cannot use: pip install 'fer-search[jax-cuda]' or '[cuda]'."
        )
    return lines


def cores() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def gains_from_bfloat16() -> bool:
    """Return whether training in bfloat16 is faster than in float32 with the backend in use on this device."""
    if os.environ.get("KERAS_BACKEND") == "jax":
        import jax

        found = jax.devices()[0]
        if found.platform != "gpu":
            return found.platform == "tpu"
        capability = getattr(found, "compute_capability", "")
        return "." in capability and tuple(map(int, capability.split("."))) >= BFLOAT16_CAPABILITY
    import tensorflow as tf

    if gpus := tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpus[0])
        return details.get("compute_capability", (0, 0)) >= BFLOAT16_CAPABILITY
    return bool(_cpu_flags() & set(BFLOAT16_FLAGS))


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide what a run computes."""
    found = {"python": platform.python_version()}
    for name in ("fer-search", "keras", "keras-tuner", "tensorflow", "jax", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _version(name: str) -> str:
    return versions().get(name, "not installed")


def _cpu_flags() -> set[str]:
    """Return the CPU's features, as Linux names them; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def _prepare_tensorflow() -> None:
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # TensorFlow computed before: it stays as whoever called it set it up
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        # With more, gradients are added up in the order in which they happen to arrive: two runs differ in the last
        # bits.
        tf.config.threading.set_inter_op_parallelism_threads(1)


def _prepare_jax() -> None:
    """Keep compiled programs in the user's cache folder: a second trial of the same shape does not compile again."""
    import jax

    from fer_search.data.cache import cache_folder

    folder = cache_folder() / "jax"
    with contextlib.suppress(OSError):  # without a place to keep them, programs are compiled every time
        folder.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@contextlib.contextmanager
def _native_stderr_held() -> Iterator[None]:
    """Hold back what native libraries write to stderr while they load; show it if loading fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            held.seek(0)
            if os.environ.get("FER_SEARCH_DEBUG"):
                os.write(2, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
