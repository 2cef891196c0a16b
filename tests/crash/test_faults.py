"""I/O errors at any system call: once the cause is gone, the same command gives the result of a run without errors."""

import errno
import os
import shutil

import pytest

from fer_search.errors import UserError

GIVEN = {"max_trials": 3, "max_epochs": 2}
FAULTS = {name: getattr(errno, name) for name in ("EIO", "ENOSPC", "EDQUOT", "EINTR", "EMFILE")}
CALLS = ("open", "fsync", "replace", "link", "unlink", "mkdir")


class Faults:
    """Makes the Nth ``os`` call below a folder, and possibly later ones, fail.

    Args:
        folder: Folder below which calls fail.
        first: Index of the first failing call, from 0.
        number: Error number (errno).
        count: Number of failing calls.
    """

    def __init__(self, folder, first, number, count):
        self.folder, self.first, self.number, self.last = str(folder), first, number, first + count
        self.calls = 0

    def install(self, patch):
        for name in CALLS:
            patch.setattr(os, name, self.wrap(getattr(os, name)))

    def wrap(self, real):
        def call(target, *arguments, **options):
            path = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else os.fspath(target)
            if str(path).startswith(self.folder):
                self.calls += 1
                if self.first < self.calls <= self.last:
                    raise OSError(self.number, os.strerror(self.number), str(path))
            return real(target, *arguments, **options)

        return call


def run_with_fault(search, folder, patch, first, number, count):
    """Run a search with faults; return the number of calls and the error that ended it, if any."""
    faults = Faults(folder / "tiny", first, number, count)
    faults.install(patch)
    try:
        search(folder, **GIVEN)
    except UserError as error:
        return faults.calls, error
    return faults.calls, None


@pytest.mark.parametrize("fault", FAULTS)
def test_a_search_resumes_to_the_same_result_after_a_fault_at_any_call(
    search, state, tmp_path, monkeypatch, thorough, fault
):
    assert search(tmp_path / "without_faults", **GIVEN) == 0
    expected = state(tmp_path / "without_faults" / "tiny")
    with monkeypatch.context() as patch:
        calls, _ = run_with_fault(search, tmp_path / "counted", patch, 10**9, 0, 0)
    assert calls > 100
    step = 1 if thorough else calls // 6
    for first in range(sum(map(ord, fault)) % step, calls, step):  # a different offset for each fault
        folder = tmp_path / "faulty"
        folder.mkdir()
        with monkeypatch.context() as patch:
            # a full disk stays full; other faults are transient
            count = 10**9 if fault in ("ENOSPC", "EDQUOT") else 1
            _, error = run_with_fault(search, folder, patch, first, FAULTS[fault], count)
        assert error is None or "\n" not in str(error)
        assert search(folder, **GIVEN) == 0, (fault, first)
        assert state(folder / "tiny") == expected, (fault, first)
        shutil.rmtree(folder)
