"""Start of the Keras backend: quiet, and configured for bit-for-bit reproducibility.

``start`` is called once, before the first import of keras. Code that needs no Keras does not import this module.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from fer_search import xla_flags
from fer_search.errors import UserError
from fer_search.fast_imports import UNUSED, fast_imports

BACKENDS = ("tensorflow", "jax")
GPU_SHARE = "FER_SEARCH_GPU_SHARE"  # environment variable: fraction of a GPU that this process may use
_gpus_hidden = False
_started = ""  # the backend that ``start`` has prepared in this process
JAX_GPU_PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin", "jax_rocm60_plugin", "jax_rocm7_plugin")
BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")  # CPU features with bfloat16 faster than float32
BFLOAT16_CAPABILITY = (8, 0)  # first NVIDIA compute capability with it


def gpu_count() -> int:
    """Return the number of NVIDIA GPUs that this process may use, without starting a backend."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def hide_gpus() -> None:
    """Leave the GPUs to the workers: this process computes nothing on them. Must precede ``start``."""
    global _gpus_hidden
    _gpus_hidden = True


def start(unused: frozenset[str] = UNUSED) -> str:
    """Import Keras with the backend of this run (see ``choose``) and return the backend's name.

    Args:
        unused: Optional packages of Keras that the first import skips; see ``fast_imports``.

    Raises:
        UserError: The backend is unknown or not installed.
    """
    global _started
    if _started and os.environ.get("KERAS_BACKEND") == _started:
        return _started
    if gpu_count():
        xla_flags.make_gpu_deterministic()
    with suppressed_native_stderr():
        backend, _ = choose()
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with suppressed_native_stderr(), fast_imports(backend, unused):
            if backend == "jax":
                _prepare_jax()
            import keras
            import keras_tuner  # noqa: F401  # while imports are fast

            if backend == "tensorflow":
                _prepare_tensorflow()
    except ImportError as error:
        extra = "[jax]" if backend == "jax" else ""
        raise UserError(
            f"KERAS_BACKEND={backend}: {error}; install it from the repository with: pip install '.{extra}'"
        ) from error
    _started = str(keras.backend.backend())
    return _started


def choose() -> tuple[str, str]:
    """Return the backend that a run uses, and the reason.

    KERAS_BACKEND takes precedence; otherwise JAX is used if it is installed and sees a GPU, and TensorFlow elsewhere.

    Raises:
        UserError: KERAS_BACKEND is neither "tensorflow" nor "jax".
    """
    given = os.environ.get("KERAS_BACKEND")
    if given:
        if given not in BACKENDS:
            raise UserError(f"KERAS_BACKEND={given} is not supported; use {' or '.join(BACKENDS)}")
        return given, f"KERAS_BACKEND={given} is set"
    if not _installed("jax"):
        return "tensorflow", "JAX is not installed"
    if not any(map(_installed, JAX_GPU_PLUGINS)):
        return "tensorflow", "JAX is installed without GPU support, and TensorFlow is faster on CPUs"
    if _gpus_hidden and any(Path("/dev").glob("nvidia[0-9]*")):
        return "jax", "JAX is installed with GPU support, and there is a GPU"
    import jax

    if jax.default_backend() == "cpu":
        return "tensorflow", "JAX sees no GPU, and TensorFlow is faster on CPUs"
    return "jax", "JAX is installed and sees a GPU"


def device() -> str:
    """Return a description of the device that the backend uses."""
    if os.environ.get("KERAS_BACKEND") == "jax":
        import jax

        first = jax.devices()[0]
        if first.platform != "cpu":
            return f"{first.device_kind} (JAX)"
    else:
        import tensorflow as tf

        if gpus := tf.config.list_physical_devices("GPU"):
            name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
            return f"{name} (TensorFlow)"
    return f"CPU, {cores()} cores ({platform.machine()})"


