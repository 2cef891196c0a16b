"""Memory use over many trials."""

import dataclasses
import gc
import os
from pathlib import Path

import pytest
from cases import SMALL, make_trial

from fer_search.training.trial import TrialData, train


@pytest.mark.soak
def test_memory_does_not_grow_over_many_trials(tmp_path, data):
    """Resident memory after ten more trials, as in a long search; benchmarks/memory.py runs 60."""
    few = TrialData(data.images[:64], data.labels[:64], data.val_images[:14], data.val_labels[:14])

    def resident():
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    if not Path("/proc/self/statm").exists():
        pytest.skip("needs Linux' /proc")
    sizes = []
    for number in range(18):  # of different networks, whose programs are kept for a while
        head = dataclasses.replace(SMALL.head, dropout=0.1 + number / 100)
        train(make_trial(tmp_path / str(number), 1, number, dataclasses.replace(SMALL, head=head)), few)
        sizes.append(resident())
    assert sizes[-1] < sizes[7] * 1.05, sizes
