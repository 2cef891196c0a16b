"""A worker executes the space file only if a network is one of its functions: it may be someone else's."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from fer_search.design import Custom, Design
from fer_search.design import custom as registry
from fer_search.models.cost import Cost
from fer_search.search.executors.lease import grant_lease
from fer_search.search.executors.worker import Worker
from fer_search.search.scheduling import estimate
from fer_search.search.scheduling.estimate import SampledDesign
from fer_search.search.trials import predictions

SPACE = """
from pathlib import Path
from fer_search.design import Custom, Design

def known_to_the_space(images):
    return images

with Path({log!r}).open("a") as log:
    log.write("executed")

def design(hp):
    return Design(network=Custom(known_to_the_space))
"""


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Return a worker whose tasks only look up the function of a custom network."""
    with ThreadPoolExecutor(1) as other:  # of which signals are not handled
        worker = other.submit(Worker).result()
    text = SPACE.format(log=str(tmp_path / "log"))
    worker.load("data", {"name": "mine", "text": text, "modules": {}})
    monkeypatch.setattr(registry, "_functions", {})
    monkeypatch.setattr(estimate, "time_designs", lambda designs, *rest, **options: look_up(designs[0].design))
    monkeypatch.setattr(predictions, "store_predictions", lambda run, trial, design, *rest: look_up(design))
    return worker


def look_up(design):
    return design.network.resolve() if isinstance(design.network, Custom) else None


def tasks(worker, design, run):
    job = SimpleNamespace(trial_id="0000", trial=SimpleNamespace(design=design), run=lambda *hooks: look_up(design))
    yield lambda: worker.run(job, run, grant_lease(run, "0000"))
    yield lambda: worker.time_designs([SampledDesign("one", design, Cost(1, 1))], False)
    yield lambda: worker.predict(run, "0000", design, 48, None)


def test_the_space_is_not_executed_for_other_networks(worker, tmp_path):
    for task in tasks(worker, Design(), tmp_path):
        task()
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("first", range(3))
def test_the_space_is_executed_once_before_its_networks_are_built(worker, tmp_path, first):
    ordered = list(tasks(worker, Design(network=Custom("known_to_the_space")), tmp_path))
    for task in ordered[first:] + ordered[:first]:
        task()
    assert (tmp_path / "log").read_text() == "executed"
