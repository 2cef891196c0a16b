"""Fencing: a worker that lost its trial writes nothing more."""

import threading

import pytest

from fer_search.files import write_text
from fer_search.runfolder.epochs import METRIC_COLUMNS, append_epoch
from fer_search.search.executors import lease
from fer_search.search.executors.lease import LeaseLost, StillHeld, grant_lease, hold_trial, wait_for_workers

ROW = dict.fromkeys(METRIC_COLUMNS, 0.5) | {"epoch": 1}


def never():
    return False


def test_a_worker_that_lost_its_lease_replaces_and_appends_nothing(tmp_path):
    token = grant_lease(tmp_path, "0000")
    with hold_trial(tmp_path, "0000", token, never):
        write_text(tmp_path / "best", "old")
        grant_lease(tmp_path, "0000")
        with pytest.raises(LeaseLost, match="0000"):
            write_text(tmp_path / "best", "new")
        with pytest.raises(LeaseLost):
            append_epoch(tmp_path / "epochs.csv", ROW)
    assert (tmp_path / "best").read_text() == "old"
    assert not (tmp_path / "epochs.csv").exists()
    assert not list(tmp_path.glob(".part-*"))
    write_text(tmp_path / "best", "another")  # the guard is gone


def test_an_old_lease_does_not_even_begin(tmp_path):
    token = grant_lease(tmp_path, "0000")
    grant_lease(tmp_path, "0000")
    with pytest.raises(LeaseLost), hold_trial(tmp_path, "0000", token, never):
        pytest.fail("entered")


def test_a_trial_is_held_by_one_worker(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "WAIT_SECONDS", 0.0)
    token = grant_lease(tmp_path, "0000")
    with hold_trial(tmp_path, "0000", token, never):
        assert not wait_for_workers(tmp_path, seconds=0.0)
        with pytest.raises(StillHeld), hold_trial(tmp_path, "0000", token, never):
            pytest.fail("entered")
    assert wait_for_workers(tmp_path, seconds=0.0)


def test_the_next_worker_waits_until_the_last_one_is_gone(tmp_path):
    token, held, release, order = grant_lease(tmp_path, "0000"), threading.Event(), threading.Event(), []

    def last_worker():
        with hold_trial(tmp_path, "0000", token, never):
            held.set()
            release.wait(60)
            order.append("released")

    thread = threading.Thread(target=last_worker)
    thread.start()
    held.wait(60)
    threading.Timer(0.3, release.set).start()
    with hold_trial(tmp_path, "0000", token, never):
        order.append("next")
    thread.join()
    assert order == ["released", "next"]
