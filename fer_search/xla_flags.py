"""Flags of XLA, the compiler of JAX, without which a training would not be repeatable, or not be right.

XLA reads the environment variable XLA_FLAGS when JAX looks for its devices, and ends the process over a flag that it
does not know. A flag that the user has set keeps its value.
"""

from __future__ import annotations

import importlib.metadata
import os

DETERMINISTIC = "--xla_gpu_exclude_nondeterministic_ops"
YNNPACK = "--xla_cpu_experimental_ynn_fusion_type"
FIRST_WITH_YNNPACK = (0, 11)  # version of JAX


def make_gpu_deterministic() -> None:
    """Make equal trainings on a GPU end with equal weights: on an H200 with JAX 0.11.2 they differ otherwise."""
    _add_flag(DETERMINISTIC, "true")


def disable_ynnpack() -> None:
    """Do without YNNPACK, which JAX uses on CPUs: in bfloat16 the mean over pixels of a sum is NaN (JAX 0.11.2)."""
    version = importlib.metadata.version("jax")
    if tuple(int(part) for part in version.split(".")[:2]) >= FIRST_WITH_YNNPACK:
        _add_flag(YNNPACK, "")


def _add_flag(name: str, value: str) -> None:
    flags = os.environ.get("XLA_FLAGS", "")
    if name not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {name}={value}".strip()
