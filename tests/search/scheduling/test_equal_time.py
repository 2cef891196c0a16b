"""Designs that are trained for equal times, each for its own number of epochs."""

import itertools
import json

import pytest

from fer_search.confirm.candidates import choose_candidates
from fer_search.design import Design, Optimisation
from fer_search.errors import UserError
from fer_search.models import Cost
from fer_search.report.tables.analysis import load_analysis
from fer_search.runfolder.epochs import read_epochs
from fer_search.runfolder.json_files import read_json, write_json
from fer_search.search import opening
from fer_search.search.proposing.trainings import rung_epochs
from fer_search.search.scheduling.budget import TrialBudgets
from fer_search.search.scheduling.clock import Clock
from fer_search.search.scheduling.equal_time import EpochPlan
from fer_search.search.scheduling.estimate import SampledDesign
from fer_search.search.scheduling.speed import Speed

DEFAULT = SampledDesign("default", Design(), Cost(5, 2_000))
FLOPS_ONLY = Speed(0.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("flops", "speed", "epochs"),
    [
        (2_000, FLOPS_ONLY, 30),
        (1_000, FLOPS_ONLY, 60),
        (3_000, FLOPS_ONLY, 20),
        (1_000, Speed(3_000.0, 1.0, 0.0), 45),  # 9,000 s for an image of the default design, 6,000 for one of this
        (10**9, FLOPS_ONLY, 4),  # an epoch for each rung
        (1_000, None, 30),
    ],
)
def test_a_design_is_trained_for_as_long_as_the_default_one(flops, speed, epochs):
    assert EpochPlan(30, 4, speed, DEFAULT).full_epochs(flops) == epochs


def test_epochs_at_low_resolution_count_as_what_they_cost():
    """The default design has half of its FLOPs in half of its epochs times 1, the other half times 4/9."""
    low = SampledDesign("default", Design(optimisation=Optimisation(low_resolution=32)), Cost(5, 2_000))
    assert EpochPlan(30, 4, FLOPS_ONLY, low).full_epochs(2_000) == 22


def test_every_rung_adds_an_epoch_and_the_last_one_ends_the_training():
    for least, longest, factor in itertools.product((1, 2, 5), (5, 12, 30, 50), (2, 3, 4)):
        rungs = rung_epochs(least, longest, factor)
        plan = EpochPlan(longest, len(rungs), FLOPS_ONLY, DEFAULT)
        for full in range(len(rungs), 3 * longest):
            trained = [0]
            for k, rung in enumerate(rungs):
                trained.append(plan.epochs(rung, full, trained[-1], len(rungs) - 1 - k))
            assert all(a < b for a, b in itertools.pairwise(trained)), (rungs, full, trained)
            assert trained[-1] == full


@pytest.fixture
def timed(monkeypatch):
    """Let the time model of a search depend on FLOPs alone."""

    def estimate(*arguments):
        arguments[-1](FLOPS_ONLY)
        return 40.0, 80.0

    def start():
        monkeypatch.setattr(opening, "estimate_search", estimate)

    return start


def records(run):
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(run.glob("trial_*/design.json"))}


@pytest.mark.parametrize("tuner", ["guided", "hyperband", "random"])
def test_a_search_trains_each_design_for_its_own_number_of_epochs(search, state, timed, tmp_path, tuner):
    timed()
    options = {"tuner": tuner, "equal_time": True, "max_epochs": 8, "factor": 2, "max_trials": 24, "min_steps": 2}
    assert search(tmp_path / "a", **options) == 0
    run = tmp_path / "a" / "tiny"
    designs = records(run)
    default = designs["trial_0000"]
    for name, record in designs.items():
        assert record["full_epochs"] == max(
            round(8 * default["flops"] / record["flops"]), 4 if tuner != "random" else 1
        )
        last = read_epochs(run / name / "epochs.csv")[-1]["epoch"]
        assert last == record["epochs"]
        assert (last == record["full_epochs"]) == (record["budget"] == 8)
    assert len({record["full_epochs"] for record in designs.values()}) > 1
    before = state(run)
    (run / "trial_0003" / "design.json").write_text("{")
    assert search(tmp_path / "a", **options) == 0
    assert state(run)[0] == before[0]


def test_designs_are_compared_at_equal_times(search, timed, tmp_path):
    timed()
    assert search(tmp_path, equal_time=True, max_epochs=8, max_trials=8) == 0
    run = tmp_path / "tiny"
    analysis = load_analysis(run)
    assert analysis.curves.groupby("trial")["budget"].max().tolist() == [8] * 8
    assert analysis.curves.groupby("trial")["epoch"].max().nunique() > 1
    compared = analysis.compared(analysis.budget)
    assert (analysis.budget, len(compared.trials), compared.shorter) == (8, len(analysis.designs), 0)
    assert compared.at == "the time of 8 epochs"
    assert len(analysis.compared(4).trials) + analysis.compared(4).shorter == len(analysis.designs)
    half = analysis.compared(4).trials.set_index("trial")["accuracy"]
    for trial, record in records(run).items():
        rows = read_epochs(run / trial / "epochs.csv")
        within = [r["val_accuracy"] for r in rows if r["epoch"] * 8 / record["full_epochs"] <= 4 + 1e-9]
        assert half.get(trial.removeprefix("trial_")) == max(within, default=None)


def test_a_confirmation_trains_for_the_designs_own_number_of_epochs(search, timed, tmp_path):
    timed()
    assert search(tmp_path, equal_time=True, max_epochs=8, max_trials=3) == 0
    run = tmp_path / "tiny"
    for path in run.glob("trial_*/design.json"):
        record = read_json(path)
        record["design"]["optimisation"]["schedule"] = "cosine"
        write_json(path, record)
    candidates = choose_candidates(run, 3, [], 8, None)
    assert {c.trial: c.epochs for c in candidates} == {
        name.removeprefix("trial_"): record["full_epochs"] for name, record in records(run).items()
    }


def test_a_run_of_equal_epochs_is_not_continued_with_equal_times(search, timed, tmp_path):
    timed()
    assert search(tmp_path, max_trials=2) == 0
    assert "full_epochs" not in records(tmp_path / "tiny")["trial_0000"]
    with pytest.raises(UserError, match="--equal-time was False, is now True"):
        search(tmp_path, max_trials=2, equal_time=True)
    with pytest.raises(UserError, match="--prune median compares equal numbers of epochs"):
        search(tmp_path, max_trials=2, equal_time=True, prune="median")


def test_the_clock_counts_epochs_of_the_budget():
    """A trial of 12 epochs of 1 s each has a budget of 6, and so has the one after it."""
    now = [0.0]
    clock = Clock(TrialBudgets((6, 6)), (1.0, 2.0), now=lambda: now[0])
    clock.begin_trial(0, 0, 12, scale=2.0)
    for _ in range(4):
        now[0] += 1
        clock.end_epoch(0, 1.0)
    low, high = clock.left()
    assert low < 8 + 12 < high
    assert clock.time_to_end() == pytest.approx(8)
