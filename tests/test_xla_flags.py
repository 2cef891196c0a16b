"""Flags of XLA."""

import importlib.metadata
import os

import pytest

from fer_search.xla_flags import disable_ynnpack, make_gpu_deterministic


@pytest.mark.parametrize(("version", "known"), [("0.6.0", False), ("0.10.2", False), ("0.11.2", True), ("1.0", True)])
def test_ynnpack_is_disabled_only_where_its_flag_is_known(monkeypatch, version, known):
    """XLA ends the process over an unknown flag."""
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=folder")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    disable_ynnpack()
    added = " --xla_cpu_experimental_ynn_fusion_type=" if known else ""
    assert os.environ["XLA_FLAGS"] == "--xla_dump_to=folder" + added


def test_a_flag_of_the_user_keeps_its_value(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    make_gpu_deterministic()
    make_gpu_deterministic()
    assert os.environ["XLA_FLAGS"] == "--xla_gpu_exclude_nondeterministic_ops=true"
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_exclude_nondeterministic_ops=false")
    make_gpu_deterministic()
    assert os.environ["XLA_FLAGS"] == "--xla_gpu_exclude_nondeterministic_ops=false"