def device_count() -> int:
    """Return the number of devices that can share a trial's batches: GPUs, or 1 for the CPU without a GPU."""
    if os.environ.get("KERAS_BACKEND") == "jax":
        import jax

        return len(jax.devices())
    import tensorflow as tf

    return len(tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU"))


def describe_devices() -> list[str]:
    """Return the output lines of ``fer-search devices``: the hardware, and the backend and device of a run.

    Starts the backend, so that the lines describe what is actually used.
    """
    with suppressed_native_stderr():
        _, reason = choose()
    backend = start()
    precision = "bfloat16" if gains_from_bfloat16() else "float32"
    flags = sorted(_cpu_flags() & {"avx2", "avx512f", *BFLOAT16_FLAGS})
    lines = [
        f"CPU: {cores()} cores, {platform.machine()}{', ' + ' '.join(flags) if flags else ''}",
        *(f"{name}: {versions().get(name, 'not installed')}" for name in ("tensorflow", "jax", "keras")),
        f"Backend of a run: {backend} ({reason}).",
        f"Device: {device()}. Precision 'auto' means {precision} here.",
    ]
    if (count := device_count()) > 1:
        lines.append(f"{count} devices are available: --devices {count} trains each trial on all of them.")
    if backend == "tensorflow" and any(Path("/dev").glob("nvidia[0-9]*")) and device().startswith("CPU"):
        lines.append(
            "There is an NVIDIA GPU that TensorFlow cannot use; install GPU support from the repository with "
            "pip install '.[jax-cuda]' or '.[cuda]'."
        )
    return lines


def cores() -> int:
    """Return the number of CPU cores available to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def gains_from_bfloat16() -> bool:
    """Return whether bfloat16 trains faster than float32 with this backend on this device."""
    if os.environ.get("KERAS_BACKEND") == "jax":
        import jax

        first = jax.devices()[0]
        if first.platform != "gpu":
            return bool(first.platform == "tpu")
        capability = getattr(first, "compute_capability", "")
        return "." in capability and tuple(map(int, capability.split("."))) >= BFLOAT16_CAPABILITY
    import tensorflow as tf

    if gpus := tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpus[0])
        return bool(details.get("compute_capability", (0, 0)) >= BFLOAT16_CAPABILITY)
    return bool(_cpu_flags() & set(BFLOAT16_FLAGS))


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that affect a run's results."""
    versions = {"python": platform.python_version()}
    for name in ("fer-search", "keras", "keras-tuner", "tensorflow", "jax", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _cpu_flags() -> set[str]:
    """Return the CPU's feature flags on Linux; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def _prepare_tensorflow() -> None:
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # TensorFlow was already used: keep its configuration
        gpus = tf.config.list_physical_devices("GPU")
        if _gpus_hidden:
            tf.config.set_visible_devices([], "GPU")
        elif share := float(os.environ.get(GPU_SHARE, 0)):
            for gpu in gpus:  # a fixed limit, so that a trial's memory does not depend on its neighbours'
                limit = tf.config.LogicalDeviceConfiguration(memory_limit=int(share * _gpu_megabytes(gpu)))
                tf.config.set_logical_device_configuration(gpu, [limit])
        else:
            for gpu in gpus:
                tf.config.experimental.set_memory_growth(gpu, True)
        # With more threads, gradients are summed in order of arrival and two runs differ in the last bits.
        tf.config.threading.set_inter_op_parallelism_threads(1)


def _gpu_megabytes(gpu: Any) -> float:
    """Return 90% of a GPU's memory in MiB; the rest is for the CUDA contexts of the processes that share it."""
    index = int(gpu.name.rsplit(":", 1)[-1])
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return 0.9 * _total_megabytes(visible.split(",")[index] if visible else str(index))


def _total_megabytes(gpu: str) -> int:
    command = ["nvidia-smi", f"--id={gpu}", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _prepare_jax() -> None:
    """Cache compiled programs in the user's cache folder, so that trials of equal shapes compile only once."""
    import jax

    from fer_search.data.cache import cache_folder

    if not gpu_count():
        xla_flags.disable_ynnpack()
    config: Any = jax.config
    if _gpus_hidden:
        config.update("jax_platforms", "cpu")
    folder = cache_folder() / "jax"
    with contextlib.suppress(OSError):  # without a cache folder, programs are compiled every time
        folder.mkdir(parents=True, exist_ok=True)
        config.update("jax_compilation_cache_dir", str(folder))
        config.update("jax_persistent_cache_min_compile_time_secs", 0)
        config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@contextlib.contextmanager
def suppressed_native_stderr() -> Iterator[None]:
    """Suppress what native libraries write to stderr while loading; FER_SEARCH_DEBUG shows it if loading fails."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            captured.seek(0)
            if os.environ.get("FER_SEARCH_DEBUG"):
                os.write(2, captured.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def device_memory() -> int:
    """Return the memory of the device that a run computes on, in bytes; the host's on a CPU."""
    if (_gpus_hidden and gpu_count()) or not device().startswith("CPU"):
        with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
            return _total_megabytes(os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0] or "0") * 2**20
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
