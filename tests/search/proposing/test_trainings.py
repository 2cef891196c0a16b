"""When the guided oracle trains to the last rung because time is short, on made-up learning curves."""

import heapq

import keras_tuner as kt
import pytest

from fer_search.search.proposing.oracles import make_oracle
from fer_search.search.proposing.trainings import Training, full_trainings_are_due, unfinished_kinds
from fer_search.search.window import Window

RUNGS = [2, 4, 9]


def space():
    hp = kt.HyperParameters()
    for name in "abcd":
        hp.Choice(name, [0, 1, 2])
    return hp


def make(folder):
    options = {"max_trials": None, "max_epochs": RUNGS[-1], "factor": 3, "min_epochs": RUNGS[0]}
    oracle = make_oracle("guided", space(), folder, seed=0, full_baselines=False, **options)
    assert oracle.rungs == RUNGS
    return oracle


def baseline(a):
    hp = space()
    hp.values = {"a": a, "b": 1, "c": 1, "d": 1}
    return hp


def accuracies(values):
    """Return the accuracy of each of a trial's epochs; large values of a, b and c are good."""
    best = 0.3 + 0.05 * (values["a"] + values["b"] + values["c"])
    epochs = range(values["tuner/initial_epoch"] + 1, values["tuner/epochs"] + 1)
    return [{"epoch": k, "val_accuracy": best - 0.2 / k} for k in epochs]


def search_until(folder, budget, baselines, workers=1, broken=()):
    """Search for as long as an epoch takes ``budget`` times; return all trials that ended by then, and the oracle.

    With several workers results are committed in the order in which the trials began, as in a reproducible search.
    Trials with the numbers in ``broken`` fail at once.
    """
    oracle = make(folder)
    oracle.concurrent = workers > 1
    now, running = 0, []

    def begin_next():
        if len(oracle.trials) < baselines:
            return oracle.adopt_baseline(baseline(len(oracle.trials)))
        return oracle.propose(None, oracle.short_of_time(budget - now))

    window = Window(oracle, begin_next, workers, workers)
    while True:
        decision = window.decide()
        if decision.action == "began":
            values = decision.trial.hyperparameters.values
            epochs = values["tuner/epochs"] - values["tuner/initial_epoch"]
            fails = int(decision.trial.trial_id) in broken
            heapq.heappush(running, (now if fails else now + epochs, decision.trial.trial_id))
        elif decision.action == "commit":
            oracle.commit(decision.trial.trial_id)
        else:
            now, trial_id = heapq.heappop(running)
            if now > budget:
                known = [oracle.known_trial(i) for i in oracle.trials]
                return [trial for trial in known if trial.status in ("COMPLETED", "FAILED")], oracle
            failed = int(trial_id) in broken
            rows = accuracies(oracle.trials[trial_id].hyperparameters.values)
            oracle.record(trial_id, rows, "it broke" if failed else None, failed)


def root(oracle, trial):
    while parent := trial.hyperparameters.values.get("tuner/trial_id"):
        trial = oracle.trials[parent]
    return int(trial.trial_id)


def fully_trained(trials, oracle, baselines):
    """Return the kinds of designs that were trained to the last rung."""
    full = [t for t in trials if t.status == "COMPLETED" and t.hyperparameters.values["tuner/epochs"] == RUNGS[-1]]
    return {"baseline" if root(oracle, trial) < baselines else "proposal" for trial in full}


@pytest.mark.parametrize("budget", [9, 11, 13, 16, 20, 27, 45])
def test_without_baselines_a_proposal_is_trained_fully_in_any_time_that_allows_it(tmp_path, budget):
    trials, oracle = search_until(tmp_path / "run", budget, 0)
    assert fully_trained(trials, oracle, 0) == {"proposal"}


@pytest.mark.parametrize(("baselines", "workers"), [(1, 1), (3, 1), (1, 3), (3, 2)])
@pytest.mark.parametrize("budget", [27, 28, 29, 31, 35, 40, 60])
def test_little_time_ends_with_a_fully_trained_proposal_and_baseline(tmp_path, budget, baselines, workers):
    trials, oracle = search_until(tmp_path / "run", budget, baselines, workers)
    assert fully_trained(trials, oracle, baselines) == {"proposal", "baseline"}


def test_the_best_of_those_that_were_stopped_is_chosen_as_late_as_possible(tmp_path):
    trials, oracle = search_until(tmp_path / "run", 24, 1)
    values = [trial.hyperparameters.values for trial in trials]
    assert [v["tuner/epochs"] for v in values] == [2, 2, 2, 2, 2, 9, 9]
    assert [v.get("tuner/time_is_short", False) for v in values] == [False] * 5 + [True] * 2
    assert oracle.trials[values[5]["tuner/trial_id"]].score == max(trial.score for trial in trials[1:5])
    assert values[6]["tuner/trial_id"] == "0000"
    assert {name: values[6][name] for name in "abcd"} == baseline(0).values


def test_with_much_time_the_model_decides(tmp_path):
    trials, _ = search_until(tmp_path / "run", 100, 1)
    assert not any("tuner/time_is_short" in trial.hyperparameters.values for trial in trials)


def test_a_full_training_that_fails_is_made_up_for(tmp_path):
    undisturbed, _ = search_until(tmp_path / "undisturbed", 24, 1)
    short = [int(t.trial_id) for t in undisturbed if "tuner/time_is_short" in t.hyperparameters.values]
    trials, oracle = search_until(tmp_path / "run", 24, 1, broken=short[:1])
    assert trials[short[0]].status == "FAILED"
    assert fully_trained(trials, oracle, 1) == {"proposal", "baseline"}
    again = [trial.hyperparameters.values for trial in trials[short[0] + 1 :]]
    assert again[0]["tuner/time_is_short"]
    assert again[0]["tuner/trial_id"] != trials[short[0]].hyperparameters.values["tuner/trial_id"]


def test_kinds_of_which_none_has_begun_the_last_rung():
    stopped, full = Training({}, rung=0, pending=False), Training({}, baseline=True, rung=2)
    assert unfinished_kinds([], 2) == [False]
    assert unfinished_kinds([stopped], 2) == [False]
    assert unfinished_kinds([stopped, full], 2) == [False]
    assert unfinished_kinds([Training({}, rung=2), Training({}, baseline=True)], 2) == [True]
    assert unfinished_kinds([Training({}, rung=2), Training({}, baseline=True, failed=True)], 2) == []


@pytest.mark.parametrize(
    ("trainings", "least", "most"),
    [
        ([], 9, 11),  # a new design, after at most two epochs of another
        ([Training({}, rung=0, pending=False)], 7, 9),  # one can be resumed
        ([Training({}, rung=0)], 7, 11),  # it is pending: it may need two epochs more
        ([Training({}, baseline=True, rung=0, pending=False)], 16, 18),
        ([Training({}, baseline=True, rung=0, pending=False, failed=True)], 9, 11),
        ([Training({}, baseline=True, rung=2)], 9, 11),
        ([Training({}, rung=2), Training({}, baseline=True, rung=2)], 10, 0),  # never
    ],
)
def test_full_trainings_are_due_while_there_is_time_for_them_but_perhaps_not_for_more(trainings, least, most):
    due = [left for left in range(40) if full_trainings_are_due(trainings, RUNGS, left)]
    assert due == list(range(least, most))
