"""Workers that die while they do something other than training a trial."""

import pytest

from fer_search.errors import UserError

ray = pytest.importorskip("ray", reason="needs: pip install 'fer-search[workers]'")


class WorkerThatDies:
    """Dies when it is to time a large design, or at each of its first ``deaths`` timings."""

    starting = None

    def __init__(self, deaths=0):
        self.name, self.deaths, self.asked = "0", deaths, []

    def time_designs(self, designs, expensive):
        self.asked.append(expensive)
        if expensive or len(self.asked) <= self.deaths:
            return ray.exceptions.RayActorError()
        return "speed"

    def kill(self):
        pass


@pytest.fixture
def pool(monkeypatch):
    from fer_search.search.executors import ray_pool

    def get(answer):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(ray_pool.ray, "get", get)
    pool = ray_pool.WorkerPool.__new__(ray_pool.WorkerPool)
    pool.workers = [WorkerThatDies(), WorkerThatDies()]
    return pool


def test_after_a_death_only_the_small_design_is_timed_again(pool, monkeypatch):
    dead = list(pool.workers)
    monkeypatch.setattr(pool, "_make_worker", lambda name, failed_starts: WorkerThatDies(), raising=False)
    assert pool.time_designs([], True) == ["speed", "speed"]
    assert [worker.asked for worker in (*dead, *pool.workers)] == [[True], [True], [False], [False]]


def test_workers_that_always_die_end_the_run_in_a_line(pool, monkeypatch):
    monkeypatch.setattr(pool, "_make_worker", lambda name, failed_starts: WorkerThatDies(deaths=9), raising=False)
    with pytest.raises(UserError, match=r"died 3 times while designs were timed .*fewer --workers"):
        pool.time_designs([], True)
